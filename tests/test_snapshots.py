"""Snapshots: without a number, and none of a task after its end."""

import asyncio
from collections.abc import Sequence

import pytest

from clients import FakeClock
from factories import FENCE, POOL, draw, end, make_task, progress, stored_before
from scripted_gateway import turns
from xinflight.journal import Journal, MemoryBus
from xinflight.model import Event, end_message
from xinflight.protocol import Recovered
from xinflight.storage import MemoryStore, Outcome, Write
from xinflight.supervise import Supervisor


class HeldStore(MemoryStore):
    """A store whose commits are stored at once, but done only when `go` is set."""

    def __init__(self) -> None:
        super().__init__(100)
        self.go = asyncio.Event()
        self.go.set()

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        outcomes = await super().commit(writes)
        await self.go.wait()
        return outcomes


@pytest.mark.parametrize("everything", [True, False], ids=["all", "one task"])
async def test_no_snapshot_follows_an_end_that_is_not_published_yet(*, everything: bool) -> None:
    """Between the commit of an end and its publication, a replay brings the end, and nothing comes after it."""
    clock, store = FakeClock(), HeldStore()
    supervisor = Supervisor(clock)
    journal = Journal(store, MemoryBus(), clock, supervisor)
    await journal.open()
    await store.lease(POOL)
    task = make_task()
    await stored_before(store, task)
    journal.snapshot(task, progress(task, 50))
    store.go.clear()
    draw(task)
    end(task)
    stored = journal.append(task, end_message(task), FENCE)
    await turns()
    subscriber = await journal.subscribe(task.owner)
    done = Recovered(recovered=True, cursor="e:2")
    if everything:
        subscriber.subscribe_all(after=0, done=done)
    else:
        subscriber.subscribe([task.uid], [task.uid], after=0, done=done)
    items = [await subscriber.next_item() for _ in range(4)]
    store.go.set()
    await stored
    items.append(await subscriber.next_item())
    told = [item.message if isinstance(item, Event) else item for item in items]
    assert [None if item is None else type(item).__name__ for item in told] == [
        "Accepted",
        "Result",
        "Recovered",
        None,
        None,
    ]
    journal.unsubscribe(subscriber)
    await journal.close()
    await supervisor.close()
