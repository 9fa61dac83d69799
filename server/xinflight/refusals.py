"""Rate-limited log of refused requests, so that a misbehaving client can't fill the disk."""

import structlog

from xinflight.clock import Clock
from xinflight.errors import XinflightError
from xinflight.telemetry import UNCOUNTED, Telemetry

__all__ = ["RefusalLog"]

log = structlog.stdlib.get_logger(__name__)

LINES = 60
"""Refusals logged per period. Further ones are only counted."""
PERIOD = 60.0


class RefusalLog:
    """Log at most LINES refusals per PERIOD seconds, then the number of further ones. Shared by all clients."""

    def __init__(self, clock: Clock, telemetry: Telemetry = UNCOUNTED) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._since = -PERIOD
        self._lines = 0
        self._suppressed = 0

    def write(self, event: str, error: XinflightError) -> None:
        """Log the refusal of a request, or count it if the limit of this period is reached."""
        self._telemetry.refused(error.code)
        self.note(event, code=error.code, field=error.field)

    def note(self, event: str, **fields: str | None) -> None:
        """Log something that a client may cause as often as it likes, or count it."""
        now = self._clock.monotonic()
        if now - self._since >= PERIOD:
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines <= LINES:
            log.info(event, **fields)
            return
        if not self._suppressed:
            self._clock.call_later(self._since + PERIOD - now, self._count)
        self._suppressed += 1

    def _count(self) -> None:
        log.info("refusals not logged", count=self._suppressed)
        self._suppressed = 0
