"""Emulator of Xinference that draws images, the upstream of the demo and of tests.

It reproduces the measured behaviour of Xinference 4.1.0, including its quirks, except for HTTP, which is in `http`.
Images are drawn with Pillow from the inputs a diffusion model would get, and are labelled as drawn.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from math import inf
from typing import Any

import msgspec

from xinflight.clock import Clock, SystemClock
from xinflight.demo.auth import KeyGuard
from xinflight.demo.bodies import GenerationsBody, Txt2imgBody
from xinflight.demo.drawing_request import DrawingRequest, from_generations, from_txt2img
from xinflight.demo.errors import SUPERVISOR, HttpError
from xinflight.demo.faults import Faults, faults_in
from xinflight.demo.model import EmulatedModel
from xinflight.demo.progress import ProgressTracker
from xinflight.demo.replica import Job, Paint, Replica, ReplicaView
from xinflight.demo.request_ids import RequestIds

__all__ = [
    "BLOCK_SECONDS",
    "DemoUnavailable",
    "Emulator",
    "EmulatorOptions",
    "demo_emulator",
]

BLOCK_SECONDS = 30.0  # XINFERENCE_DEFAULT_CANCEL_BLOCK_DURATION
NOT_FOUND_SECONDS = 10.0  # XINFERENCE_MODEL_NOT_FOUND_CACHE_TTL
NOT_FOUND_KEPT = 1000
LISTING_SECONDS = 3.0  # XINFERENCE_LIST_MODELS_DEBOUNCE_SECONDS


class DemoUnavailable(Exception):
    """Pillow is not installed. The text is one line with the command that installs it."""


class EmulatorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Version and features of the emulated server.

    Attributes:
        version: the version in `/v1/cluster/version`.
        txt2img_abort: False emulates a server before 3.4.0: txt2img has no request id and can't be aborted.
        progress_times: False emulates a server before 4.1.0: progress has no elapsed and remaining seconds.
        progress_span: smallest increase of progress that is reported (XINFERENCE_UPLOAD_PROGRESS_SPAN).
        api_key: enables authentication with this key.
        latency: seconds until the id of a request is known. An earlier abort finds nothing.
    """

    version: str = "4.1.0"
    txt2img_abort: bool = True
    progress_times: bool = True
    progress_span: float = 0.05
    api_key: str | None = None
    latency: float = 0.003


class _Launched:
    """A launched model and its replicas, which get requests round robin."""

    def __init__(self, model: EmulatedModel, make: Callable[[int], Replica]) -> None:
        self.model = model
        self.replicas = [make(index) for index in range(model.replicas)]
        self._next = 0

    def next_replica(self) -> Replica:
        replica = self.replicas[self._next % len(self.replicas)]
        self._next += 1
        return replica

    def gone(self) -> bool:
        """Return whether every replica is known to be dead."""
        return all(replica.view().status == "TERMINATING" for replica in self.replicas)


class Emulator:
    """State and behaviour behind the emulated endpoints, for use on one event loop.

    `paint` replaces Pillow: it is called in a thread with a DrawingRequest and returns the bytes of the image.
    `aclose` ends every asyncio task that the emulator started.

    Attributes:
        faults: faults of generations from now on. Faults in a prompt (`demo:slow=3`) take precedence.
        unreachable: while True, every connection is aborted without a response; generations continue.
        clock: the clock of all delays.
        options: version and features.
        started: time of the start, Unix time in seconds.
        closing: set on shutdown, for handlers of requests that are never answered.

    Raises:
        DemoUnavailable: `paint` is None and Pillow is not installed.
    """

    def __init__(
        self,
        models: Iterable[EmulatedModel],
        *,
        options: EmulatorOptions | None = None,
        clock: Clock | None = None,
        paint: Paint | None = None,
    ) -> None:
        self.options = options or EmulatorOptions()
        self.clock = clock or SystemClock()
        self.faults = Faults()
        self.unreachable = False
        self._paint = paint or _pillow_painter()
        self._guard = KeyGuard(self.clock, self.options.api_key) if self.options.api_key else None
        self._thawed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._boot(models)

    def _boot(self, models: Iterable[EmulatedModel]) -> None:
        self.closing = asyncio.Event()
        self.started = self.clock.time()
        self._progress = ProgressTracker(self.clock, self.options.progress_span)
        self._ids: RequestIds[Job] = RequestIds(self.clock)
        self._not_found: dict[str, float] = {}
        self._launched: dict[str, _Launched] = {}
        # Grows by one entry per terminated uid, as upstream.
        self._terminated: dict[str, _Launched] = {}
        self._listing: list[EmulatedModel] = []
        self._listed_at = -inf
        for model in models:
            self.launch(model)

    def launch(self, model: EmulatedModel) -> None:
        """Launch or relaunch a model."""
        self.terminate(model.uid)
        self._not_found.pop(model.uid, None)
        self._launched[model.uid] = _Launched(model, lambda index: self._replica(model, index))
        self._listed_at = -inf

    def _replica(self, model: EmulatedModel, index: int) -> Replica:
        return Replica(
            model,
            index,
            clock=self.clock,
            paint=self._paint,
            progress=self._progress,
            spawn=self._spawn,
            thawed=self._thawed,
        )

    def terminate(self, uid: str) -> None:
        """Terminate a model as DELETE does upstream. Its running jobs fail. Unknown uids are ignored."""
        if launched := self._launched.pop(uid, None):
            for replica in launched.replicas:
                replica.terminate()
            self._terminated[uid] = launched
            self._listed_at = -inf

    def kill(self, uid: str, replica: int = 0) -> None:
        """Kill the process of a replica. Another one replaces it after twelve seconds."""
        self._launched[uid].replicas[replica].kill()

    def thaw(self) -> None:
        """Resume frozen generations."""
        self._thawed.set()
        self._thawed.clear()

    async def aclose(self) -> None:
        """Shut down: pending requests fail and every asyncio task ends. If cancelled, tasks may still be ending.

        Afterwards the emulator can be used again, like a server that was restarted with the same models.
        """
        self.closing.set()
        for launched in self._launched.values():
            for replica in launched.replicas:
                replica.kill()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._boot(self.models().values())

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def check_key(self, address: str, authorization: str | None, scope: str) -> None:
        """Check the API key of a request, unless authentication is disabled.

        Raises:
            HttpError: 401, 403, or 429 for a banned address.
        """
        if self._guard is not None:
            self._guard.check(address, authorization, scope)

    def models(self) -> dict[str, EmulatedModel]:
        """Return the launched models by uid, dead or alive."""
        return {uid: launched.model for uid, launched in self._launched.items()}

    def listed(self) -> list[EmulatedModel]:
        """Return the listed models: those with a live replica, checked at most every three seconds."""
        now = self.clock.monotonic()
        if now - self._listed_at >= LISTING_SECONDS:
            self._listing = [launched.model for launched in self._launched.values() if not launched.gone()]
            self._listed_at = now
        return self._listing

    def model(self, uid: str) -> EmulatedModel:
        """Return one model.

        Raises:
            HttpError: 400, not launched, or all of its replicas are dead.
        """
        launched = self._launched.get(uid)
        if launched is None or launched.gone():
            missing = f"{uid}-rep0" if launched else uid
            raise HttpError(400, f"{SUPERVISOR} Model not found in the model list, uid: {missing}")
        return launched.model

    def replicas(self, uid: str) -> list[ReplicaView]:
        """Return the replicas of a model, even if it was terminated. Empty for an unknown model."""
        launched = self._launched.get(uid) or self._terminated.get(uid)
        return [replica.view() for replica in launched.replicas] if launched else []

    def progress(self, request_id: str) -> dict[str, float | None]:
        """Return the progress of a request id.

        Raises:
            HttpError: 400 with the id in quotes: unknown, not started or expired.
        """
        try:
            snapshot = self._progress.snapshot(request_id)
        except KeyError as unknown:
            raise HttpError(400, f"{SUPERVISOR} {unknown}") from unknown
        if not self.options.progress_times:
            return {"progress": snapshot.progress}
        return msgspec.structs.asdict(snapshot)

    def abort(self, uid: str, request_id: str, block_seconds: float = BLOCK_SECONDS) -> str:
        """Abort and block a request id on every replica of a model. Return DONE if something was aborted, else NO_OP.

        Raises:
            HttpError: 500, the process of a replica is dead.
        """
        done = False
        if launched := self._launched.get(uid):
            for replica in launched.replicas:
                done |= replica.abort(request_id, block_seconds)
        # The front end has the ids of generations itself, so these are answered at once.
        if job := self._ids.abort(request_id, block_seconds):
            job.fail(job.cancelled())
        return "DONE" if done else "NO_OP"

    async def txt2img(self, body: Txt2imgBody) -> Job:
        """Submit a txt2img request and return its job, which waits or runs.

        Cancelling doesn't revoke a submitted job.

        Raises:
            HttpError: with the text of Xinference.
        """
        replica = self._replica_for(body.model or body.override_settings.get("sd_model_checkpoint"))
        faults = self._next_faults(body.prompt)
        params = {k: v for k, v in msgspec.structs.asdict(body).items() if v is not None}
        params.update(_decoded(body.kwargs, 400))
        request_id = params.get("request_id") if self.options.txt2img_abort else None
        job = Job("txt2img", request_id, faults, lambda: from_txt2img(params, replica.model))
        await self._arrive()
        replica.submit(job)
        return job

    async def generations(self, body: GenerationsBody) -> Job:
        """Submit a generations request and return its job, which waits or runs.

        Cancelling doesn't revoke a submitted job.

        Raises:
            HttpError: with the text of Xinference.
        """
        replica = self._replica_for(body.model)
        faults = self._next_faults(body.prompt if isinstance(body.prompt, str) else " ".join(body.prompt))
        kwargs = _decoded(body.kwargs, 500)
        request_id: Hashable = kwargs.get("request_id")
        job = Job("generations", request_id, faults, lambda: from_generations(body, kwargs, replica.model))
        await self._arrive()
        self._ids.add(request_id, job)
        job.answer.add_done_callback(lambda _: self._ids.remove(request_id, job))
        try:
            replica.submit(job)
        except HttpError as error:
            job.fail(error)
        return job

    def _replica_for(self, uid: str | None) -> Replica:
        if launched := self._launched.get(uid or ""):
            return launched.next_replica()
        now = self.clock.monotonic()
        name = str(uid)
        if self._not_found.get(name, 0.0) > now:
            detail = f"Model not found in the model list, uid: {name} (cached, retry after {NOT_FOUND_SECONDS}s)"
            raise HttpError(404, detail)
        while len(self._not_found) >= NOT_FOUND_KEPT:
            del self._not_found[next(iter(self._not_found))]
        self._not_found[name] = now + NOT_FOUND_SECONDS
        raise HttpError(
            404,
            f"{SUPERVISOR} Model not found in the model list, uid: {name}. "
            f"Available model uids: {list(self._launched)}",
        )

    def _next_faults(self, prompt: str) -> Faults:
        faults = faults_in(prompt)
        if faults is None:
            faults = self.faults
            if faults.requests is not None:
                left = faults.requests - 1
                self.faults = msgspec.structs.replace(faults, requests=left) if left > 0 else Faults()
        if faults.refuse is not None:
            detail = "Model is loading, please retry later: requested by a fault of the demo"
            raise HttpError(503, detail, headers={"Retry-After": str(faults.refuse)})
        return faults

    async def _arrive(self) -> None:
        if self.options.latency:
            await self.clock.sleep(self.options.latency)


def _decoded(kwargs: str | None, status: int) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(kwargs) if kwargs else {}
    except msgspec.DecodeError as wrong:
        detail = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
        raise HttpError(status, detail) from wrong
    if not isinstance(decoded, dict):
        raise HttpError(500, f"{type(decoded).__name__!r} object has no attribute 'get'")
    return decoded


def _pillow_painter() -> Paint:
    try:
        from xinflight.demo.drawing import draw
    except ModuleNotFoundError as missing:
        raise DemoUnavailable("The demo draws with Pillow: pip install 'xinflight[demo]'") from missing

    def paint(drawing: DrawingRequest) -> bytes:
        return draw(**msgspec.structs.asdict(drawing))

    return paint


def demo_emulator(clock: Clock | None = None) -> Emulator:
    """Return the emulator of the demo: a fast model, a slow one with a single replica, and one without text2image.

    Raises:
        DemoUnavailable: Pillow is not installed.
    """
    turbo = {"num_inference_steps": 12, "guidance_scale": 0.0}
    painter = EmulatedModel(
        uid="demo-painter",
        family="drawn-by-xinflight",
        replicas=2,
        step_seconds=0.25,
        decode_seconds=0.3,
        default_generate_config=turbo,
    )
    slow = msgspec.structs.replace(
        painter,
        uid="demo-slow-painter",
        replicas=1,
        step_seconds=0.5,
        default_generate_config={"num_inference_steps": 24, "guidance_scale": 4.0},
    )
    reader = EmulatedModel(uid="demo-reader", family="drawn-by-xinflight", abilities=("ocr",), engine="demo")
    return Emulator([reader, painter, slow], clock=clock)
