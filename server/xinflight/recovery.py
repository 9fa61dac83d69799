"""After a crash or a restart: what was unfinished goes on, once nothing of the last life runs upstream any more."""

import asyncio
from collections.abc import Callable

import aiohttp
import structlog

from xinflight.errors import UpstreamGarbage, XinflightError
from xinflight.images import Images
from xinflight.pace import Pace
from xinflight.protocol import State, UpstreamState
from xinflight.runner import order
from xinflight.scheduler import Scheduler
from xinflight.task import Job
from xinflight.work import Live, Work
from xinflight.xinference import Model, Xinference
from xinflight.xinference_attempt import Attempt

__all__ = ["Recovery", "adopt"]

log = structlog.stdlib.get_logger(__name__)

AGAIN = 1.0
"""Seconds before asking again when Xinference went away in the middle."""


async def adopt(job: Job, images: Images, *, inline: bool) -> bool:
    """Complete a picture whose file was written before the crash; return whether there was one."""
    data = await images.read(job.picture_id)
    if data is None:
        return False
    try:
        job.complete(data, inline=inline)
    except UpstreamGarbage:
        return False
    job.state = State.COMPLETED
    return True


class Recovery:
    """Ask Xinference about every request of the last life, stop those that run, then let the works queue.

    `active` is true until every request has been asked about: no model has a free slot before that. `queue(live)` is
    called for each task in the order of acceptance. `run` is one task of the manager.
    """

    def __init__(
        self,
        upstream: Xinference,
        scheduler: Scheduler[Work],
        queue: Callable[[Live], None],
        done: Callable[[], None],
    ) -> None:
        self.active = False
        self._upstream = upstream
        self._scheduler = scheduler
        self._queue = queue
        self._done = done

    async def run(self, lives: list[Live]) -> None:
        """Return when nothing of the last life runs any more. Cancelling leaves the rest to the next start."""
        settling = []
        for live in lives:
            for work in live.works:
                attempt = await self._still_running(work)
                if attempt is not None:
                    self._scheduler.occupy(attempt.order.model)
                    name = f"settle {live.task.task_id}/{work.job.index}"
                    settling.append(asyncio.create_task(self._settle(attempt), name=name))
        self.active = False
        for live in lives:
            self._queue(live)
        self._done()
        try:
            await asyncio.gather(*settling)
        finally:
            for task in settling:
                task.cancel()
            await asyncio.gather(*settling, return_exceptions=True)

    async def _still_running(self, work: Work) -> Attempt | None:
        """Return the old request of a work if Xinference still knows it as unfinished."""
        while True:
            models = await self._models(work)
            attempt = self._attempt(work, models[0])
            try:
                if not await attempt.is_running():
                    return None
                for model in models:
                    if model.true_cancel:
                        await self._upstream.abort_request(model.uid, work.job.request_id)
            except (aiohttp.ClientError, OSError, XinflightError) as error:
                log.debug("asking about an old request failed", error=str(error))
                await self._upstream.clock.sleep(AGAIN)
            else:
                work.job.attempt = max(work.job.attempt, 1)
                return attempt

    async def _models(self, work: Work) -> list[Model]:
        """Wait until the models that may run a work are there, and return them."""
        while True:
            models = [model for model in self._upstream.models.values() if model.pool == work.pool]
            if self._upstream.state is UpstreamState.READY:
                # A model that is gone took its requests along; any other can be asked about them.
                return models or list(self._upstream.models.values())
            await self._upstream.clock.sleep(AGAIN)

    def _attempt(self, work: Work, model: Model) -> Attempt:
        pace = Pace(None, self._upstream.clock.monotonic(), None, 0.0)
        return Attempt(self._upstream, order(work, model), pace, true_cancel=model.true_cancel, report=lambda: None)

    async def _settle(self, attempt: Attempt) -> None:
        try:
            await attempt.settle()
        finally:
            self._scheduler.release(attempt.order.model)
