"""Progress of the emulated generations, by request id.

Source: Xinference 4.1.0, `core/progress_tracker.py`.
"""

from collections.abc import Hashable

import msgspec

from xinflight.clock import Clock

__all__ = ["ProgressSnapshot", "ProgressTracker"]

FINISHED_SECONDS = 300.0  # XINFERENCE_REMOVE_PROGRESS_INTERVAL
SWEEP_SECONDS = 60.0  # XINFERENCE_CHECK_PROGRESS_INTERVAL


class ProgressSnapshot(msgspec.Struct, frozen=True):
    """The response to a progress request. Durations are in seconds."""

    progress: float
    elapsed_seconds: float
    eta_seconds: float | None


class _Entry(msgspec.Struct):
    started: float
    moved: float  # when progress last rose
    progress: float = 0.0
    reported: float = 0.0  # the value that the model process sent last
    pace: float | None = None  # seconds per unit of progress, smoothed
    samples: int = 0
    interval: float = 0.0


class ProgressTracker:
    """Progress by request id.

    A value is stored if it is at least `span` above the last stored one, or 1.0. Entries at 1.0 are removed after
    five to six minutes, the others never: the progress of a request whose process died stays where it was.
    """

    def __init__(self, clock: Clock, span: float) -> None:
        self._clock = clock
        self._span = span
        self._entries: dict[Hashable, _Entry] = {}
        self._swept = clock.monotonic()

    def start(self, request_id: Hashable) -> None:
        """Start, or restart, an entry at 0."""
        now = self._clock.monotonic()
        self._sweep(now)
        if request_id is not None:
            self._entries[request_id] = _Entry(now, now)

    def report(self, request_id: Hashable, progress: float) -> None:
        """Record the progress of a step, 0 to 1. Ids that were never started are ignored."""
        entry = self._entries.get(request_id)
        if entry is None or (progress - entry.reported < self._span and progress < 1.0 - 1e-5):
            return
        entry.reported = progress
        now = self._clock.monotonic()
        change, duration = progress - entry.progress, now - entry.moved
        if change > 0 and duration > 0:
            entry.samples += 1
            entry.interval = duration
            sample = duration / change
            entry.pace = sample if entry.pace is None else 0.3 * sample + 0.7 * entry.pace
        entry.progress, entry.moved = progress, now

    def finish(self, request_id: Hashable) -> None:
        """Set the progress to 1.0, however the request ended."""
        self.report(request_id, 1.0)

    def snapshot(self, request_id: Hashable) -> ProgressSnapshot:
        """Return the progress of a request.

        Raises:
            KeyError: the id is unknown, not started or expired.
        """
        now = self._clock.monotonic()
        self._sweep(now)
        entry = self._entries[request_id]
        eta = None
        fresh = now - entry.moved <= max(30, 3 * entry.interval)
        if entry.pace is not None and entry.samples >= 2 and 0 < entry.progress < 1 and fresh:
            eta = (1 - entry.progress) * entry.pace
        return ProgressSnapshot(entry.progress, now - entry.started, eta)

    def _sweep(self, now: float) -> None:
        if now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        self._entries = {
            request_id: entry
            for request_id, entry in self._entries.items()
            if entry.progress < 1.0 - 1e-5 or now - entry.moved <= FINISHED_SECONDS
        }
