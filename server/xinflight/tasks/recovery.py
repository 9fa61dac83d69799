"""After a crash or a restart: what was unfinished goes on, once nothing of the last life runs upstream any more."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import aiohttp
import structlog

from xinflight.errors import UpstreamAuth, XinflightError
from xinflight.model import Job, Task
from xinflight.protocol import CancelOutcome, State, UpstreamState
from xinflight.storage import Blobs
from xinflight.tasks.runner import order
from xinflight.tasks.runs import NO_POOL, Work
from xinflight.tasks.scheduler import Scheduler
from xinflight.upstream import Attempt, Model, ProgressEstimator, Xinference

__all__ = ["Recovery", "may_run", "rewind"]

log = structlog.stdlib.get_logger(__name__)

AGAIN = 1.0
"""Seconds before asking again when Xinference went away in the middle."""
ASKERS = 16
"""Old requests that are asked about at once; two calls of some 2 ms each."""


def may_run(job: Job) -> bool:
    """Tell of a job as it was stored whether a request for it may be under way: that is stored before it is sent."""
    return job.state in (State.STARTING, State.RUNNING, State.CANCELLING)


async def rewind(task: Task, images: Blobs) -> list[Job]:
    """Bring a task of the last life to where it goes on; return the pictures whose files were written already."""
    inline = task.params.response_format == "b64_json"
    adopted = []
    for job in task.jobs:
        if job.ended:
            continue
        if may_run(job) and await _adopt(job, images, inline=inline):
            adopted.append(job)
        elif task.cancelled_at is not None or job.state is State.CANCELLING:
            job.state = State.CANCELLING
        else:
            job.state = State.QUEUED
    if task.cancelled_at is not None:
        task.state = State.CANCELLING
    else:
        task.state = State.RUNNING if any(job.state is State.COMPLETED for job in task.jobs) else State.QUEUED
    return adopted


async def _adopt(job: Job, images: Blobs, *, inline: bool) -> bool:
    """Complete a picture whose file was written before the crash; return whether there was one."""
    info = await images.identify(job.picture_id)
    if info is None:
        return False
    job.complete(info, inline=inline)
    job.state = State.COMPLETED
    return True


class Recovery:
    """Ask Xinference about every request of the last life, stop those that run, then let their works queue.

    No model may have a free slot while `active`. `queue` is called with works whose old request has ended,
    `cancelled(work, end)` for each one that was being cancelled, `done` when every request has been asked about.
    `run` is one supervised task of the manager: after a failure it goes on with what is left.
    """

    def __init__(
        self,
        upstream: Xinference,
        scheduler: Scheduler[Work],
        *,
        queue: Callable[[Sequence[Work]], None],
        cancelled: Callable[[Work, CancelOutcome], None],
        done: Callable[[], None],
    ) -> None:
        self._upstream = upstream
        self._scheduler = scheduler
        self._queue = queue
        self._cancelled = cancelled
        self._done = done
        # Works whose old request has not been asked about, in the order of their acceptance.
        self._unasked: dict[Work, None] = {}
        # Those of which none runs, until all have been asked about.
        self._free: list[Work] = []
        # Works whose old request may still run, and the models whose slots it takes.
        self._old: dict[Work, list[Model]] = {}

    @property
    def active(self) -> bool:
        """Tell whether a request has not been asked about yet."""
        return bool(self._unasked)

    def begin(self, works: Sequence[Work]) -> None:
        """Take works of the last life whose requests may run; `run` follows."""
        self._unasked = dict.fromkeys(works)

    def upstream_end(self, work: Work) -> CancelOutcome | None:
        """Say what a cancel of this work achieves now, or None when it has no old request that may run."""
        if work in self._unasked:
            return CancelOutcome.UNCONFIRMED
        if work in self._old:
            return CancelOutcome.UNCONFIRMED if _stoppable(work, self._old[work][0]) else CancelOutcome.RUNNING_ON
        return None

    async def run(self) -> None:
        """Return when nothing of the last life runs any more. Cancelling leaves the rest to the next start."""
        todo = iter(list(self._unasked))
        async with asyncio.TaskGroup() as askers:
            for number in range(min(ASKERS, len(self._unasked))):
                askers.create_task(self._ask_all(todo), name=f"recovery {number}")
        free, self._free = self._free, []
        # Some may have ended in the meantime.
        self._queue([work for work in free if not work.job.ended])
        async with asyncio.TaskGroup() as settling:
            for work in self._old:
                settling.create_task(self._settle(work), name=f"settle {work.job.request_id}")
            self._done()

    async def _ask_all(self, works: Iterator[Work]) -> None:
        for work in works:
            await self._ask(work)
            if work not in self._old:
                self._free.append(work)
            del self._unasked[work]

    async def _ask(self, work: Work) -> None:
        """Find out whether the old request of a work may still run, and then make it stop, if its route can."""
        while True:
            models = await self._models(work)
            if not models:
                # A model that is gone took its requests along.
                break
            attempt = self._attempt(work, models[0])
            try:
                for model in models:
                    if _stoppable(work, model):
                        # First, for it blocks one too that has not arrived yet.
                        await self._upstream.abort_request(model.uid, work.job.request_id)
                progress = await attempt.progress()
            except (aiohttp.ClientError, OSError, UpstreamAuth) as error:
                log.debug("asking about an old request failed", error=str(error))
                await self._upstream.clock.sleep(AGAIN)
                continue
            except XinflightError as error:
                log.info("an old request may still run", error=str(error))
                progress = 0.0
            if progress is not None:
                work.job.attempt = max(work.job.attempt, 1)
                if progress < 1.0:
                    self._keep_out(work, models)
                    return
            break
        if work.job.state is State.CANCELLING:
            self._cancelled(work, CancelOutcome.STOPPED if work.job.attempt else CancelOutcome.NEVER_STARTED)

    def _keep_out(self, work: Work, models: list[Model]) -> None:
        """Take the slot of a request that may still run: one of each model that may have it."""
        self._old[work] = models
        for model in models:
            self._scheduler.occupy(model.uid)
        if work.job.state is State.CANCELLING and not _stoppable(work, models[0]):
            self._cancelled(work, CancelOutcome.RUNNING_ON)

    async def _models(self, work: Work) -> list[Model]:
        """Wait until Xinference is there, and return the models that may have been asked for a work."""
        while self._upstream.state is not UpstreamState.READY:
            await self._upstream.clock.sleep(AGAIN)
        return [model for model in self._upstream.models.values() if work.pool in (model.pool, NO_POOL)]

    def _attempt(self, work: Work, model: Model) -> Attempt:
        pace = ProgressEstimator(None, self._upstream.clock.monotonic(), None, 0.0)
        return Attempt(
            self._upstream, order(work, model), pace, true_cancel=_stoppable(work, model), report=lambda: None
        )

    async def _settle(self, work: Work) -> None:
        """Wait for the end of an old request; only then may its work be sent again."""
        models = self._old[work]
        await self._attempt(work, models[0]).settle()
        del self._old[work]
        if work.job.state is State.CANCELLING:
            self._cancelled(work, CancelOutcome.STOPPED)
        elif not work.job.ended:
            self._queue([work])
        for model in models:
            self._scheduler.release(model.uid)


def _stoppable(work: Work, model: Model) -> bool:
    """Tell whether the old request of a work may be aborted at a model."""
    return model.true_cancel and work.job.stoppable
