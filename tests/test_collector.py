"""What is left in reference cycles is given back in time, however seldom Python itself would look for it."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator

import pytest

from clients import FakeClock
from xinflight.cli import collect_cycles
from xinflight.cli.collector import ALL, SHARE, YOUNG


class Answer:
    """Something large in a cycle."""

    def __init__(self) -> None:
        self.cycle = self


@pytest.fixture(autouse=True)
def by_hand() -> Iterator[None]:
    """Keep Python itself from collecting."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
async def clock() -> AsyncIterator[FakeClock]:
    """Give the clock of a running collector."""
    clock = FakeClock()
    running = asyncio.create_task(collect_cycles(clock), name="collector")
    await asyncio.sleep(0)
    yield clock
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_was_made_of_late_is_given_back_in_seconds(clock: FakeClock) -> None:
    answer = weakref.ref(Answer())
    assert answer() is not None
    await clock.advance(YOUNG)
    assert answer() is None


async def test_what_has_lived_for_long_is_given_back_in_a_minute(clock: FakeClock) -> None:
    living = Answer()
    answer = weakref.ref(living)
    await clock.advance(3 * YOUNG)
    del living
    await clock.advance(ALL)
    assert answer() is None


async def test_a_slow_collection_is_made_less_often(clock: FakeClock) -> None:
    """However many objects there are, the loop stands still for a small share of the time only."""
    took = 1.0
    full = 0

    def watch(phase: str, info: dict[str, int]) -> None:
        nonlocal full
        if phase == "stop" and info["generation"] == 2:
            full += 1
            clock.now += took

    gc.callbacks.append(watch)
    try:
        for _ in range(400):
            await clock.advance(YOUNG, turns=3)
    finally:
        gc.callbacks.remove(watch)
    assert full >= 2
    assert full * took <= 2 * SHARE * (400 * YOUNG) + took
