"""What it costs to come back, counted: reads of the database, each of which is a call on a thread."""

from contextlib import AsyncExitStack

import pytest

from bench.fake_upstream import FakeUpstream
from clients import WireClient
from conftest import Serve
from work_counts import counted

ENDLESS = 3600.0


async def test_whoever_missed_nothing_of_an_unfinished_task_is_back_without_a_read(
    serve: Serve, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when nobody of the owner was connected meanwhile. What was missed is read, once."""
    url = await serve(xinference_url=await stack.enter_async_context(FakeUpstream(1, ENDLESS).serving()))
    async with WireClient.connect(url) as client:
        epoch = client.seen[0]["epoch"]
        await client.send(action="generate", task_id="a", prompt="a boat")
        accepted = await client.until(lambda message: message["type"] == "accepted")
        await client.until(lambda message: message["type"] == "progress")
    for missed, reads in ((0, {}), (1, {"read": 1})):
        with counted(monkeypatch) as counts:
            async with WireClient.connect(url) as client:
                cursor = f"{epoch}:{accepted['seq'] - missed}"
                assert (await client.ask(action="resume", after=cursor, tasks=["a"]))["recovered"]
                assert client.of("a", "accepted") == [accepted][:missed]
                assert client.of("a", "progress")
        assert counts.hand_overs == reads
