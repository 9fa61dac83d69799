"""Plan progress polls and estimate the time left. No I/O.

Xinference's progress moves in visible values, not smoothly: (step + 1) / steps, uploaded when it grew by at least
0.05 (core/progress_tracker.py, UPLOAD_PROGRESS_SPAN). Polls on a fixed grid see a value half a grid late; here the
arrival of the next value is predicted from the rate so far, and polled for just after.
"""

from collections import OrderedDict

from msgspec import Struct

__all__ = ["DurationHistory", "DurationKey", "ProgressEstimator"]

SPAN = 0.05
FIRST_POLL = 0.15
"""Seconds to the first poll when the model's rate is unknown."""
SHORTEST, LONGEST = 0.02, 2.0
"""Minimum and maximum seconds between two polls: each costs the upstream 4 to 6 ms."""
MIN_RISE = 1e-4
"""Minimum rise of progress that counts: one of ten thousand steps. No rate can be computed from a smaller one."""
MAX_KEYS = 256
"""Maximum number of DurationKeys that are remembered; the least recently used is dropped first."""
NEW_WEIGHT = 0.3
"""Weight of the newest duration, so that a change of load shows within a few outputs."""


class DurationKey(Struct, frozen=True):
    """What a duration depends on. `frames` is the number of images that one output has."""

    model: str
    kind: str
    size: str | None
    steps: int | None
    frames: int = 1


class _Durations(Struct):
    total: float
    tail: float


class DurationHistory:
    """Remember how long outputs took, in seconds: in all, and from progress 1.0 to the response."""

    def __init__(self) -> None:
        self._known: OrderedDict[DurationKey, _Durations] = OrderedDict()

    def learn(self, key: DurationKey, total: float, tail: float) -> None:
        """Add the durations of one output to the moving average."""
        known = self._known.setdefault(key, _Durations(total, tail))
        known.total += NEW_WEIGHT * (total - known.total)
        known.tail += NEW_WEIGHT * (tail - known.tail)
        self._known.move_to_end(key)
        if len(self._known) > MAX_KEYS:
            self._known.popitem(last=False)

    def total(self, key: DurationKey) -> float | None:
        """Return the average seconds of one output, or None if no such output was made."""
        known = self._known.get(key)
        return None if known is None else known.total

    def tail(self, key: DurationKey) -> float | None:
        """Return the average seconds from progress 1.0 to the response, or None if no such output was made."""
        known = self._known.get(key)
        return None if known is None else known.tail


class ProgressEstimator:
    """Estimate the progress of one request from its polls. All times are monotonic seconds.

    `expected` and `tail` are the average durations of such an output, if known.
    """

    def __init__(self, steps: int | None, started: float, expected: float | None, tail: float | None) -> None:
        self.progress = 0.0
        self.decoding_since: float | None = None
        self._steps = steps
        self._tail = tail
        self._started = started
        self._last_poll = started
        # When the latest value arrived, as far as can be known.
        self._arrived = started
        # The first value and its arrival. The time before it may have been spent in the upstream's queue, so the
        # rate is computed from what followed.
        self._first: tuple[float, float] | None = None
        steps_take = 0.0 if expected is None else expected - (tail or 0.0)
        self._rate = 1 / steps_take if steps_take > 0 else None
        # Polls in a row without a new value, and new values in a row that were there at the first poll.
        self._misses = 0
        self._hits = 0

    @property
    def began(self) -> bool:
        """Whether the upstream has shown any progress."""
        return self._first is not None

    @property
    def began_at(self) -> float:
        """Estimated time at which the steps began; the start of the request if they did not."""
        if self._first is None or not self._rate:
            return self._started
        arrived, progress = self._first
        return max(arrived - progress / self._rate, self._started)

    def update(self, progress: float, now: float) -> bool:
        """Record the result of a poll; return whether the progress rose."""
        last_poll, self._last_poll = self._last_poll, now
        if progress <= self.progress or (progress < self.progress + MIN_RISE and progress < 1.0):
            self._misses += 1
            return False
        # After a miss, the value arrived between the last two polls. One that is there at the first poll may have
        # arrived long before: each such hit in a row makes the next poll earlier, until one misses. Otherwise polls
        # that are late by half an interval would stay so.
        if self._misses:
            arrived, self._hits = (last_poll + now) / 2, 0
        else:
            arrived = now - min(0.04 * 2**self._hits, 0.5) * self._interval()
            self._hits += 1
        if self._first is None:
            self._first = (arrived, progress)
        elif arrived > self._first[0]:
            self._rate = (progress - self._first[1]) / (arrived - self._first[0])
        self.progress, self._arrived, self._misses = progress, arrived, 0
        if progress >= 1.0:
            self.decoding_since = now
        return True

    def next_poll(self, now: float) -> float:
        """Return the seconds to wait before the next poll."""
        if self._rate is None:
            wait = FIRST_POLL * 1.5 ** min(self._misses, 6)
        elif self.began or self._misses < 3:
            interval = self._interval()
            since = now - self._arrived
            wait = 1.03 * interval - since if since < interval else 0.1 * interval * (1 + self._misses)
        else:
            # It was sent but did not begin when it should have: it waits in the upstream's own queue.
            wait = 0.25 * (self._misses - 1)
        return min(max(wait, SHORTEST), LONGEST)

    def remaining(self, now: float) -> float | None:
        """Return the estimated seconds until the response, or None if nothing is known."""
        if self.decoding_since is not None:
            # A video is decoded for minutes: 0 would be no better a guess than any.
            return None if self._tail is None else max(self._tail - (now - self.decoding_since), 0.0)
        if self._rate is None:
            return None
        since = now - self._arrived if self.began else 0.0
        return max((1 - self.progress) / self._rate - since, 0.0) + (self._tail or 0.0)

    def step_seconds(self, steps: int | None) -> float:
        """Return the estimated seconds of one step, 0 if unknown."""
        return 1 / self._rate / steps if self._rate and steps else 0.0

    def _interval(self) -> float:
        """Return the estimated seconds from the latest value to the next one that is uploaded."""
        return (self._next_value() - self.progress) / self._rate if self._rate else FIRST_POLL

    def _next_value(self) -> float:
        # The same comparison of the same floats as upstream: of 20 steps some are not uploaded, since 0.15 - 0.1 is
        # a little less than 0.05 and the value after 0.1 is 0.2.
        if not self._steps:
            return min(self.progress + SPAN, 1.0)
        steps = self._steps
        after = range(round(self.progress * steps) + 1, steps)
        return next((done / steps for done in after if done / steps - self.progress >= SPAN), 1.0)
