"""What runs now: an unfinished task with the runs of its outputs, and what is shown of each. No I/O."""

import asyncio
from enum import StrEnum

from msgspec import Struct, field

from xinflight.clock import Clock, Timer
from xinflight.model import Output, Task
from xinflight.protocol import Details, Progress, State, Step
from xinflight.upstream import KINDS, Attempt, DurationKey, ProgressEstimator

__all__ = ["ActiveTask", "OutputRun", "Phase", "View", "progress_message"]


class Phase(StrEnum):
    """Where a run is."""

    WAITING = "waiting"
    """In the queue, or in a slot but not asked for yet."""
    SENT = "sent"
    """A request is under way."""
    RETRYING = "retrying"
    """In a slot, and waits before the next request, or the next try to store what was made."""
    SAVING = "saving"
    """The output is there and being stored."""
    PAUSED = "paused"
    """Not in the queue, until its task is unpaused."""
    OVER = "over"
    """No further request is sent: the output has ended, or goes on after the next start."""


class ActiveTask(Struct, eq=False, kw_only=True):
    """An unfinished task. `sequence` rises with acceptance; `deadline` is the timer of its timeout.

    `bytes` is its size when it was added, whatever is assigned to it later. `address` stands for the client that it
    came from; None for loopback, for the host's own code, and after a restart.
    """

    task: Task
    sequence: int
    bytes: int
    address: str | None = None
    runs: list["OutputRun"] = field(default_factory=list)
    deadline: Timer | None = None

    @property
    def waits(self) -> bool:
        """Tell whether an output of it waits for its turn, or for the task to be unpaused."""
        return any(run.waits for run in self.runs)


class View(Struct, kw_only=True):
    """What is shown of a run. `percent` is 0 to 99; `estimator` that of the latest request, None between requests.

    `estimated_time` are the seconds until the output is there, `position` its place in the queue from 1, `made_in`
    the step before what was made is stored.
    """

    step: Step = Step.QUEUED
    made_in: Step = Step.QUEUED
    percent: int = 0
    position: int | None = None
    estimated_time: float | None = None
    retry_reason: str | None = None
    estimator: ProgressEstimator | None = None
    started: float = 0.0

    def begin(self, estimator: ProgressEstimator, now: float) -> None:
        """Show a new request: its percentage starts again."""
        self.estimator = estimator
        self.step = Step.STARTING
        self.position = None
        self.started = now
        self.percent = 0

    def update(self, now: float) -> None:
        """Read the estimator, for a snapshot that is published now.

        The percentage never falls within a request, and 100 is the result's.
        """
        if self.estimator is not None:
            self.percent = max(self.percent, min(int(self.estimator.progress * 100), 99))
            self.estimated_time = self.estimator.remaining(now)

    def save(self) -> None:
        """Show that what was made is being stored."""
        self.made_in = self.step
        self.step = Step.SAVING
        # However rarely it was polled.
        self.percent = 99

    def pause(self, step: Step) -> None:
        """Show that no request is under way."""
        self.estimator = None
        self.percent = 0
        self.step = step

    def hold(self) -> None:
        """Show that its task is paused."""
        self.pause(Step.PAUSED)
        self.position = self.estimated_time = None


class OutputRun(Struct, eq=False, kw_only=True):
    """One output on its way. `attempt` is the request under way, `confirm` the timer of an unconfirmed cancel.

    `sending` tells that a request is being stored, to be sent then.
    `sequence` is its place among all accepted ones. `changed` is set when a pause before the next request may end.
    `charged_from` is when the first request in its present slot was sent, or the images for it began to be decoded,
    in monotonic seconds; None before. `queued_at` is when it joined the queue, `cancelling_since` when its abort was
    sent, both monotonic. `progressed` tells that its first progress was shown.
    """

    active: ActiveTask
    output: Output
    sequence: int
    phase: Phase = Phase.WAITING
    attempt: Attempt | None = None
    sending: bool = False
    charged_from: float | None = None
    queued_at: float = 0.0
    cancelling_since: float | None = None
    progressed: bool = False
    view: View = field(default_factory=View)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    confirm: Timer | None = None

    @property
    def owner(self) -> str:
        """Whose it is."""
        return self.active.task.owner

    @property
    def weight(self) -> float:
        """The weight of its owner when it was accepted."""
        return self.active.task.weight

    @property
    def rank(self) -> float:
        """The rank of its task."""
        return self.active.task.rank

    @property
    def priority(self) -> int:
        """The priority that its task asked for."""
        return self.active.task.params.priority

    @property
    def task(self) -> Task:
        """The task that the output belongs to."""
        return self.active.task

    @property
    def waits(self) -> bool:
        """Tell whether it waits for its turn, or for its task to be unpaused."""
        return self.phase in (Phase.WAITING, Phase.PAUSED) and self.output.state is State.QUEUED

    def duration_key(self, model_uid: str) -> DurationKey:
        """Return what the duration of this output depends on."""
        return KINDS[self.task.kind].duration_key(model_uid, self.task.params)

    @property
    def over(self) -> bool:
        """Tell whether no further request is sent."""
        return self.phase is Phase.OVER

    def finish(self) -> None:
        """Send no further request."""
        self.phase = Phase.OVER
        self.changed.set()

    async def pause(self, clock: Clock, seconds: float) -> None:
        """Wait for `seconds`, until `changed` is set, or until the run is over."""
        self.changed.clear()
        if self.over:
            return
        try:
            async with clock.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            pass


def progress_message(run: OutputRun, now: float, unix: float) -> Progress:
    """Return the snapshot of a run as it is shown; `now` is monotonic, `unix` Unix seconds."""
    view, output = run.view, run.output
    estimator = view.estimator
    steps = KINDS[run.task.kind].step_count(run.task.params) if estimator is not None else None
    known = output.attempt > 0 or output.upstream is not None or view.retry_reason is not None
    return Progress(
        task_id=run.task.task_id,
        timestamp=unix,
        index=output.index,
        state=output.state,
        progress=view.percent,
        step=view.step,
        step_index=round(estimator.progress * steps) if estimator is not None and steps else None,
        step_count=steps,
        position=None if output.ended else view.position,
        estimated_time=None if output.ended or view.estimated_time is None else round(view.estimated_time, 1),
        source="upstream" if estimator is not None and estimator.began else "estimate",
        details=Details(
            # The one under way, or the one that is waited for.
            attempt=max(output.attempt + (estimator is None), 1),
            retry_reason=view.retry_reason,
            elapsed=round(now - view.started, 1) if estimator is not None else None,
            upstream=output.upstream,
        )
        if known
        else None,
    )
