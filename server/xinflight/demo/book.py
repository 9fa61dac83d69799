"""What the emulated Xinference keeps about requests: progress, running and blocked ids, bad keys.

Sources: Xinference 4.1.0, `core/progress_tracker.py`, `core/utils.py` (CancelMixin), `api/oauth2/advanced`.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

from xinflight.clock import Clock
from xinflight.demo.wire import Refusal

__all__ = ["IdRegister", "KeyGuard", "ProgressBook", "ProgressSnapshot"]

FINISHED_SECONDS = 300.0  # XINFERENCE_REMOVE_PROGRESS_INTERVAL
SWEEP_SECONDS = 60.0  # XINFERENCE_CHECK_PROGRESS_INTERVAL
BAD_KEYS = 10
BAD_KEY_WINDOW = 300.0
BAN_SECONDS = 3600.0

JobT = TypeVar("JobT")


class ProgressSnapshot(msgspec.Struct, frozen=True):
    """The answer to a progress request. Durations are seconds."""

    progress: float
    elapsed_seconds: float
    eta_seconds: float | None


class _Entry(msgspec.Struct):
    started: float
    moved: float  # when progress last rose
    progress: float = 0.0
    reported: float = 0.0  # what the model process last sent, behind which it stays silent
    pace: float | None = None  # seconds per unit of progress, smoothed
    samples: int = 0
    interval: float = 0.0


class ProgressBook:
    """Progress by request id.

    A figure is kept when it is at least `span` above the last one kept, or 1.0. Entries at 1.0 live five
    minutes and up to one more, the others for ever: a request whose process died stays where it was.
    """

    def __init__(self, clock: Clock, span: float) -> None:
        self._clock = clock
        self._span = span
        self._entries: dict[Hashable, _Entry] = {}
        self._swept = clock.monotonic()

    def start(self, request_id: Hashable) -> None:
        """Begin, or begin again, at 0."""
        now = self._clock.monotonic()
        self._sweep(now)
        if request_id is not None:
            self._entries[request_id] = _Entry(now, now)

    def report(self, request_id: Hashable, progress: float) -> None:
        """Take what a step reached, 0 to 1; ids that were never started are ignored."""
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
        """Go to 1.0, whatever the end was."""
        self.report(request_id, 1.0)

    def snapshot(self, request_id: Hashable) -> ProgressSnapshot:
        """Answer what is known.

        Raises:
            KeyError: unknown, not begun or expired.
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


class IdRegister(Generic[JobT]):
    """Which request ids run, and which are blocked after an abort."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[Hashable, JobT] = {}
        self._blocked: dict[Hashable, float] = {}  # until when, on the monotonic clock

    def add(self, request_id: Hashable, job: JobT) -> None:
        """Enter a job; a None id enters nothing.

        Raises:
            Refusal: 500, the id runs already or is blocked.
        """
        if request_id is None:
            return
        if self._blocked.get(request_id, 0.0) > self._clock.monotonic():
            raise Refusal(500, f"The request has been aborted: {request_id}")
        if request_id in self._running:
            raise Refusal(500, f"Duplicate request id: {request_id}")
        self._running[request_id] = job

    def remove(self, request_id: Hashable, job: JobT) -> None:
        """Take a job out, if the id is still this job's."""
        if self._running.get(request_id) is job:
            del self._running[request_id]

    def abort(self, request_id: Hashable, block_seconds: float) -> JobT | None:
        """Take the job out, block its id for a while, and return it; None when nothing ran under it."""
        now = self._clock.monotonic()
        self._blocked = {key: until for key, until in self._blocked.items() if until > now}
        self._blocked.pop(request_id, None)
        if block_seconds > 0:
            self._blocked[request_id] = now + block_seconds
        return self._running.pop(request_id, None)


class KeyGuard:
    """One API key, and the ban of addresses that bring ten bad ones within five minutes."""

    def __init__(self, clock: Clock, key: str) -> None:
        self._clock = clock
        self._key = key
        self._failures: dict[str, list[float]] = {}
        self._banned: dict[str, float] = {}

    def check(self, address: str, authorization: str | None, scope: str) -> None:
        """Let a request pass.

        Raises:
            Refusal: 429 banned, 401 no or bad key, 403 a key where only an account may go.
        """
        now = self._clock.monotonic()
        if self._banned.get(address, 0.0) > now:
            raise Refusal(429, "Too many failed attempts. IP temporarily banned.")
        challenge = {"WWW-Authenticate": f'Bearer scope="{scope}"'}
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Refusal(401, "Could not validate credentials", headers=challenge)
        if token != self._key:
            recent = [at for at in self._failures.get(address, []) if at > now - BAD_KEY_WINDOW]
            self._failures[address] = [*recent, now]
            if len(recent) + 1 >= BAD_KEYS:
                self._banned[address] = now + BAN_SECONDS
            raise Refusal(401, "Could not validate credentials", headers=challenge)
        if scope == "admin":
            detail = "API keys can only access model query and inference endpoints"
            raise Refusal(403, detail, headers=challenge)
