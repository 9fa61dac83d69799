"""How fast pictures come: when to ask for progress next, and how long what is left will take. No I/O.

Xinference's progress moves in visible values, not smoothly: (step + 1) / steps, uploaded when it grew by at least
0.05 (core/progress_tracker.py, UPLOAD_PROGRESS_SPAN). Asking on a fixed grid sees a value half a grid late; here
the next value's moment is predicted from the pace so far and asked for just after.
"""

from collections import OrderedDict

from msgspec import Struct

__all__ = ["DurationHistory", "DurationKey", "ProgressEstimator"]

SPAN = 0.05
FIRST_ASK = 0.15
"""Seconds to the first question when nothing is known of the model's pace."""
SHORTEST, LONGEST = 0.02, 2.0
"""Seconds between two questions, whatever the prediction says: some 2 ms of upstream work each."""
LEAST = 1e-4
"""The least rise of progress that counts: one of ten thousand steps. From a smaller one no pace could be told."""
KEPT_KEYS = 256
"""Different (model, size, steps) whose pace is remembered; the least recently used goes first."""


class DurationKey(Struct, frozen=True):
    """What the pace depends on."""

    model: str
    size: str
    steps: int | None


class _Known(Struct):
    total: float
    tail: float


class DurationHistory:
    """Remember how long pictures took, in seconds: in all, and after progress reached 1.0."""

    def __init__(self) -> None:
        self._known: OrderedDict[DurationKey, _Known] = OrderedDict()

    def learn(self, key: DurationKey, total: float, tail: float) -> None:
        """Add one picture; newer ones weigh 0.3, so that a change of load shows within a few."""
        known = self._known.setdefault(key, _Known(total, tail))
        known.total += 0.3 * (total - known.total)
        known.tail += 0.3 * (tail - known.tail)
        self._known.move_to_end(key)
        if len(self._known) > KEPT_KEYS:
            self._known.popitem(last=False)

    def total(self, key: DurationKey) -> float | None:
        """Return the seconds one picture takes, or None when none like it was made."""
        known = self._known.get(key)
        return None if known is None else known.total

    def tail(self, key: DurationKey) -> float:
        """Return the seconds from progress 1.0 to the answer, 0 when unknown."""
        known = self._known.get(key)
        return 0.0 if known is None else known.tail


class ProgressEstimator:
    """Follow one running picture. All times are monotonic seconds."""

    def __init__(self, steps: int | None, started: float, expected: float | None, tail: float) -> None:
        self.progress = 0.0
        self.decoding_since: float | None = None
        self._steps = steps
        self._tail = tail
        self._started = started
        self._asked = started
        self._seen = started
        # The first value that was seen and when: it may have waited upstream before, so only what came after counts.
        self._first: tuple[float, float] | None = None
        self._rate = None if expected is None or expected <= tail else 1 / (expected - tail)
        self._misses = 0
        self._hits = 0

    @property
    def began(self) -> bool:
        """Tell whether the upstream has shown any progress."""
        return self._first is not None

    @property
    def began_at(self) -> float:
        """Return when the steps began, as far as can be told; the start of the request when they did not."""
        if self._first is None or not self._rate:
            return self._started
        arrived, progress = self._first
        return max(arrived - progress / self._rate, self._started)

    def saw(self, progress: float, now: float) -> bool:
        """Take an answer; return whether it is news."""
        last_asked, self._asked = self._asked, now
        if progress <= self.progress or (progress < self.progress + LEAST and progress < 1.0):
            self._misses += 1
            return False
        # A value that was asked for too early once came between the last two questions. One that was there at once
        # may have come long before: the more often that happens in a row, the earlier the next question, until one
        # is too early. Otherwise questions that are late by half an interval would stay so.
        if self._misses:
            arrived, self._hits = (last_asked + now) / 2, 0
        else:
            arrived = now - min(0.04 * 2**self._hits, 0.5) * self._interval()
            self._hits += 1
        if self._first is None:
            self._first = (arrived, progress)
        elif arrived > self._first[0]:
            self._rate = (progress - self._first[1]) / (arrived - self._first[0])
        self.progress, self._seen, self._misses = progress, arrived, 0
        if progress >= 1.0:
            self.decoding_since = now
        return True

    def next_ask(self, now: float) -> float:
        """Return the seconds to wait before asking again."""
        if self._rate is None:
            wait = FIRST_ASK * 1.5 ** min(self._misses, 6)
        elif self.began or self._misses < 3:
            interval = self._interval()
            late = now - self._seen - interval
            wait = (
                interval - (now - self._seen) + 0.03 * interval if late < 0 else 0.1 * interval * (1 + self._misses)
            )
        else:
            # Sent, but not begun when it should have: it waits upstream behind somebody else's.
            wait = 0.25 * (self._misses - 1)
        return min(max(wait, SHORTEST), LONGEST)

    def remaining(self, now: float) -> float | None:
        """Return the seconds until the picture is there, or None when nothing is known."""
        if self.decoding_since is not None:
            return max(self._tail - (now - self.decoding_since), 0.0)
        if self._rate is None:
            return None
        since = now - self._seen if self.began else 0.0
        return max((1 - self.progress) / self._rate - since, 0.0) + self._tail

    def step_seconds(self, steps: int | None) -> float:
        """Return the seconds of one step, 0 when unknown."""
        return 1 / self._rate / steps if self._rate and steps else 0.0

    def _interval(self) -> float:
        """Return the seconds from the latest value to the next one that is told."""
        return (self._next_value() - self.progress) / self._rate if self._rate else FIRST_ASK

    def _next_value(self) -> float:
        # The same comparison of the same floats as upstream: of 20 steps it does not tell every one, for
        # 0.15 - 0.1 is a little less than 0.05, and the value after 0.1 is 0.2.
        if not self._steps:
            return min(self.progress + SPAN, 1.0)
        steps = self._steps
        after = range(round(self.progress * steps) + 1, steps)
        return next((done / steps for done in after if done / steps - self.progress >= SPAN), 1.0)
