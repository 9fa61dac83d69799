"""Request ids of the emulated Xinference: which are running, and which are blocked after an abort.

Source: Xinference 4.1.0, `core/utils.py` (CancelMixin).
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from xinflight.clock import Clock
from xinflight.demo.errors import HttpError

__all__ = ["RequestIds"]

JobT = TypeVar("JobT")


class RequestIds(Generic[JobT]):
    """Register of request ids that are running or blocked after an abort."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[Hashable, JobT] = {}
        self._blocked: dict[Hashable, float] = {}  # until when, on the monotonic clock

    def add(self, request_id: Hashable, job: JobT) -> None:
        """Register a job under its id, unless the id is None.

        Raises:
            HttpError: 500, the id is already running or is blocked.
        """
        if request_id is None:
            return
        if self._blocked.get(request_id, 0.0) > self._clock.monotonic():
            raise HttpError(500, f"The request has been aborted: {request_id}")
        if request_id in self._running:
            raise HttpError(500, f"Duplicate request id: {request_id}")
        self._running[request_id] = job

    def remove(self, request_id: Hashable, job: JobT) -> None:
        """Remove a job if the id still belongs to it."""
        if self._running.get(request_id) is job:
            del self._running[request_id]

    def abort(self, request_id: Hashable, block_seconds: float) -> JobT | None:
        """Remove the job, block its id for some seconds, and return the job, or None if nothing ran under the id."""
        now = self._clock.monotonic()
        self._blocked = {key: until for key, until in self._blocked.items() if until > now}
        self._blocked.pop(request_id, None)
        if block_seconds > 0:
            self._blocked[request_id] = now + block_seconds
        return self._running.pop(request_id, None)
