"""`history_age` deletes by the clock, and clocks are wrong at times."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from clients import FakeClock
from factories import charge, finished, ids, lease
from xinflight.model import Usage, day_of
from xinflight.settings import Settings
from xinflight.storage import MemoryBlobs, MemoryStore, Retention
from xinflight.storage.retention import CLOCK_STEADY, PAUSE, USAGE_SECONDS
from xinflight.supervise import Supervisor

DAY = 86400.0


class SetClock(FakeClock):
    """A clock that somebody may set."""

    wrong_by = 0.0

    def time(self) -> float:
        return super().time() + self.wrong_by


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(100)


@pytest.fixture
async def history(clock: SetClock, store: MemoryStore) -> AsyncIterator[Retention]:
    """Give a history that is kept for a day, with one task of today and one of a month ago."""
    await lease(store)
    await finished(store, "old", at=clock.time() - 30 * DAY)
    await finished(store, "new", at=clock.time())
    history = Retention(store, MemoryBlobs(1), Settings(history_age=DAY), clock, Supervisor(clock))
    history.start()
    await settled()
    yield history
    await history.close()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def passed(clock: SetClock, seconds: float) -> None:
    """Let time go by, retention looking on."""
    step = 20 * PAUSE
    for _ in range(int(seconds / step) + 1):
        await clock.advance(step)
        await settled()


@pytest.mark.usefixtures("history")
async def test_what_is_too_old_goes_once_the_clock_is_known(clock: SetClock, store: MemoryStore) -> None:
    assert await ids(store) == ["new", "old"]
    await passed(clock, CLOCK_STEADY)
    assert await ids(store) == ["new"]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("wrong_by", [10 * 365 * DAY, -10 * 365 * DAY])
async def test_a_clock_that_is_wrong_for_a_while_deletes_nothing(
    clock: SetClock, store: MemoryStore, wrong_by: float
) -> None:
    await passed(clock, CLOCK_STEADY)
    clock.wrong_by = wrong_by
    await passed(clock, CLOCK_STEADY / 2)
    clock.wrong_by = 0.0
    await passed(clock, CLOCK_STEADY)
    assert await ids(store) == ["new"]


@pytest.mark.usefixtures("history")
async def test_a_clock_that_is_wrong_at_the_start_deletes_nothing(clock: SetClock, store: MemoryStore) -> None:
    clock.wrong_by = 365 * DAY
    await passed(clock, CLOCK_STEADY / 2)
    clock.wrong_by = 0.0
    await passed(clock, CLOCK_STEADY / 2)
    assert await ids(store) == ["new", "old"]
    await passed(clock, CLOCK_STEADY)
    assert await ids(store) == ["new"]


@pytest.mark.usefixtures("history")
async def test_usage_is_kept_for_a_year_and_a_little_more(clock: SetClock, store: MemoryStore) -> None:
    """Whatever happens to the history; a clock that is wrong for a while deletes none of it either."""
    days = [day_of(clock.time() - age) for age in (USAGE_SECONDS + 2 * DAY, USAGE_SECONDS - DAY / 2, 0.0)]
    await store.commit([charge(Usage(owner="ann", day=day, seconds=1.0)) for day in days])

    async def left() -> list[str]:
        return [usage.day for usage in await store.usage("ann", first="0000-00-00", last="9999-99-99")]

    clock.wrong_by = USAGE_SECONDS
    await passed(clock, CLOCK_STEADY / 2)
    clock.wrong_by = 0.0
    assert await left() == days
    await passed(clock, CLOCK_STEADY)
    assert await left() == days[1:]
    await passed(clock, 2 * DAY)
    assert await left() == days[2:]
