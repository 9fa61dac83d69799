"""The order of what the journal stores while the store is slow or fails half way."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from clients import FakeClock
from factories import FENCE, POOL, charge, lease, make_task, result, seqs
from scripted_gateway import turns
from xinflight.errors import StorageUnavailable
from xinflight.journal import Journal, MemoryBus
from xinflight.journal.journal import CHARGE_SECONDS, RETRY
from xinflight.model import Marks, Usage, marked_message
from xinflight.storage import MemoryStore, Outcome, Write
from xinflight.supervise import Supervisor


class HeldStore(MemoryStore):
    """A store whose commits wait, and then store all or, with `broken`, nothing."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.broken = False

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        await self.go_on.wait()
        if self.broken:
            raise StorageUnavailable(detail="no room")
        return await super().commit(writes)


@pytest.fixture
async def store() -> HeldStore:
    store = HeldStore()
    await lease(store)
    return store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def journal(store: HeldStore, clock: FakeClock) -> AsyncIterator[Journal]:
    journal = Journal(store, MemoryBus(), clock, Supervisor(clock))
    await journal.open()
    yield journal
    # However a test ended: else this would wait for ever.
    store.broken = False
    store.go_on.set()
    await clock.advance(RETRY)
    await journal.close()


def use(journal: Journal, finish: float) -> None:
    """Charge a second, after which the owner's finish tag is this one."""
    journal.charge(charge(Usage(owner="ann", day="2026-01-01", seconds=1.0), finish))


@pytest.mark.parametrize("broken", [False, True])
async def test_the_latest_finish_tag_counts(
    store: HeldStore, journal: Journal, clock: FakeClock, *, broken: bool
) -> None:
    """Whatever waits for a slow commit: an older tag would give an owner the next slot at the cost of others."""
    task = make_task()
    await journal.accept(task)
    store.go_on.clear()
    saving = journal.save(task, FENCE)
    await turns()
    use(journal, 1.0)
    await clock.advance(CHARGE_SECONDS)
    use(journal, 2.0)
    if not broken:
        await clock.advance(CHARGE_SECONDS)
    store.broken = broken
    store.go_on.set()
    await turns()
    store.broken = False
    await clock.advance(max(RETRY, CHARGE_SECONDS))
    await saving
    assert (await store.tags(POOL)).finish == {"ann": 2.0}
    (used,) = await store.usage("ann", first="2026-01-01", last="2026-01-01")
    assert used.seconds == 2.0


async def test_nothing_is_accepted_while_something_waits_for_the_store(
    store: HeldStore, journal: Journal, clock: FakeClock
) -> None:
    """Each try to store it may be the one that fails again."""
    task = make_task()
    await journal.accept(task)
    store.broken = True
    saving = journal.save(task, FENCE)
    await turns()
    assert journal.broken
    store.go_on.clear()
    await clock.advance(RETRY)
    assert journal.broken
    store.broken = False
    store.go_on.set()
    await saving
    assert not journal.broken


async def test_a_star_is_refused_and_not_stored_later(store: HeldStore, journal: Journal, clock: FakeClock) -> None:
    """A refusal has no side effects."""
    task = make_task()
    await journal.accept(task)
    store.broken = True
    marks = [Marks(index=0, starred=True)]
    marking = asyncio.create_task(journal.mark(task, marked_message(task, marks, 1.0), marks))
    await turns()
    assert marking.done()
    assert isinstance(marking.exception(), StorageUnavailable)
    store.broken = False
    await clock.advance(RETRY)
    assert await store.library.marks(task.uid) == []
    assert await journal.mark(task, marked_message(task, marks, 1.0), marks) is not None
    assert await store.library.marks(task.uid) == marks


async def test_whoever_gives_up_waiting_stops_nobody(store: HeldStore, journal: Journal) -> None:
    """What was to be stored is, and the next ones of its batch are told."""
    task = make_task()
    await journal.accept(task)
    store.go_on.clear()
    ended = journal.append(task, result(task), FENCE)
    saving = journal.save(task, FENCE)
    await turns()
    ended.cancel()
    store.go_on.set()
    await turns()
    assert saving.done()
    assert await seqs(store) == [1, 2]
