"""Plan progress polls and estimate the time left. No I/O.

Xinference's progress moves in visible values, not smoothly: (step + 1) / steps, uploaded when it grew by at least
0.05 (core/progress_tracker.py, UPLOAD_PROGRESS_SPAN). Polls on a fixed grid see a value half a grid late; here the
arrival of the next value is predicted from the polls so far, and polled for just after. A poll that came too early is
not repeated at once: the next value is as good, and every poll costs Xinference 4 to 6 ms.
"""

from collections import OrderedDict
from functools import lru_cache
from math import sqrt

from msgspec import Struct

from xinflight.upstream.arrivals import Arrivals

__all__ = ["DurationHistory", "DurationKey", "ProgressEstimator"]

SPAN = 0.05
SHORTEST, LONGEST = 0.3, 60.0
"""Minimum and maximum seconds between two polls. No job shows more than 20 values: the minimum is a twentieth of its
duration where that is longer."""
MEAN_PAUSE, AHEAD = 0.55, 0.6
"""Seconds between two polls on average, and by how many seconds polls may be ahead of that."""
FIRST_POLLS = 1.3
"""Factor by which the pause between polls grows while nothing is known of the rate."""
PATIENCE = 0.15
"""Minimum pause as a part of the time for which nothing has come: what waits in Xinference's own queue, or stands
still, is asked for ever more rarely."""
BEFORE = 0.4
"""Until the first step begins, as a part of the time until the first value."""
HISTORY_ERROR, GUESS_ERROR = 0.05, 0.4
"""Standard deviation of a duration that is known from earlier outputs, and of one guessed from the first value."""
LATER = 0.5
"""How long after the expected arrival of a value it is polled for, in standard deviations of the arrival."""
SHARP = 0.05
"""Standard deviation of the arrival of 1.0, as a part of the duration, up to which the time after it is known."""
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
    tail: float | None


class DurationHistory:
    """Remember how long outputs took, in seconds: in all, and from progress 1.0 to the response."""

    def __init__(self) -> None:
        self._known: OrderedDict[DurationKey, _Durations] = OrderedDict()

    def learn(self, key: DurationKey, total: float, tail: float | None) -> None:
        """Add the durations of one output to the moving average; None tells nothing."""
        known = self._known.setdefault(key, _Durations(total, tail))
        known.total += NEW_WEIGHT * (total - known.total)
        if tail is not None:
            known.tail = tail if known.tail is None else known.tail + NEW_WEIGHT * (tail - known.tail)
        self._known.move_to_end(key)
        if len(self._known) > MAX_KEYS:
            self._known.popitem(last=False)

    def total(self, key: DurationKey) -> float | None:
        """Return the average seconds of one output, or None if no such output was made."""
        known = self._known.get(key)
        return None if known is None else known.total

    def tail(self, key: DurationKey) -> float | None:
        """Return the average seconds from progress 1.0 to the response, or None if that is not known."""
        known = self._known.get(key)
        return None if known is None else known.tail


class ProgressEstimator:
    """Estimate the progress of one request from its polls. All times are monotonic seconds.

    `expected` and `tail` are the average durations of such an output, if known.
    """

    def __init__(self, steps: int | None, started: float, expected: float | None, tail: float | None) -> None:
        self.progress = 0.0
        self.decoding_since: float | None = None
        self.last_poll = started
        self._steps = steps
        self._tail = tail
        self._started = started
        self._misses = 0
        # By when the polls so far would have been made at one per MEAN_PAUSE.
        self._polled_until = started
        # None while nothing is known of the rate.
        self._arrivals: Arrivals | None = None
        steps_take = 0.0 if expected is None else expected - (tail or 0.0)
        if steps_take > 0:
            # The steps begin a little after the request; anything longer shows as a surprise.
            before = BEFORE * _next_value(self._steps, 0.0) * steps_take
            self._arrivals = Arrivals(0.0, started + before, before, steps_take, HISTORY_ERROR * steps_take)

    @property
    def duration(self) -> float:
        """Estimated seconds of all steps, 0 while nothing is known."""
        return 0.0 if self._arrivals is None else self._arrivals.pace

    @property
    def began(self) -> bool:
        """Whether the upstream has shown any progress."""
        return self.progress > 0

    @property
    def began_at(self) -> float:
        """Estimated time at which the steps began; the start of the request if they did not."""
        if not self.began or self._arrivals is None:
            return self._started
        began = self._arrivals.arrived - self.progress * self._arrivals.pace
        return min(max(began, self._started), self.last_poll)

    def update(self, progress: float, now: float) -> bool:
        """Record the result of a poll; return whether the progress rose."""
        last_poll, self.last_poll = self.last_poll, now
        self._polled_until = max(self._polled_until, now - AHEAD) + MEAN_PAUSE
        if progress <= self.progress or (progress < self.progress + MIN_RISE and progress < 1.0):
            self._misses += 1
            if self._arrivals is not None and self.progress < 1.0:
                self._arrivals.missing(_next_value(self._steps, self.progress), now)
            return False
        self._misses = 0
        self.progress = progress
        if self._arrivals is None:
            self._arrivals = self._guess(progress, last_poll, now)
        else:
            self._arrivals.came(progress, now)
        if progress >= 1.0:
            self.decoding_since = now
        else:
            self._arrivals.missing(_next_value(self._steps, progress), now)
        return True

    def _guess(self, progress: float, last_poll: float, now: float) -> Arrivals:
        """Estimate the arrivals from the first value alone, which came after `last_poll`.

        The steps began at the earliest with the request, and at the latest with that poll, if the request waited in
        Xinference's own queue: their rate is between the two, in orders of magnitude.
        """
        between = (last_poll + now) / 2
        longest = (between - self._started) / progress
        shortest = min((now - last_poll) / progress, longest)
        pace = sqrt(longest * shortest)
        return Arrivals(progress, between, (now - last_poll) / sqrt(12), pace, GUESS_ERROR * pace)

    def next_poll(self, now: float) -> float:
        """Return the seconds to wait before the next poll: until just after a value is expected to have come."""
        arrived = self._arrivals.arrived if self._arrivals is not None and self.began else self._started
        pause = max(SHORTEST, self.duration / 20, PATIENCE * (self.last_poll - arrived))
        earliest = max(self.last_poll + pause, self._polled_until)
        if self._arrivals is None:
            when = self.last_poll + SHORTEST * FIRST_POLLS ** min(self._misses, 10)
        else:
            when = self._first_after(self._arrivals, max(earliest, now))
        return min(max(when, earliest, now) - now, LONGEST)

    def _first_after(self, arrivals: Arrivals, earliest: float) -> float:
        """Return when to poll for the first value for which that is not before `earliest`."""
        value = self.progress
        while True:
            value = _next_value(self._steps, value)
            mean, error = arrivals.expect(value)
            when = mean + LATER * error
            if when >= earliest or value >= 1.0:
                return when

    def remaining(self, now: float) -> float | None:
        """Return the estimated seconds until the response, or None if nothing is known."""
        if self._arrivals is None:
            return None
        since = now - self._arrivals.arrived
        if self.decoding_since is not None:
            # A video is decoded for minutes: 0 would be no better a guess than any.
            return None if self._tail is None else max(self._tail - since, 0.0)
        pace = self._arrivals.pace
        # What was not there yet at the latest poll is not half done either.
        ahead = (1 - _next_value(self._steps, self.progress)) * pace - (now - self.last_poll)
        return max((1 - self.progress) * pace - since, ahead, 0.0) + (self._tail or 0.0)

    def tail(self, now: float) -> float | None:
        """Return the seconds from progress 1.0 to a response that came now; None if it is not known when 1.0 came."""
        if self._arrivals is None or self.decoding_since is None:
            return None
        sharp = self._arrivals.error() <= max(SHARP * (now - self._started), SHORTEST)
        return max(now - self._arrivals.arrived, 0.0) if sharp else None

    def step_seconds(self, steps: int | None) -> float:
        """Return the estimated seconds of one step, 0 if unknown."""
        return self._arrivals.pace / steps if self._arrivals is not None and steps else 0.0


@lru_cache(maxsize=4096)  # the same few, of images with the same steps
def _next_value(steps: int | None, progress: float) -> float:
    """Return the first value that the upstream shows after a progress."""
    # The same comparison of the same floats as upstream: of 20 steps some are not uploaded, since 0.15 - 0.1 is
    # a little less than 0.05 and the value after 0.1 is 0.2.
    if not steps:
        return min(progress + SPAN, 1.0)
    after = range(round(progress * steps) + 1, steps)
    return next((done / steps for done in after if done / steps - progress >= SPAN), 1.0)
