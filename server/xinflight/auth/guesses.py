"""Slow down guessing: failed credentials are counted per address, and their log is rate-limited."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from xinflight.auth.credentials import BadToken
from xinflight.clock import Clock, Timer
from xinflight.errors import RateLimited, Unauthorised
from xinflight.rate_limit import RateLimit

__all__ = ["Guesses"]

log = structlog.stdlib.get_logger(__name__)

FAILURES = 10
"""Failures of an address per minute: typing errors, or a few scripts with an old token. At 14,400 guesses a day,
guessing one of 2^256 secrets is hopeless."""
MAX_ADDRESSES = 10_000
"""Addresses that are remembered, some 1 MB. Beyond it, the one that failed least recently is forgotten."""

LINES = 60
"""Addresses logged per period. Those of further addresses are counted in one line."""
PERIOD = 60.0


class Guesses:
    """Count failures per address: FAILURES at once, then one per 6 seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log = _FailureLog(clock)
        self._failures = RateLimit(FAILURES, MAX_ADDRESSES)

    @contextmanager
    def checking(self, address: str) -> Iterator[None]:
        """Check credentials inside the block, which raises BadToken if they are invalid; that is counted and logged.

        Raises:
            RateLimited: the address has failed too often; the block is not entered.
            Unauthorised: in place of BadToken.
        """
        # Counted beforehand, since otherwise thousands of concurrent guesses would all be checked.
        quota = self._failures.use(address, self._clock.monotonic())
        if quota.retry_after:
            self._log.write(address, "too many failures")
            raise RateLimited(limit=f"{FAILURES} invalid credentials per minute", retry_after=quota.retry_after)
        try:
            yield
        except BadToken as error:
            self._log.write(address, str(error))
            raise Unauthorised from None
        except BaseException:
            self._failures.give_back(address, self._clock.monotonic())
            raise
        self._failures.give_back(address, self._clock.monotonic())

    def close(self) -> None:
        """Log what has been counted."""
        self._log.close()


class _FailureLog:
    """Log failed log-ins: the first of an address at once, then one line per PERIOD with the number of others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timer: Timer | None = None
        # Failures of this period that are not logged yet, per address.
        self._counts: dict[str, int] = {}
        self._others = 0

    def write(self, address: str, reason: str) -> None:
        """Log or count one failure."""
        if self._timer is None:
            self._timer = self._clock.call_later(PERIOD, self._end_period)
        if address in self._counts:
            self._counts[address] += 1
        elif len(self._counts) < LINES:
            self._counts[address] = 0
            log.warning("log-in failed", address=address, reason=reason, count=1)
        else:
            self._others += 1

    def _end_period(self) -> None:
        counts, others = self._counts, self._others
        self._timer, self._counts, self._others = None, {}, 0
        for address, count in counts.items():
            if count:
                log.warning("log-in failed", address=address, count=count)
        if others:
            log.warning("log-in failed at further addresses", count=others)

    def close(self) -> None:
        """Log what has been counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._end_period()
