"""Rate limits per key: the generic cell rate algorithm (GCRA; ITU-T I.371), a token bucket in one number per key.

Pure: the time is an argument. An operation costs the same whatever the number of keys.
"""

import math
from collections import OrderedDict

from msgspec import Struct

__all__ = ["PERIOD", "Quota", "RateLimit"]

PERIOD = 60.0
"""Seconds for which a quota is given; a client may use all of it at once."""

KEYS = 100_000
"""Keys remembered at most, some 10 MB. With one more, the least recently used is forgotten and starts afresh."""


class Quota(Struct, frozen=True):
    """What is left of a quota: requests, seconds in which there are no more than those, seconds to wait.

    `retry_after` is 0 for a request that was allowed.
    """

    limit: int
    remaining: int
    window: float
    retry_after: float = 0.0


class RateLimit:
    """Allow each key `limit` requests per PERIOD on average, and as many at once after a pause.

    A refused request costs nothing: a client that keeps asking too often gets through at the rate of the limit.
    """

    def __init__(self, limit: int, keys: int = KEYS) -> None:
        self.limit = limit
        self._interval = PERIOD / limit
        self._most_keys = keys
        # When each key has its whole quota again, the least recently used first. A time in the past says no more than
        # an absent key, so those are dropped: bounded by `keys`, in practice by the keys of the last PERIOD.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._full_at)

    def use(self, key: str, now: float) -> Quota:
        """Count a request of a key, unless it is one too many; `now` is monotonic seconds."""
        full_at = max(self._full_at.get(key, now), now)
        excess = full_at + self._interval - now - PERIOD
        # Rounding must not refuse the last request of a quota.
        if excess > 1e-6:
            return Quota(self.limit, 0, excess, excess)
        full_at += self._interval
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        self._drop_idle(now)
        there = PERIOD - (full_at - now)
        remaining = math.floor(there / self._interval + 1e-6)
        return Quota(self.limit, remaining, (remaining + 1) * self._interval - there)

    def give_back(self, key: str, now: float) -> None:
        """Uncount the latest request of a key."""
        full_at = self._full_at.get(key, now) - self._interval
        if full_at > now:
            self._full_at[key] = full_at
        else:
            self._full_at.pop(key, None)

    def _drop_idle(self, now: float) -> None:
        # Two per request: more than are added, and not all that became idle in one go.
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= self._most_keys:
                return
            del self._full_at[oldest]
