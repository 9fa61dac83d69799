"""What failed within the last hour, counted by pool and error code."""

from collections import Counter, deque

from xinflight.clock import Clock
from xinflight.protocol import FailureCount

__all__ = ["Failures"]

KEPT = 3600.0
"""Seconds for which a failure counts."""
SLICE = 300.0
"""Seconds that are counted together, and forgotten together."""

_Key = tuple[str, str]
"""A pool and an error code."""


class Failures:
    """Count failed requests and failed outputs. Bounded by the pools and the codes of the last hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # The newest last, each with its number: monotonic seconds by SLICE.
        self._slices: deque[tuple[int, Counter[_Key], Counter[_Key]]] = deque(maxlen=round(KEPT / SLICE) + 1)
        self._last: dict[_Key, float] = {}

    def request_failed(self, pool: str, code: str) -> None:
        """Count a request to Xinference that failed, whether it is tried again or not."""
        requests, _ = self._current()
        requests[pool, code] += 1
        self._last[pool, code] = self._clock.time()

    def output_failed(self, pool: str, code: str) -> None:
        """Count an output that ended with an error."""
        _, outputs = self._current()
        outputs[pool, code] += 1
        self._last[pool, code] = self._clock.time()

    def recent(self) -> list[FailureCount]:
        """Return what failed within the last hour, the most frequent first."""
        self._current()
        requests, outputs = Counter[_Key](), Counter[_Key]()
        for _, some_requests, some_outputs in self._slices:
            requests.update(some_requests)
            outputs.update(some_outputs)
        counts = [
            FailureCount(pool=key[0], code=key[1], requests=requests[key], outputs=outputs[key], last=self._last[key])
            for key in requests.keys() | outputs.keys()
        ]
        return sorted(counts, key=lambda count: (-max(count.requests, count.outputs), count.pool, count.code))

    def _current(self) -> tuple[Counter[_Key], Counter[_Key]]:
        """Return the counters of the current slice, and forget those that are too old."""
        number = int(self._clock.monotonic() // SLICE)
        if not self._slices or self._slices[-1][0] != number:
            self._slices.append((number, Counter(), Counter()))
            while number - self._slices[0][0] > KEPT / SLICE:
                self._slices.popleft()
            kept = {key for _, requests, outputs in self._slices for key in requests.keys() | outputs.keys()}
            self._last = {key: last for key, last in self._last.items() if key in kept}
        _, requests, outputs = self._slices[-1]
        return requests, outputs
