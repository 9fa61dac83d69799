"""What one of many costs does not grow with the many: 10,000 waiting tasks of 1,000 owners, counted, not timed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from clients import FakeClock, Steps
from factories import finished, lease
from scripted_gateway import ScriptedGateway, turns
from xinflight.gateway import Gateway
from xinflight.journal import MemoryBus
from xinflight.model import Task
from xinflight.protocol import Notice
from xinflight.settings import Settings
from xinflight.storage import MemoryBlobs, MemoryStore

pytestmark = pytest.mark.slow

OWNERS, EACH = 1000, 10
BURST = 500
"""Tasks that are accepted at once while the crowd comes."""


@asynccontextmanager
async def busy_gateway() -> AsyncIterator[ScriptedGateway]:
    """Begin a gateway with one slot, in which a task runs."""
    async with ScriptedGateway.begin(tasks=2 * OWNERS * EACH, disconnect_grace=0.5) as gateway:
        assert isinstance(await gateway.submit("first", task_id="running"), Task)
        await turns()
        yield gateway


async def crowd(gateway: ScriptedGateway, owners: int, name: str = "t") -> None:
    """Let so many owners, who all watch, wait for EACH tasks more."""
    numbers = [(number % owners, f"{name}{number}") for number in range(owners * EACH)]
    for owner in range(owners):
        await gateway.watch(f"owner-{owner}")
    for first in range(0, len(numbers), BURST):
        burst = numbers[first : first + BURST]
        submits = [gateway.submit(f"owner-{owner}", task_id=task_id) for owner, task_id in burst]
        assert all(isinstance(task, Task) for task in await asyncio.gather(*submits))
    await turns()
    await gateway.clock.advance(2.0)
    await passed(gateway)


async def passed(gateway: ScriptedGateway) -> None:
    """Wait until a pass over the queue is over: it lets others have their turns."""
    await turns(200)
    await gateway.drain()


async def steps_of_accept(gateway: ScriptedGateway, name: str) -> float:
    """Return the steps of one accept, from the message to the snapshot with its place."""
    owner = "owner-0"
    tasks = 10
    with Steps() as steps:
        for number in range(tasks):
            assert isinstance(await gateway.submit(owner, task_id=f"{name}{number}"), Task)
            await turns()
    for number in range(tasks):
        await gateway.front.cancel(owner, f"{name}{number}")
    await turns()
    await gateway.drain()
    return steps.count / tasks


def frames(gateway: ScriptedGateway, before: dict[str, int]) -> Counter[str]:
    """Return how many events and queues each owner was sent since."""
    return Counter({owner: count - before.get(owner, 0) for owner, count in sent(gateway).items()})


def sent(gateway: ScriptedGateway) -> dict[str, int]:
    """Return how many events and queues each owner was sent."""
    return {owner: len(events) + len(gateway.queues[owner]) for owner, events in gateway.sent.items()}


async def test_accepts_and_frames_do_not_grow_with_the_crowd() -> None:
    """An accept takes the same steps beside 10, 1,000 and 10,000 others; a move is one frame per owner."""
    async with busy_gateway() as gateway:
        await crowd(gateway, 1, "few")
        few = await steps_of_accept(gateway, "a")
        await crowd(gateway, OWNERS // 10, "more")
        # At once, so that what grows fails here and not after the minutes that the rest then takes.
        assert await steps_of_accept(gateway, "b") < 1.3 * few
        await crowd(gateway, OWNERS)
        assert await steps_of_accept(gateway, "c") < 1.3 * few
        # Nothing moves: nothing is told.
        before = sent(gateway)
        await gateway.clock.advance(10.0)
        await passed(gateway)
        assert frames(gateway, before).total() == 0
        # Everybody moves, some times within the same second.
        for _ in range(3):
            gateway.upstream.pending[0].end("image")
            await turns()
        await gateway.clock.advance(1.0)
        await passed(gateway)
        moved = frames(gateway, before)
        # The three were of these, and one of the last runs now.
        for owner in ("first", "owner-0", "owner-1", "owner-2"):
            del moved[owner]
        assert moved == {f"owner-{owner}": 1 for owner in range(3, OWNERS)}


async def of_owner(gateway: ScriptedGateway) -> None:
    assert len(gateway.pools.of_owner("one")) == 2


async def cancel_all(gateway: ScriptedGateway) -> None:
    await gateway.front.cancel_all("one", [])


async def leave_alone(gateway: ScriptedGateway) -> None:
    gateway.leave("one")
    # Less than the second between two rounds of places, which take in everybody.
    await gateway.clock.advance(gateway.settings.disconnect_grace)


async def snapshots(gateway: ScriptedGateway) -> None:
    assert len(gateway.journal.running("one")) == 2


@pytest.mark.parametrize("work", [of_owner, cancel_all, leave_alone, snapshots])
async def test_what_concerns_one_owner_does_not_grow_with_the_others(
    work: Callable[[ScriptedGateway], Awaitable[None]],
) -> None:
    async def count(others: int) -> int:
        async with busy_gateway() as gateway:
            await gateway.join("one")
            for number in range(2):
                await gateway.submit("one", task_id=f"mine{number}", on_disconnect="cancel")
            await crowd(gateway, others)
            with Steps() as steps:
                await work(gateway)
                await turns()
            await gateway.drain()
            gone = work in (cancel_all, leave_alone)
            assert [len(gateway.ends("one", f"mine{number}")) for number in range(2)] == [gone, gone]
            return steps.count

    assert await count(50) < 1.3 * await count(2) + 10


class Connected:
    """Somebody who is connected."""

    lang = "en"

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.notices: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)

    def upstream_changed(self) -> None:
        """Nothing changes here."""

    def close(self) -> None:
        """Nothing waits here."""


async def test_telling_one_owner_of_a_deletion_does_not_grow_with_the_others() -> None:
    async def count(others: int) -> int:
        store = MemoryStore(10)
        await lease(store)
        await finished(store, "a", owner="one")
        gateway = Gateway(Settings(), store, MemoryBus(), MemoryBlobs(2**20), FakeClock())
        one = Connected("one")
        for connection in (one, *(Connected(f"owner-{number}") for number in range(others))):
            gateway.connections.register(connection)
        with Steps() as steps:
            assert await gateway.delete("one", "a") is not None
        assert [notice.task_id for notice in one.notices] == ["a"]
        return steps.count

    assert await count(1000) < 1.3 * await count(2) + 10
