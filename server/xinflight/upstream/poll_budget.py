"""Share out the polls that one Xinference is asked for, among all requests that run there.

A poll costs Xinference 4 to 6 ms of CPU, and some 200 a second are all that it can answer. What people watch is
polled in turn, each as often as the others, at most `per_second` in all; what nobody watches gets a tenth of that at
most, and no more than the time left needs.
"""

import asyncio
import heapq
import itertools
from collections import defaultdict

from xinflight.clock import Clock, Timer
from xinflight.upstream.progress import ProgressEstimator

__all__ = ["PollBudget", "PollTurns"]

BURST = 0.5
"""Seconds of the budget that may be used at once."""
UNWATCHED_PART = 0.1
"""The part of the budget that what nobody watches may use."""
UNWATCHED_PAUSE, UNWATCHED_PARTS = 5.0, 4
"""Seconds between two polls of what nobody watches: a quarter of its duration where that is longer."""
SHORTEST_TIMER = 0.005
"""Seconds, so that rounding, or a clock that was held back meanwhile, does not make a timer fire at once again."""
SPREAD = (5**0.5 - 1) / 2
"""Multiples of it, less their whole part, are evenly spread however many there are (golden ratio)."""


class PollBudget:
    """Decide when each running request may be polled. Costs O(log n) per poll, whatever the number of requests.

    Those that are watched move along a clock of their own: within one unit of it each of them has one poll. It runs
    the slower the more there are, so that nobody's turn has to be planned again when others come or go. Of one that
    comes the first poll is somewhere within the unit: of requests that are shorter than a unit, some are polled, and
    anywhere between their begin and their end.
    """

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._clock = clock
        self._limit(per_second)
        self._watched_owners: set[str] = set()
        self._turns: defaultdict[str, set[PollTurns]] = defaultdict(set)
        self._numbers = itertools.count(1)
        # The clock of what is watched: its time, when that was computed, and how many move along it.
        self._time = 0.0
        self._computed = clock.monotonic()
        self._count = 0
        # Polls outside the turns that the clock has not been held back for yet.
        self._unplanned = 0.0
        # Who waits for a time of that clock. What has ended meanwhile stays until then, or until it is the most: a
        # request that is watched again may have two entries for the same time, which the number of the entry orders.
        self._entries = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._timer: Timer | None = None

    def set_rate(self, per_second: float) -> None:
        """Change the budget; what waits for its turn has it earlier or later from now on."""
        self._advance()
        self._limit(per_second)
        self._arm()

    def _limit(self, per_second: float) -> None:
        self._per_second = per_second
        self._all = _Gate(per_second, BURST)
        self._unwatched = _Gate(per_second * UNWATCHED_PART, 0.0)

    def watch(self, owner: str) -> None:
        """Record that somebody watches what an owner runs."""
        self._watched_owners.add(owner)
        for turns in self._turns.get(owner, ()):
            self._add(turns)
        self._arm()

    def unwatch(self, owner: str) -> None:
        """Record that nobody watches any more what an owner runs."""
        self._watched_owners.discard(owner)
        for turns in self._turns.get(owner, ()):
            self._remove(turns)
        self._arm()

    def join(self, owner: str | None) -> "PollTurns":
        """Return the turns of a request that runs now; None counts as watched. `leave` when it has ended.

        Others have their turns later from now on: the timer is set anew when it waits for its own.
        """
        turns = PollTurns(self, owner, next(self._numbers))
        if owner is not None:
            self._turns[owner].add(turns)
        if owner is None or owner in self._watched_owners:
            self._add(turns)
        return turns

    def leave(self, turns: "PollTurns") -> None:
        """Give a request no more turns."""
        if turns.owner is not None:
            self._turns[turns.owner].discard(turns)
            if not self._turns[turns.owner]:
                del self._turns[turns.owner]
        self._remove(turns)
        self._arm()

    def count_unplanned(self) -> None:
        """Count a poll that can't wait for a turn, such as one that shows whether a request has ended.

        It takes the place of one that is watched; those keep at least half of the budget.
        """
        self._advance()
        self._unplanned = min(self._unplanned + 1, self._per_second)

    async def next_turn(self, turns: "PollTurns", estimator: ProgressEstimator) -> None:
        """Return when a request is to be polled, and count that poll."""
        while True:
            if turns.watched:
                await self._due(turns)
                if turns.watched:
                    await self._clock.sleep(estimator.next_poll(self._clock.monotonic()))
                    break
            elif not await self._watched_within(turns, self._pause_unwatched(estimator)) and (
                not await self._watched_within(turns, self._unwatched.wait(self._clock.monotonic()))
            ):
                break
        await self._clock.sleep(self._all.wait(self._clock.monotonic()))
        self._advance()
        turns.due = self._time + 1.0

    def _pause_unwatched(self, estimator: ProgressEstimator) -> float:
        pause = max(UNWATCHED_PAUSE, estimator.duration / UNWATCHED_PARTS)
        return max(estimator.last_poll + pause - self._clock.monotonic(), 0.0)

    async def _watched_within(self, turns: "PollTurns", seconds: float) -> bool:
        """Wait for `seconds`, or until somebody watches; return whether somebody does."""
        try:
            async with self._clock.timeout(seconds):
                await turns.noticed.wait()
        except TimeoutError:
            return False
        return True

    # The clock of what is watched

    def _advance(self) -> None:
        now = self._clock.monotonic()
        polls = (now - self._computed) * self._per_second
        unplanned = min(self._unplanned, polls / 2)
        self._unplanned -= unplanned
        self._time += (polls - unplanned) / max(self._count, 1)
        self._computed = now

    def _add(self, turns: "PollTurns") -> None:
        if turns.watched:
            return
        self._advance()
        self._count += 1
        turns.watched = True
        turns.noticed.set()
        if turns.due <= self._time:
            turns.due = self._time + turns.number * SPREAD % 1.0

    def _remove(self, turns: "PollTurns") -> None:
        if turns.watched:
            self._advance()
            self._count -= 1
            turns.watched = False
            turns.noticed.clear()
            if turns.waiting is not None and not turns.waiting.done():
                turns.waiting.set_result(None)

    async def _due(self, turns: "PollTurns") -> None:
        """Return when the clock has come to the turn of a request."""
        self._advance()
        if turns.due <= self._time:
            return
        due = turns.waiting = asyncio.get_running_loop().create_future()
        if len(self._waiting) > 2 * self._count + 16:
            self._waiting = [waiting for waiting in self._waiting if not waiting[2].done()]
            heapq.heapify(self._waiting)
        heapq.heappush(self._waiting, (turns.due, next(self._entries), due))
        self._arm()
        await due

    def _arm(self) -> None:
        """Set the timer for the next turn, which comes earlier or later when others leave or join."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        if self._waiting:
            self._advance()
            seconds = (self._waiting[0][0] - self._time) * self._count / self._per_second
            self._timer = self._clock.call_later(max(seconds, SHORTEST_TIMER), self._wake)

    def _wake(self) -> None:
        self._advance()
        while self._waiting and self._waiting[0][0] <= self._time:
            _, _, due = heapq.heappop(self._waiting)
            if not due.done():
                due.set_result(None)
        self._arm()


class PollTurns:
    """The turns of one request: as a context manager it leaves the budget at the end of the block."""

    def __init__(self, budget: PollBudget, owner: str | None, number: int) -> None:
        self.owner = owner
        self.number = number
        self.watched = False
        self.noticed = asyncio.Event()
        """Set while it is watched."""
        self.due = 0.0
        """The time of its next poll on the clock of what is watched."""
        self.waiting: asyncio.Future[None] | None = None
        """Done when that time has come, or nobody watches any more."""
        self._budget = budget

    def __enter__(self) -> "PollTurns":
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.leave(self)

    async def next(self, estimator: ProgressEstimator) -> None:
        """Return when the request is to be polled next. Cancelling gives up that turn."""
        await self._budget.next_turn(self, estimator)


class _Gate:
    """Let through so many a second, and `ahead` seconds' worth of them at once (GCRA)."""

    def __init__(self, per_second: float, ahead: float) -> None:
        self._pause = 1 / per_second
        self._ahead = ahead
        # By when all of them so far would have gone through at an even rate.
        self._until = 0.0

    def wait(self, now: float) -> float:
        """Count one more and return the seconds until it may go through."""
        seconds = max(self._until - self._ahead - now, 0.0)
        self._until = max(self._until, now) + self._pause
        return seconds
