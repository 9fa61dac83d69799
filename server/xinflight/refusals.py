"""The log of refusals: a client that is refused a thousand times a second must not fill the disk."""

import structlog

from xinflight.clock import Clock
from xinflight.errors import XinflightError

__all__ = ["RefusalLog"]

log = structlog.stdlib.get_logger(__name__)

LINES = 60
"""Refusals that are logged in each period; the others are counted."""
PERIOD = 60.0


class RefusalLog:
    """Log at most LINES refusals in PERIOD seconds, then how many more there were. One for all clients."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = -PERIOD
        self._lines = 0
        self._left_out = 0

    def write(self, event: str, error: XinflightError) -> None:
        """Log one refusal, if there is room in this period."""
        now = self._clock.monotonic()
        if now - self._since >= PERIOD:
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines <= LINES:
            log.info(event, code=error.code, field=error.field)
            return
        if not self._left_out:
            self._clock.call_later(self._since + PERIOD - now, self._count)
        self._left_out += 1

    def _count(self) -> None:
        log.info("refusals not logged", count=self._left_out)
        self._left_out = 0
