"""What it costs to come back, counted: reads of the database, each of which is a call on a thread, and steps."""

from contextlib import AsyncExitStack

import pytest

from bench.fake_upstream import FakeUpstream
from clients import FakeClock, Steps, WireClient
from conftest import Serve
from work_counts import counted
from xinflight.journal import Journal, MemoryBus
from xinflight.model import OwnerQueue
from xinflight.protocol import Pong, Queue, QueuedOutput
from xinflight.storage import MemoryStore
from xinflight.supervise import Supervisor

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


async def test_the_places_of_one_task_cost_the_same_however_many_wait() -> None:
    """Thousands who come back at once would each pass over all that waits."""

    async def steps(waiting: int) -> int:
        clock = FakeClock()
        journal = Journal(MemoryStore(100), MemoryBus(), clock, Supervisor(clock))
        await journal.open()
        first, second = await journal.subscribe("ann"), await journal.subscribe("ann")
        uids = [f"uid {number}" for number in range(waiting)]
        journal.publish_queue(
            OwnerQueue(
                owner="ann",
                timestamp=0.0,
                at=0.0,
                uids=tuple(uids),
                outputs=tuple(QueuedOutput(task_id=uid, index=0, position=1) for uid in uids),
                places={uid: [place] for place, uid in enumerate(uids)},
                paused=False,
                held=False,
                news=frozenset(uids),
            )
        )
        with Steps() as counted:
            second.subscribe(uids[50:51], uids[50:51], after=None, done=Pong(nonce="there"))
            told = [await second.next_item(), await second.next_item()]
        assert [output.task_id for item in told if isinstance(item, Queue) for output in item.outputs] == ["uid 50"]
        for subscriber in (first, second):
            journal.unsubscribe(subscriber)
        await journal.close()
        return counted.count

    assert await steps(100) == await steps(5000)
