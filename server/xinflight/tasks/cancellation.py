"""Cancel outputs: what is waiting ends at once, what runs is aborted, and the end says what that achieved."""

from xinflight.errors import XinflightError
from xinflight.protocol import CancelOutcome, State
from xinflight.tasks.ledger import Ledger
from xinflight.tasks.recovery import Recovery
from xinflight.tasks.runs import ActiveTask, OutputRun, Phase
from xinflight.tasks.scheduler import Scheduler

__all__ = ["Cancellation"]


class Cancellation:
    """Cancel and give up the runs of one pool."""

    def __init__(self, ledger: Ledger, scheduler: Scheduler[OutputRun], recovery: Recovery) -> None:
        self._ledger = ledger
        self._scheduler = scheduler
        self._recovery = recovery

    def cancel(self, active: ActiveTask, index: int | None = None) -> None:
        """Cancel all outputs of a task, or one. Abort requests are sent at once; the intent is stored concurrently.

        Idempotent. A slot is freed only when its request is known to have ended.
        """
        if index is None:
            self._ledger.intend_cancel(active)
        for run in active.runs:
            if index is None or run.output.index == index:
                self._cancel(run)
        self._ledger.save(active.task)

    def _cancel(self, run: OutputRun) -> None:
        output = run.output
        if output.ended or output.state is State.CANCELLING:
            return
        self._scheduler.remove(run)
        if run.phase in (Phase.WAITING, Phase.PAUSED, Phase.RETRYING):
            self._ledger.not_sent(run)
            outcome = CancelOutcome.STOPPED if output.attempt > 0 else CancelOutcome.NEVER_STARTED
            self._ledger.cancel(run, self._recovery.cancel_outcome(run) or outcome)
        elif run.attempt is None:
            # It is being stored: that is fast, and the output wins.
            return
        elif run.attempt.true_cancel:
            run.attempt.abort()
            self._ledger.cancelling(run, run.attempt.confirm_seconds)
        else:
            run.attempt.abort()
            self._ledger.cancel(run, CancelOutcome.RUNNING_ON)

    def expire(self, active: ActiveTask) -> None:
        """End a task that ran out of time; slots stay taken until their requests have ended."""
        for run in active.runs:
            self._stop(run)
        self._ledger.expire(active)

    def give_up(self, run: OutputRun, error: XinflightError) -> None:
        """End one output with an error at once; its slot stays taken until its request has ended."""
        self._stop(run)
        self._ledger.fail(run, error)

    def _stop(self, run: OutputRun) -> None:
        self._scheduler.remove(run)
        if run.attempt is not None:
            run.attempt.abort()
