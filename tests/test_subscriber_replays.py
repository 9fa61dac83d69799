"""Replays that meet each other, an end that is being published, or an owner who is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from factories import POOL, accepted, end, event, make_task, output_event, progress, result, stored_before
from xinflight.clock import SystemClock
from xinflight.journal import Journal, MemoryBus, Subscriber
from xinflight.journal.positions import Positions
from xinflight.model import Event, OwnerQueue
from xinflight.protocol import Recovered
from xinflight.storage import MemoryStore, Outcome, Write
from xinflight.supervise import Supervisor


class StoringStore(MemoryStore):
    """A store whose commits, once stored, return only when they may."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.stored, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        outcomes = await super().commit(writes)
        self.stored.set()
        await self.go_on.wait()
        return outcomes


@pytest.fixture
async def store() -> StoringStore:
    store = StoringStore()
    await store.lease(POOL)
    return store


@pytest.fixture
async def journal(store: StoringStore) -> AsyncIterator[Journal]:
    clock = SystemClock()
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    yield journal
    store.go_on.set()
    await journal.close()


async def read(reader: Subscriber) -> list[int | str]:
    """Return all that is there: the seq of a stored event, the type of anything else."""
    seen: list[int | str] = []
    while (item := await reader.next_item()) is not None:
        stored = isinstance(item, Event) and item.stored
        seen.append(item.seq if isinstance(item, Event) and stored else type(getattr(item, "message", item)).__name__)
    return seen


@pytest.mark.parametrize(
    "asked",
    [
        [("task", 3, [4]), ("all", 2, [3]), ("task", 1, [2])],
        [("task", 1, [2, 3, 4]), ("all", 2, []), ("task", 0, [1])],
        [("all", 1, [2, 3, 4]), ("all", 2, []), ("all", 0, [1])],
    ],
)
async def test_each_event_comes_once_however_often_the_same_past_is_asked_for(
    journal: Journal, asked: list[tuple[str, int, list[int]]]
) -> None:
    task = make_task()
    await journal.accept(task)
    for _ in range(3):
        await journal.append(task, output_event(task), fence=1)
    reader = await journal.subscribe("ann")
    for what, after, brings in asked:
        if what == "all":
            reader.subscribe_all(after=after)
        else:
            reader.subscribe([task.uid], [task.uid], after=after)
        assert await read(reader) == brings
    journal.unsubscribe(reader)


async def test_no_snapshot_follows_an_end_that_is_stored_and_not_published_yet(
    store: StoringStore, journal: Journal
) -> None:
    """Who shows an image as being made again would do so for ever."""
    task = make_task()
    await stored_before(store, task)
    journal.snapshot(task, progress(task, 40))
    store.go_on.clear()
    store.stored.clear()
    end(task)
    ended = journal.append(task, result(task), fence=1)
    await store.stored.wait()
    reader = await journal.subscribe("ann")
    reader.subscribe([task.uid], [task.uid], after=0, done=Recovered(ref="r", recovered=True, cursor="c"))
    assert await read(reader) == [1, 2, "Recovered"]
    store.go_on.set()
    await ended
    assert await read(reader) == []
    journal.unsubscribe(reader)


async def test_nobody_is_sent_a_queue_of_long_ago(journal: Journal) -> None:
    """While nobody watches, nobody keeps it up to date."""
    queue = OwnerQueue(
        owner="ann", timestamp=0.0, at=0.0, uids=(), outputs=(), places={}, paused=True, held=False, news=frozenset()
    )
    first, second = await journal.subscribe("ann"), await journal.subscribe("ann")
    journal.publish_queue(queue)
    journal.unsubscribe(first)
    assert journal.queue("ann") is queue
    journal.unsubscribe(second)
    assert journal.queue("ann") is None
    late = await journal.subscribe("ann")
    late.subscribe_all(after=None)
    assert await read(late) == []
    journal.unsubscribe(late)


async def test_the_position_of_a_forgotten_owner_never_falls() -> None:
    """What is accepted while the store is asked is published already: a cursor before it would repeat it."""

    class Meanwhile(MemoryStore):
        async def last_seq(self, owner: str) -> int:
            seq = await super().last_seq(owner)
            for message in accepted_meanwhile:
                positions.publish(message)
            return seq

    accepted_meanwhile: list[Event] = []
    positions = Positions(Meanwhile(10))
    await positions.join("ann")
    task = make_task()
    accepted_meanwhile.append(event(task, 7, accepted(task)))
    await positions.skip_forgotten("ann")
    assert positions.of_owner("ann") == 7
