"""What a batch of the journal stores, and what the journal remembers of owners who are not there."""

import asyncio
from collections.abc import Sequence

import pytest
from life import Life, turns

from factories import accepted, end, make_task, result
from kit import FakeClock
from xinflight.journal import Journal, MemoryBus
from xinflight.journal import journal as journal_module
from xinflight.storage import MemoryStore, Write
from xinflight.supervise import Supervisor
from xinflight.tasks import Scheduler


class SlowToRead(MemoryStore):
    """A store that lets a test wait while it looks an owner up, and remembers what each batch was."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.looking, self.go_on = asyncio.Event(), asyncio.Event()
        self.batches: list[list[tuple[bool, str]]] = []

    async def last_seq(self, owner: str) -> int:
        self.looking.set()
        await self.go_on.wait()
        return 0

    async def commit(self, writes: Sequence[Write]) -> None:
        events = [write.event for write in writes]
        ended = [write.task.ended for write in writes]
        names = [type(event.message).__name__ for event in events if event is not None]
        self.batches.append(list(zip(ended, names, strict=True)))
        await super().commit(writes)


async def test_no_task_is_stored_ahead_of_its_end() -> None:
    """A task that ends while its batch waits for its owner's position is not stored as ended without its end."""
    store, clock = SlowToRead(), FakeClock()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    task = make_task()
    first = journal.append(task, accepted(task))
    await store.looking.wait()
    end(task)
    last = journal.append(task, result(task))
    store.go_on.set()
    await asyncio.gather(first, last)
    await journal.close()
    for batch in store.batches:
        assert not any(ended for ended, _ in batch) or batch[-1][1] == "Result"


async def test_owners_who_went_are_forgotten_and_go_on_above_what_they_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand owners who came once the journal remembers a few; one who comes back gets higher numbers."""
    monkeypatch.setattr(journal_module, "KEPT_OWNERS", 10)
    store = MemoryStore(5000)
    store.durable = True

    async def last_seq(owner: str) -> int:
        events = await store.events(owner, after=0, upto=2**53, uids=None, limit=1000)
        return events[-1].seq + 1000 if events else 0

    monkeypatch.setattr(store, "last_seq", last_seq)
    async with Life.begin(store=store) as life:

        async def visit(owner: str) -> int:
            await life.journal.load(owner)
            life.manager.followed(owner)
            follower = life.journal.follow(owner)
            await life.submit(owner, task_id=f"{owner}-{life.journal.position(owner)}")
            await turns()
            life.upstream.pending[0].end("picture")
            await turns()
            follower.close()
            life.manager.unfollowed(owner)
            seen = life.journal.position(owner)
            watcher = life._watchers.pop(owner)
            watcher.close()
            return seen

        seen = await visit("ann")
        for number in range(100):
            await visit(f"owner {number}")
        assert len(life.journal._seqs) == len(life.journal._published) == 10
        assert len(life.journal._stored) <= 10
        assert await visit("ann") > seen


class Stub:
    priority = 0

    def __init__(self, order: int, pool: str) -> None:
        self.order, self.pool = order, pool


def test_the_scheduler_forgets_pools_that_are_empty() -> None:
    """While no model is known clients choose the names; a queue goes with the last one in it."""
    scheduler: Scheduler[Stub] = Scheduler(lambda waiting, uid: None)
    stubs = [Stub(order, f"pool {order}") for order in range(100)]
    for stub in stubs:
        scheduler.add(stub)
    scheduler.set_models({"pool 0": {"m": 1}})
    for stub in stubs[1:]:
        assert scheduler.remove(stub)
    assert list(scheduler.pools()) == []
    scheduler.release("m")
    assert scheduler.busy("m") == 0
