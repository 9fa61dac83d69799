"""What a generation may cost, counted: hand-overs to threads, files, asyncio tasks. Each costs some 100 us."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from bench.fake_upstream import FakeUpstream
from clients import WireClient
from conftest import Serve
from work_counts import counted, generate

GENERATIONS = 5


@pytest.fixture
async def client(serve: Serve, stack: AsyncExitStack) -> WireClient:
    """Give a client of a server with one model, whose images take no time."""
    upstream = await stack.enter_async_context(FakeUpstream(1, 0.0).serving())
    url = await serve(xinference_url=upstream)
    return await stack.enter_async_context(WireClient.connect(url))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_generation_is_handed_to_a_thread_four_times(
    client: WireClient, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To be accepted, sent and ended, each of which must be stored before it is told, and for its file."""
    await generate(client, http, "first")
    with counted(monkeypatch) as counts:
        for number in range(GENERATIONS):
            await generate(client, http, f"task-{number}")
    print(counts.table(GENERATIONS))
    assert counts.hand_overs == {"commit": 3 * GENERATIONS, "FileBlobs._put": GENERATIONS}
    # Written aside, then renamed.
    assert counts.files["rename"] == GENERATIONS
