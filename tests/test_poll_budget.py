"""How many polls a Xinference is asked for, and whose: requests on a clock that stands."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from clients import FakeClock
from xinflight.upstream import PollBudget, ProgressEstimator

RATE = 10.0


class Runs:
    """Requests that are polled as `Attempt` does; each has a value every `seconds` / 20 while it runs."""

    def __init__(self, clock: FakeClock, budget: PollBudget) -> None:
        self.clock = clock
        self.budget = budget
        self.polls: list[tuple[float, str]] = []
        """When each poll was made, and for which request, by name."""
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, owner: str | None, seconds: float = 1e6, expected: float | None = None) -> None:
        run = self._poll(name, owner, seconds, expected)
        self._tasks[name] = asyncio.create_task(run, name=name)

    async def _poll(self, name: str, owner: str | None, seconds: float, expected: float | None) -> None:
        began = self.clock.monotonic()
        estimator = ProgressEstimator(20, began, expected, 0.0)
        with self.budget.join(owner) as turns:
            while estimator.decoding_since is None:
                await turns.next(estimator)
                now = self.clock.monotonic()
                self.polls.append((now, name))
                estimator.update(min((now - began) / seconds * 20 // 1 / 20, 1.0), now)

    async def advance(self, seconds: float) -> None:
        """Let what has been started begin, and the time pass."""
        await asyncio.sleep(0)
        await self.clock.advance(seconds, turns=4)

    async def end(self, *names: str) -> None:
        ended = [self._tasks.pop(name) for name in names]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    async def end_all(self) -> None:
        await self.end(*self._tasks)

    def of(self, wanted: Callable[[str], bool]) -> list[float]:
        return [when for when, name in self.polls if wanted(name)]


@asynccontextmanager
async def running(per_second: float = RATE) -> AsyncIterator[Runs]:
    clock = FakeClock(now=0.0)
    runs = Runs(clock, PollBudget(per_second, clock))
    try:
        yield runs
    finally:
        await runs.end_all()
    assert clock.waiting == 0


async def test_two_hundred_share_the_budget_evenly() -> None:
    """Each is polled about every 20 s, and no second has more than the budget and half a second's worth of it."""
    async with running() as runs:
        runs.budget.watch("ann")
        for number in range(200):
            runs.start(f"r{number}", "ann")
        await runs.advance(100.0)
        times = [when for when, _ in runs.polls]
        assert 900 <= len(times) <= 1010
        assert all(late - early >= 1.0 for early, late in zip(times, times[16:], strict=False))
        per_run = Counter(name for _, name in runs.polls)
        assert len(per_run) == 200
        assert {4, 5, 6} >= set(per_run.values())
        for name in per_run:
            own = runs.of(name.__eq__)
            assert all(15.0 < late - early < 25.0 for early, late in pairwise(own))


async def test_short_ones_are_polled_too_and_anywhere_on_their_way() -> None:
    """A request that is shorter than its share of the budget has its part of the polls, at one time or another."""
    async with running() as runs:
        runs.budget.watch("ann")
        ages = []
        for second in range(20):
            for number in range(40):
                runs.start(f"{second}-{number}", "ann", seconds=1e6)
            if second >= 5:
                await runs.end(*(f"{second - 5}-{number}" for number in range(40)))
            await runs.advance(1.0)
        for when, name in runs.polls:
            ages.append(when - int(name.partition("-")[0]))
        assert 130 <= len(ages) <= 205
        # Each fifth of their life has its share.
        fifths = Counter(int(age) for age in ages)
        assert min(fifths[fifth] for fifth in range(5)) > len(ages) / 10


async def test_few_are_polled_as_their_values_come() -> None:
    """Up to the budget nobody waits for a turn, and values are met as if each were alone."""
    async with running() as runs:
        runs.budget.watch("ann")
        for number in range(4):
            runs.start(f"r{number}", "ann", seconds=20.0, expected=20.0)
        await runs.advance(21.0)
        assert all(10 <= polls <= 20 for polls in Counter(name for _, name in runs.polls).values())


async def test_what_is_watched_goes_before_what_is_not() -> None:
    """One that somebody looks at is polled as if it were alone; two hundred others get a tenth of the budget."""
    async with running() as runs:
        for number in range(200):
            runs.start(f"u{number}", "bob")
        runs.budget.watch("ann")
        runs.start("w", "ann", seconds=40.0, expected=40.0)
        await runs.advance(40.0)
        unwatched = runs.of(lambda name: name.startswith("u"))
        assert 25 <= len(unwatched) <= 41
        assert len(runs.of("w".__eq__)) >= 9
        # None of them is polled twice before all others were.
        assert max(Counter(name for _, name in runs.polls if name != "w").values()) == 1


async def test_what_nobody_watches_is_polled_for_the_time_left_alone() -> None:
    """Every quarter of what it takes, or of what is known of it; never more often than every five seconds."""
    async with running() as runs:
        runs.start("long", "bob", seconds=1e6, expected=400.0)
        runs.start("short", "bob", seconds=1e6, expected=4.0)
        await runs.advance(4.9)
        assert runs.polls == []
        await runs.advance(195.1)
        assert runs.of("long".__eq__) == [100.0, 200.0]
        pauses = [late - early for early, late in pairwise(runs.of("short".__eq__))]
        assert min(pauses) >= 5.0 - 1e-6


async def test_what_somebody_comes_to_watch_is_polled_at_once() -> None:
    """A page that is opened shows progress without delay; when it is closed, the polls end with it."""
    async with running() as runs:
        runs.start("r", "ann", seconds=100.0, expected=100.0)
        await runs.advance(20.0)
        assert runs.polls == []
        runs.budget.watch("ann")
        await runs.advance(6.0)
        assert len(runs.polls) >= 1
        runs.budget.unwatch("ann")
        known = len(runs.polls)
        await runs.advance(10.0)
        # The one that was planned already.
        assert len(runs.polls) <= known + 1


async def test_who_leaves_while_all_wait_for_their_turn_loses_no_poll_of_others() -> None:
    """Turns come the sooner the fewer there are: what is left alone is polled at once, not after its old share."""
    async with running() as runs:
        runs.budget.watch("ann")
        for number in range(300):
            runs.start(f"r{number}", "ann")
        await runs.advance(31.0)
        await runs.end(*(f"r{number}" for number in range(1, 300)))
        before = len(runs.polls)
        await runs.advance(5.0)
        assert len(runs.polls) > before


async def test_closing_the_page_while_its_requests_wait_does_not_hold_them() -> None:
    """They go on as what nobody watches, and are watched again when somebody comes."""
    async with running(per_second=0.5) as runs:
        runs.budget.watch("ann")
        for number in range(20):
            runs.start(f"r{number}", "ann", expected=20.0)
        await runs.advance(1.0)
        runs.budget.unwatch("ann")
        await runs.advance(60.0)
        rarely = len(runs.polls)
        assert 1 <= rarely <= 6
        runs.budget.watch("ann")
        await runs.advance(60.0)
        assert len(runs.polls) - rarely >= 20


async def test_polls_that_cannot_wait_take_half_of_the_turns_at_most() -> None:
    """Such as those that show whether an aborted request has ended: they are not held up, but they are counted."""
    async with running() as runs:
        runs.budget.watch("ann")
        for number in range(100):
            runs.start(f"r{number}", "ann")
        await runs.advance(10.0)
        planned = len(runs.polls)
        for _ in range(100):
            runs.budget.count_unplanned()
            runs.budget.count_unplanned()
            await runs.advance(0.1)
        assert planned * 0.4 <= len(runs.polls) - planned <= planned * 0.6


@pytest.mark.parametrize("count", [20, 1000])
async def test_a_poll_costs_as_much_however_many_run(count: int) -> None:
    """Timers that are set per poll, of which each wakes one request."""
    async with running(per_second=100.0) as runs:
        runs.budget.watch("ann")
        for number in range(count):
            runs.start(f"r{number}", "ann")
        await runs.advance(1.0)
        set_before, polls_before = runs.clock.timers_set, len(runs.polls)
        await runs.advance(5.0)
        polls = len(runs.polls) - polls_before
        assert polls > 10
        assert (runs.clock.timers_set - set_before) / polls < 6


async def test_who_comes_and_goes_sets_two_timers() -> None:
    """One for its turn, and one for those whose turns are earlier when it is gone. Most are never polled."""
    async with running(per_second=1.0) as runs:
        runs.budget.watch("ann")
        for number in range(50):
            runs.start(f"r{number}", "ann")
        await runs.advance(0.0)
        set_before = runs.clock.timers_set
        runs.start("short", "ann")
        await runs.advance(0.0)
        await runs.end("short")
        assert runs.clock.timers_set - set_before == 2


async def test_another_budget_holds_for_what_waits_already() -> None:
    async with running(per_second=0.01) as runs:
        runs.budget.watch("ann")
        for number in range(200):
            runs.start(f"r{number}", "ann")
        await runs.advance(20.0)
        assert len(runs.polls) <= 1
        for rate, seconds, polls in ((10.0, 10.0, 100), (2.0, 20.0, 40)):
            before = len(runs.polls)
            runs.budget.set_rate(rate)
            await runs.advance(seconds)
            assert polls * 0.85 <= len(runs.polls) - before <= polls + rate


async def test_whoever_looks_away_and_back_again_changes_no_turn() -> None:
    """As a page does that loses its connection and comes back before its next poll, while others wait for theirs."""
    async with running(per_second=1.0) as runs:
        for number in range(8):
            owner = f"owner-{number % 4}"
            runs.budget.watch(owner)
            runs.start(f"r{number}", owner)
        await runs.advance(20.0)
        before = len(runs.polls)
        for step in range(40):
            owner = f"owner-{step % 4}"
            runs.budget.unwatch(owner)
            await runs.advance(0.0)
            runs.budget.watch(owner)
            await runs.advance(0.1)
        await runs.advance(16.0)
        assert 18 <= len(runs.polls) - before <= 22
        assert {name for _, name in runs.polls[before:]} == {f"r{number}" for number in range(8)}
