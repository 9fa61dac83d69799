"""One emulated replica: a process with one pipeline and a queue, which can be killed.

Sources: Xinference 4.1.0, `core/model.py` (the actor's lock and limit),
`model/image/stable_diffusion/core.py` and `model/image/sdapi.py` (what an abort affects).
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Literal

import msgspec

from xinflight.clock import Clock
from xinflight.demo.drawing_request import DrawingRequest
from xinflight.demo.errors import SUPERVISOR, HttpError
from xinflight.demo.faults import Faults
from xinflight.demo.model import EmulatedModel
from xinflight.demo.progress import ProgressTracker
from xinflight.demo.request_ids import RequestIds

__all__ = ["Job", "Paint", "Replica", "ReplicaView"]

STALE_SECONDS = 0.3  # how long a dead process is still listed as READY
RECOVERY_SECONDS = 12.0  # after this, another process has taken its place

Paint = Callable[[DrawingRequest], bytes]
Spawn = Callable[[Coroutine[Any, Any, None], str], "asyncio.Task[None]"]

_pids = itertools.count(13680, 237)
_ports = itertools.count(40537, 11)


class Job:
    """One request to a replica.

    `answer` resolves to the images or an `HttpError`. `torn` is done when the connection must be aborted, whatever
    the computation does.
    """

    def __init__(
        self,
        route: Literal["txt2img", "generations"],
        request_id: Hashable,
        faults: Faults,
        prepare: Callable[[], list[DrawingRequest]],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.route = route
        self.request_id = request_id
        self.faults = faults
        self.prepare = prepare
        self.answer: asyncio.Future[list[bytes]] = loop.create_future()
        self.torn: asyncio.Future[None] = loop.create_future()
        self.running = False
        self.stopping = False  # set by an abort, read at the end of each step; txt2img only
        self.answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    def fail(self, error: HttpError) -> None:
        """Set an error as the answer, unless there is an answer already."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def cancelled(self) -> HttpError:
        """Return the error response to an aborted request."""
        return HttpError(409, f"The request has been cancelled: {self.request_id}")


class ReplicaView(msgspec.Struct, frozen=True):
    """An entry of `GET /v1/models/{uid}/replicas`; a dead replica has no address and no accelerators."""

    replica_id: int
    replica_model_uid: str
    worker_address: str
    model_address: str | None
    accelerators: list[str] | None
    status: Literal["READY", "TERMINATING", "TERMINATED"]
    created_ts: int
    error_message: str | None = None
    replica_uid: str | None = None
    gpu_idx: list[int] | None = None


class _ModelDied(Exception):
    pass


class Replica:
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
        self.uid = f"{model.uid}-rep{index}"
        self.model = model
        self._index = index
        self._clock = clock
        self._paint = paint
        self._progress = progress
        self._spawn = spawn
        self._thawed = thawed
        self._terminated = False
        self._created = int(clock.time())  # time of the launch, which a recovery doesn't change
        self._start_process()

    def _start_process(self) -> None:
        self._died_at: float | None = None
        self._port = next(_ports)
        self._pid = next(_pids)
        self._lock = asyncio.Lock()
        self._ids: RequestIds[Job] = RequestIds(self._clock)
        self._jobs: set[Job] = set()
        self._computing: set[asyncio.Task[None]] = set()
        # One scheduler per pipeline, shared by all requests on it: the size of its table, and the current position.
        self._sigmas = 0
        self._sigma = 0

    def _revive(self) -> None:
        if self._died_at is None or self._terminated:
            return
        if self._clock.monotonic() - self._died_at >= RECOVERY_SECONDS:
            self._start_process()

    def _fault(self, error: Exception, status: int = 500) -> HttpError:
        return HttpError(status, f"[address=127.0.0.1:{self._port}, pid={self._pid}] {error}")

    def view(self) -> ReplicaView:
        """Return the state of this replica as the server reports it."""
        self._revive()
        stale = self._died_at is not None and self._clock.monotonic() - self._died_at < STALE_SECONDS
        there = not self._terminated and (self._died_at is None or stale)
        return ReplicaView(
            replica_id=self._index,
            replica_model_uid=self.uid,
            worker_address="127.0.0.1:26588",
            model_address=f"127.0.0.1:{self._port}" if there else None,
            accelerators=[] if there else None,
            status="READY" if there else "TERMINATED" if self._terminated else "TERMINATING",
            created_ts=self._created,
        )

    def check_alive(self) -> None:
        """Raise the error of a dead process, unless the process is alive.

        Raises:
            HttpError: 500, first connection refused, then in stopping state.
        """
        self._revive()
        if self._died_at is None:
            return
        if self._clock.monotonic() - self._died_at < STALE_SECONDS:
            raise HttpError(500, f"[Errno 111] Connect call failed ('127.0.0.1', {self._port})")
        raise HttpError(500, f"{SUPERVISOR} Model {self.uid} is in stopping state")

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
        if "text2image" not in self.model.abilities:
            raise self._fault(AttributeError(f"Model {self.model.uid} is not for creating image."))
        if job.route == "txt2img" and not (self.model.txt2img and self.model.serial):
            raise self._fault(AttributeError(f"Model {self.model.uid} is not for txt2img."))
        self._progress.start(job.request_id)
        try:
            self._ids.add(job.request_id, job)
        except HttpError as error:
            self._progress.finish(job.request_id)  # as upstream, which ends the progress of the running one
            raise self._fault(error) from error
        self._jobs.add(job)
        _ = self._spawn(self._serve(job), f"emulator {self.uid} serve {job.request_id}")

    def abort(self, request_id: Hashable, block_seconds: float) -> bool:
        """Abort the running or waiting job of an id and block the id. Return whether there was one.

        A running txt2img is asked to stop and answered once it has. A running generations request is answered at once
        and releases the lock, but computes on, so the next image shares the scheduler with it.
        """
        self.check_alive()
        job = self._ids.abort(request_id, block_seconds)
        if job is None or job.answer.done():
            return False
        if job.running and job.route == "txt2img":
            job.stopping = True
        else:
            self._settle(job, job.cancelled())
        return True

    def kill(self) -> None:
        """Kill the process. Pending jobs fail, their progress stays, and another process starts later."""
        self._die("Server may be closed")

    def terminate(self) -> None:
        """End the process for good, as an administrator does. Pending jobs fail with another text."""
        self._terminated = True
        self._die("0 bytes read on a total of 11 expected bytes")

    def _die(self, reason: str) -> None:
        if self._died_at is not None:
            return
        self._died_at = self._clock.monotonic()
        text = f"Remote server 127.0.0.1:{self._port} closed: {reason}"
        for job in self._jobs:
            job.fail(HttpError(500, text))
        self._jobs.clear()
        for task in self._computing:
            task.cancel()

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
            images = await self._pipeline(job)
        except _ModelDied:
            self.kill()
        except HttpError as error:
            self._settle(job, error)
        except ValueError as wrong:
            self._settle(job, self._fault(wrong, 400 if job.route == "txt2img" else 500))
        except Exception as wrong:
            self._settle(job, self._fault(wrong))
        else:
            self._settle(job, job.cancelled() if job.stopping else images)

    async def _pipeline(self, job: Job) -> list[bytes]:
        faults = job.faults
        drawings = job.prepare()
        if faults.error is not None:
            raise RuntimeError(faults.error)
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
