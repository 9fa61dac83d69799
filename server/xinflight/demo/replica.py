"""One emulated replica of an image or video model: a process with one pipeline and a queue.

Sources: Xinference 4.1.0, `core/model.py` (the actor's lock and limit),
`model/image/stable_diffusion/core.py`, `model/image/sdapi.py` and `model/video/diffusers.py` (what an abort affects).
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from xinflight.clock import Clock
from xinflight.demo.drawing_request import DrawingRequest
from xinflight.demo.errors import HttpError
from xinflight.demo.job import Job
from xinflight.demo.model import EmulatedModel
from xinflight.demo.process import Process
from xinflight.demo.progress import ProgressTracker
from xinflight.demo.request_ids import RequestIds

__all__ = ["REFUSALS", "Paint", "Replica", "Spawn"]

Paint = Callable[[DrawingRequest], bytes]
Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]

REFUSALS = {
    "txt2img": "is not for txt2img.",
    "img2img": "is not for img2img.",
    "generations": "is not for creating image.",
    "variations": "is not for creating image.",
    "inpainting": "is not for creating image.",
    "text2video": "is not for creating video.",
    "image2video": "is not for creating video from image.",
}


class _ModelDied(Exception):
    pass


class Replica(Process):
    """A strictly serial, first in first out worker on one model, unless the engine has no lock."""

    def __init__(
        self,
        model: EmulatedModel,
        index: int,
        *,
        clock: Clock,
        paint: Paint,
        progress: ProgressTracker,
        spawn: Spawn,
        thawed: asyncio.Event,
    ) -> None:
        self._paint = paint
        self._progress = progress
        self._spawn = spawn
        self._thawed = thawed
        super().__init__(model, index, clock)

    def _reset(self) -> None:
        self._lock = asyncio.Lock()
        self._ids: RequestIds[Job] = RequestIds(self._clock)
        self._jobs: set[Job] = set()
        self._computing: set[asyncio.Task[None]] = set()
        # One scheduler per pipeline, shared by all requests on it: the size of its table, and the current position.
        self._sigmas = 0
        self._sigma = 0

    def _fail_all(self, error: HttpError) -> None:
        for job in self._jobs:
            job.fail(error)
        self._jobs.clear()
        for task in self._computing:
            task.cancel()

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            HttpError: 429 over the limit; 500 dead process, missing ability, or an id that is running or blocked.
        """
        self.check_alive()
        limit = self.model.request_limit
        if limit is not None and len(self._jobs) >= limit:
            text = f"Rate limit reached for the model. Request limit {limit} for the model: {self.uid}"
            raise self._fault(RuntimeError(text), 429)
        if not self.model.takes(job.route):
            text = f"Model {self.model.uid} {REFUSALS[job.route]}"
            if self.model.type == "image" and "video" in job.route:
                text = "'DiffusersImageModel' object has no attribute 'model_spec'"
            raise self._fault(AttributeError(text))
        self._progress.start(job.request_id)
        try:
            self._ids.add(job.request_id, job)
        except HttpError as error:
            self._progress.finish(job.request_id)  # as upstream, which ends the progress of the running one
            raise self._fault(error) from error
        self._jobs.add(job)
        _ = self._spawn(self._serve(job), f"emulator {self.uid} serve {job.request_id}")

    def abort(self, request_id: Hashable, block_seconds: float) -> str:
        """Abort the running or waiting job of an id and block the id. Return DONE if there was one, else NO_OP.

        A running txt2img or img2img is asked to stop and answered once it has. Any other is answered at once and
        releases the lock, but computes on, so the next job shares the scheduler with it; that was no abort at all for
        any but a generation, if one believes the answer.
        """
        self.check_alive()
        job = self._ids.abort(request_id, block_seconds)
        if job is None or job.answer.done():
            return "NO_OP"
        if job.running and job.stoppable:
            job.stopping = True
        else:
            self._settle(job, job.cancelled())
        return "DONE" if job.stoppable or job.route == "generations" else "NO_OP"

    def _settle(self, job: Job, end: HttpError | list[bytes]) -> None:
        self._progress.finish(job.request_id)
        self._ids.remove(job.request_id, job)
        self._jobs.discard(job)
        if isinstance(end, HttpError):
            job.fail(end)
        elif not job.answer.done():
            job.answer.set_result(end)

    async def _serve(self, job: Job) -> None:
        if not self.model.serial:
            self._begin(job)
            return
        async with self._lock:
            if not job.answer.done():
                self._begin(job)
                await asyncio.wait((job.answer,))

    def _begin(self, job: Job) -> None:
        job.running = True
        task = self._spawn(self._compute(job), f"emulator {self.uid} compute {job.request_id}")
        self._computing.add(task)
        task.add_done_callback(self._computing.discard)

    async def _compute(self, job: Job) -> None:
        try:
            files = await self._pipeline(job)
        except _ModelDied:
            self.kill()
        except HttpError as error:
            self._settle(job, error)
        except ValueError as wrong:
            self._settle(job, self._fault(wrong, 400 if job.stoppable else 500))
        except Exception as wrong:
            self._settle(job, self._fault(wrong))
        else:
            self._settle(job, job.cancelled() if job.stopping else files)

    async def _pipeline(self, job: Job) -> list[bytes]:
        faults = job.faults
        drawings = await asyncio.to_thread(job.prepare) if job.decodes else job.prepare()
        if faults.error is not None:
            raise RuntimeError(faults.error)
        if drawings[0].wedged:
            await asyncio.Event().wait()  # until the process ends
        steps = drawings[0].steps
        self._sigmas, self._sigma = steps + 1, 0
        for done in range(steps):
            if faults.drop == done and not job.torn.done():
                job.torn.set_result(None)
            if faults.die == done:
                raise _ModelDied
            if faults.freeze == done:
                await self._thawed.wait()
            await self._clock.sleep(self.model.step_seconds * faults.slow)
            self._end_step(job, (done + 1) / steps)
        if faults.freeze == steps:
            await self._thawed.wait()
        await self._clock.sleep(self.model.decode_seconds)
        if drawings[0].failure is not None:
            raise RuntimeError(drawings[0].failure)
        return [await asyncio.to_thread(self._paint, drawing) for drawing in drawings]

    def _end_step(self, job: Job, progress: float) -> None:
        if not self.model.serial:
            return
        self._sigma += 1
        if self._sigma >= self._sigmas:
            size = self._sigmas
            raise IndexError(f"index {size} is out of bounds for dimension 0 with size {size}")
        if job.stopping:
            raise job.cancelled()
        self._progress.report(job.request_id, progress)
