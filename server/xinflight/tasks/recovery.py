"""After a crash or a restart: what was unfinished goes on, once nothing of the last life runs upstream any more."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import structlog

from xinflight.errors import UpstreamAuth, XinflightError
from xinflight.model import Output
from xinflight.protocol import CancelOutcome, State, UpstreamState
from xinflight.tasks.ledger import Ledger
from xinflight.tasks.runner import generation_request
from xinflight.tasks.runs import OutputRun
from xinflight.tasks.scheduler import Scheduler
from xinflight.tasks.slots import Slots
from xinflight.upstream import KINDS, NOT_FOUND, Attempt, Inputs, Model, ProgressEstimator, Xinference

__all__ = ["Recovery", "may_run"]

log = structlog.stdlib.get_logger(__name__)

AGAIN = 1.0
"""Seconds before asking again when Xinference went away in the middle."""
ASKERS = 16
"""Old requests that are asked about at once; two calls of some 2 ms each."""


def may_run(output: Output) -> bool:
    """Tell of a stored output whether a request for it may be under way: that is stored before it is sent."""
    if output.state is State.QUEUED:
        return output.announced
    return output.state in (State.STARTING, State.RUNNING, State.CANCELLING)


class Recovery:
    """Ask Xinference about every request of the last life, abort those that run, then queue their outputs again.

    No model may have a free slot while `active`. `enqueue` queues an output again, `on_queued` is called after that.
    """

    def __init__(
        self,
        pool: str,
        upstream: Xinference,
        ledger: Ledger,
        scheduler: Scheduler[OutputRun],
        slots: Slots,
        enqueue: Callable[[OutputRun], None],
        on_queued: Callable[[], None],
    ) -> None:
        self._enqueue = enqueue
        self._on_queued = on_queued
        self._pool = pool
        self._upstream = upstream
        self._ledger = ledger
        self._scheduler = scheduler
        self._slots = slots
        # Runs whose old request has not been asked about, in the order of their acceptance.
        self._unasked: dict[OutputRun, None] = {}
        # Runs whose old request may still be there, and the models whose slots it takes.
        self._old: dict[OutputRun, list[Model]] = {}

    @property
    def active(self) -> bool:
        """Tell whether a request has not been asked about yet."""
        return bool(self._unasked)

    @property
    def settling(self) -> bool:
        """Tell whether an old request may still run."""
        return bool(self._unasked or self._old)

    def begin(self, runs: Sequence[OutputRun]) -> None:
        """Register runs of the last life whose requests may be there; `ask`, then `settle` follow."""
        self._unasked.update(dict.fromkeys(runs))

    def involves(self, run: OutputRun) -> bool:
        """Tell whether an old request of this run may still be at Xinference."""
        return run in self._unasked or run in self._old

    def cancel_outcome(self, run: OutputRun) -> CancelOutcome | None:
        """Return what a cancel of this run achieves now, or None when it has no old request that may run."""
        if run in self._unasked:
            return CancelOutcome.UNCONFIRMED
        if run in self._old:
            return CancelOutcome.UNCONFIRMED if _abortable(run, self._old[run][0]) else CancelOutcome.RUNNING_ON
        return None

    async def ask(self) -> None:
        """Ask about every old request, and queue the outputs that have none any more.

        After a failure it can be called again, and goes on with what is left.
        """
        todo = iter(list(self._unasked))
        async with asyncio.TaskGroup() as askers:
            for number in range(min(ASKERS, len(self._unasked))):
                askers.create_task(self._ask_all(todo), name=f"ask {self._pool} {number}")

    async def _ask_all(self, runs: Iterator[OutputRun]) -> None:
        for run in runs:
            await self._ask(run)
            del self._unasked[run]
            if run not in self._old:
                self._queue_again(run)

    def _queue_again(self, run: OutputRun) -> None:
        """Queue an output whose old request has ended, unless it has ended itself in the meantime."""
        if not run.output.ended:
            # The old id is blocked for a while by the abort.
            self._ledger.renew_request_id(run)
            self._enqueue(run)
        self._on_queued()

    async def settle(self) -> None:
        """Return when nothing of the last life runs any more. Cancelling leaves the rest to the next start."""
        async with asyncio.TaskGroup() as settling:
            for run in self._old:
                settling.create_task(self._settle(run), name=f"settle {run.output.request_id}")

    async def _ask(self, run: OutputRun) -> None:
        """Find out whether the old request of a run may still be there, and then abort it, if its route can."""
        while True:
            models = await self._models(run)
            if not models:
                # A model that is gone took its requests along.
                break
            try:
                aborted = [model for model in models if await self._abort(run, model)]
                if KINDS[run.task.kind].shows_end == "abort":
                    # Where the abort found it; usually none, since the connection was closed with the process.
                    models, progress = aborted, 0.0 if aborted else None
                else:
                    progress = await self._attempt(run, models[0]).progress()
            except (OSError, UpstreamAuth) as error:
                log.debug("asking about an old request failed", error=str(error))
                await self._upstream.clock.sleep(AGAIN)
                continue
            except XinflightError as error:
                about = {"task": run.task.task_id, "request_id": run.task.request_id}
                log.info("an old request may still run", error=str(error), **about)
                progress = 0.0
            kind = KINDS[run.task.kind]
            if progress is None and not kind.unknown_has_ended:
                progress = 0.0
            if progress is not None:
                self._ledger.was_sent(run)
                if progress < 1.0 or kind.shows_end != "progress":
                    self._hold_slots(run, models)
                    return
            break
        if run.output.state is State.CANCELLING:
            self._ledger.cancel(run, CancelOutcome.STOPPED if run.output.attempt else CancelOutcome.NEVER_STARTED)

    async def _abort(self, run: OutputRun, model: Model) -> bool:
        """Abort the old request of a run at a model, if its route can; return False if it is not there."""
        if not _abortable(run, model):
            return True
        # Before its progress is asked for, since it blocks one too that has not arrived yet.
        return await self._upstream.abort_request(model.uid, run.output.request_id) != NOT_FOUND

    def _hold_slots(self, run: OutputRun, models: list[Model]) -> None:
        """Take the slot of a request that may still run: one of each model that may have it."""
        self._old[run] = models
        for model in models:
            self._slots.occupy(run, model.uid)
        if run.output.state is State.CANCELLING and not _abortable(run, models[0]):
            self._ledger.cancel(run, CancelOutcome.RUNNING_ON)

    async def _models(self, run: OutputRun) -> list[Model]:
        """Wait until Xinference is there, and return the models that may have been asked for an output."""
        while self._upstream.state is not UpstreamState.READY:
            await self._upstream.clock.sleep(AGAIN)
        wanted = run.task.params.model
        return [model for model in self._upstream.models.values() if self._pool == model.pool or model.uid == wanted]

    def _attempt(self, run: OutputRun, model: Model) -> Attempt:
        estimator = ProgressEstimator(None, self._upstream.clock.monotonic(), None, None)
        return Attempt(
            self._upstream,
            KINDS[run.task.kind],
            generation_request(run, model, Inputs()),
            estimator,
            true_cancel=_abortable(run, model),
            report=lambda: None,
        )

    async def _settle(self, run: OutputRun) -> None:
        """Wait for the end of an old request; only then may its output be asked for again."""
        models = self._old[run]
        for model in models:
            await self._attempt(run, model).settle()
        del self._old[run]
        if run.output.state is State.CANCELLING:
            self._ledger.cancel(run, CancelOutcome.STOPPED)
        self._queue_again(run)
        for model in models:
            self._slots.free(run, model.uid)


def _abortable(run: OutputRun, model: Model) -> bool:
    """Tell whether the old request of a run may be aborted at a model."""
    return model.true_cancel and run.output.abortable
