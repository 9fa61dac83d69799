"""The work for one picture while its task is unfinished: what is shown of it, and what can be done to it. No I/O."""

import asyncio

from msgspec import Struct, field

from xinflight.clock import Timer
from xinflight.model import Job, Task
from xinflight.protocol import Details, Progress, Step, UpstreamState
from xinflight.upstream import Attempt, DurationKey, ProgressEstimator

__all__ = ["NO_POOL", "Live", "Work", "queued_step"]

NO_POOL = ""
"""Where tasks wait that were accepted before any model was known."""


TOLD_AGAIN = 1.0
"""Seconds by which a waiting time must be off, at the least, to be told again."""


class _Told(Struct, frozen=True):
    """What was told last of one that waits, and when in monotonic seconds."""

    position: int | None
    step: Step
    estimated_time: float | None
    at: float


class Live(Struct, eq=False, kw_only=True):
    """An unfinished task: its works, and the timer of its timeout. `stored` is done when it is acknowledged."""

    task: Task
    works: list["Work"]
    stored: asyncio.Future[None]
    deadline: Timer | None = None


class Work(Struct, eq=False, kw_only=True):
    """One picture on its way.

    `order` is its place among all accepted ones, `pool` where it queues. `attempt` is None while no request is under
    way, `pace` is that of the latest one, `sent` whether there was any. `stop` is set when there is no use in another
    one, `again` when the pause before it is over, `kept` when it goes on after the next start.
    """

    live: Live
    job: Job
    order: int
    pool: str
    stop: asyncio.Event
    again: asyncio.Event = field(default_factory=asyncio.Event)
    sent: bool = False
    kept: bool = False
    attempt: Attempt | None = None
    pace: ProgressEstimator | None = None
    step: Step = Step.QUEUED
    retry_reason: str | None = None
    position: int | None = None
    estimated_time: float | None = None
    started: float = 0.0
    shown: int = 0
    told: _Told | None = None
    confirm: Timer | None = None

    @property
    def priority(self) -> int:
        """The priority that its task asked for."""
        return self.live.task.params.priority

    def halt(self) -> None:
        """Say that there is no use in another try."""
        self.stop.set()
        self.again.set()

    def pace_key(self, model: str) -> DurationKey:
        """Return what the pace of this picture depends on."""
        params = self.live.task.params
        return DurationKey(model, params.size, params.steps)

    def begin_attempt(self, attempt: Attempt, now: float) -> None:
        """Show a new request: its percentage starts again."""
        self.attempt = attempt
        self.pace = attempt.pace
        self.step = Step.STARTING
        self.position = None
        self.started = now
        self.shown = 0

    def has_news(self, now: float) -> bool:
        """Tell whether place or step of one that waits changed, or its time is off by more than a fifth."""
        told = self.told
        if told is None or (told.position, told.step) != (self.position, self.step):
            return True
        if told.estimated_time is None or self.estimated_time is None:
            return told.estimated_time is not self.estimated_time
        expected = told.estimated_time - (now - told.at)
        return abs(self.estimated_time - expected) > max(self.estimated_time / 5, TOLD_AGAIN)

    def progress(self, now: float, unix: float) -> Progress:
        """Describe how far it is; the percentage never falls within an attempt, and 100 is the result's."""
        self.told = _Told(self.position, self.step, self.estimated_time, now)
        pace = self.pace
        params = self.live.task.params
        if pace is not None:
            self.shown = max(self.shown, min(int(pace.progress * 100), 99))
            self.estimated_time = pace.remaining(now)
        steps = params.steps if pace is not None else None
        sent = self.job.attempt > 0
        known = sent or self.job.upstream is not None or self.retry_reason is not None
        return Progress(
            task_id=self.live.task.task_id,
            timestamp=unix,
            index=self.job.index,
            state=self.job.state,
            progress=self.shown,
            step=self.step,
            step_index=round(pace.progress * steps) if pace is not None and steps else None,
            step_count=steps,
            position=None if self.job.ended else self.position,
            estimated_time=None if self.job.ended or self.estimated_time is None else round(self.estimated_time, 1),
            source="upstream" if pace is not None and pace.began else "estimate",
            details=Details(
                # The one under way, or the one that is waited for.
                attempt=max(self.job.attempt + (pace is None), 1),
                retry_reason=self.retry_reason,
                elapsed=round(now - self.started, 1) if pace is not None else None,
                upstream=self.job.upstream,
            )
            if known
            else None,
        )


def queued_step(state: UpstreamState, pool_known: bool) -> Step:
    """Say what a waiting picture waits for: its turn, or a model."""
    return Step.QUEUED if state is UpstreamState.READY and pool_known else Step.WAITING_FOR_MODEL
