"""What happens to outputs, counted: for the telemetry, and failures for admins."""

from xinflight.clock import Clock
from xinflight.errors import XinflightError
from xinflight.model import Task
from xinflight.protocol import CancelOutcome, State
from xinflight.tasks.failures import Failures
from xinflight.tasks.runs import OutputRun
from xinflight.telemetry import Telemetry

__all__ = ["Counts"]


class Counts:
    """Count what happens to the outputs of all pools."""

    def __init__(self, clock: Clock, telemetry: Telemetry) -> None:
        self.failures = Failures(clock)
        self._clock = clock
        self._telemetry = telemetry

    def started(self, run: OutputRun, waited: float) -> None:
        """Count a run that has a slot, for which it `waited` so many seconds."""
        self._telemetry.started(run.task.pool, run.task.kind, waited)

    def request_sent(self, run: OutputRun) -> None:
        """Count a request that is sent now."""
        self._telemetry.attempt_sent(run.task.pool, run.task.kind)

    def request_failed(self, run: OutputRun, error: XinflightError) -> None:
        """Count a request that failed, whether it is tried again or not."""
        self._telemetry.attempt_failed(run.task.pool, run.task.kind, error.code)
        self.failures.request_failed(run.task.pool, error.code)

    def first_progress(self, run: OutputRun, *, watched: bool) -> None:
        """Count how long it took to show the first progress; what nobody watches may be polled late."""
        if not run.progressed and watched:
            self._telemetry.first_progress(run.task.pool, run.task.kind, self._since_accepted(run.task))
        run.progressed = True

    def failed(self, run: OutputRun, error: XinflightError) -> None:
        """Count an output that ends with an error."""
        self.failures.output_failed(run.task.pool, error.code)

    def cancelled(self, run: OutputRun, outcome: CancelOutcome) -> None:
        """Count a cancelled output, with the seconds since its abort was sent."""
        since = run.cancelling_since
        self._telemetry.cancelled(outcome, 0.0 if since is None else self._clock.monotonic() - since)

    def ended(self, task: Task, state: State) -> None:
        """Count an output that ended, in whichever state."""
        self._telemetry.output_ended(task.pool, task.kind, state, self._since_accepted(task))

    def _since_accepted(self, task: Task) -> float:
        # The time of day may have been set back.
        return max(self._clock.time() - task.created, 0.0)
