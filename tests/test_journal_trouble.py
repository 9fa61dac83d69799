"""The order of what the journal stores while the store is slow or fails half way."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from clients import FakeClock
from factories import FENCE, POOL, charge, lease, make_task
from scripted_gateway import turns
from xinflight.errors import StorageUnavailable
from xinflight.journal import Journal, MemoryBus
from xinflight.journal.journal import CHARGE_SECONDS, RETRY
from xinflight.model import Usage
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
