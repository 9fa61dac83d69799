"""A small Xinference that draws: the demo's upstream, and the tests'.

It keeps the measured behaviour of Xinference 4.1.0, odd corners included, apart from HTTP, which is
`web_emulator`'s. Pictures are drawn with Pillow from the same inputs a diffusion model would get, and say so.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from math import inf
from typing import Any

import msgspec

from xinflight.clock import Clock, SystemClock
from xinflight.demo.book import IdRegister, KeyGuard, ProgressBook
from xinflight.demo.replica import Job, Paint, Replica, ReplicaView
from xinflight.demo.wire import (
    SUPERVISOR,
    EmulatedModel,
    Faults,
    GenerationRequest,
    GenerationsBody,
    Refusal,
    Txt2imgBody,
    faults_in,
    generations_orders,
    txt2img_orders,
)

__all__ = [
    "BLOCK_SECONDS",
    "DemoUnavailable",
    "EmulatedModel",
    "Emulator",
    "EmulatorOptions",
    "Faults",
    "Refusal",
    "demo_engine",
]

BLOCK_SECONDS = 30.0  # XINFERENCE_DEFAULT_CANCEL_BLOCK_DURATION
NOT_FOUND_SECONDS = 10.0  # XINFERENCE_MODEL_NOT_FOUND_CACHE_TTL
NOT_FOUND_KEPT = 1000
LISTING_SECONDS = 3.0  # XINFERENCE_LIST_MODELS_DEBOUNCE_SECONDS


class DemoUnavailable(Exception):
    """The demo can't draw on this machine; the text is one line with the cure."""


class EmulatorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which server it is.

    Attributes:
        version: what `/v1/cluster/version` says.
        txt2img_abort: False is a server before 3.4.0: txt2img takes no request id, so no abort.
        progress_times: False is a server before 4.1.0: progress comes without elapsed and remaining seconds.
        progress_span: how far progress must rise to be told (XINFERENCE_UPLOAD_PROGRESS_SPAN).
        api_key: switches auth on, with this one key.
        latency: seconds until an arrived request's id is known; an abort that comes earlier finds nothing.
    """

    version: str = "4.1.0"
    txt2img_abort: bool = True
    progress_times: bool = True
    progress_span: float = 0.05
    api_key: str | None = None
    latency: float = 0.003


class _Launched:
    """A model and its replicas, dealt round robin."""

    def __init__(self, model: EmulatedModel, make: Callable[[int], Replica]) -> None:
        self.model = model
        self.replicas = [make(index) for index in range(model.replicas)]
        self._next = 0

    def deal(self) -> Replica:
        replica = self.replicas[self._next % len(self.replicas)]
        self._next += 1
        return replica

    def gone(self) -> bool:
        """Tell whether every replica is known to be dead."""
        return all(replica.view().status == "TERMINATING" for replica in self.replicas)


class Emulator:
    """The engine behind the emulated endpoints.

    Use it on one event loop. `paint` replaces the Pillow painter: it is called in a thread with an
    order and returns the picture's bytes. `aclose` ends every task it started.

    Attributes:
        faults: what strikes generations from now on; a prompt's own faults (`demo:slow=3`) go before.
        unreachable: while True, every connection is torn without an answer; the work goes on.
        clock: the time it lives by.
        options: which server it is.
        started: when it started, in Unix seconds.
        closing: set when it goes down, for those who wait for an answer that never comes.

    Raises:
        DemoUnavailable: no `paint` was given and Pillow is not installed.
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
        self._book = ProgressBook(self.clock, self.options.progress_span)
        self._ids: IdRegister[Job] = IdRegister(self.clock)
        self._not_found: dict[str, float] = {}
        self._launched: dict[str, _Launched] = {}
        # One entry per uid that was ever taken down, as upstream.
        self._terminated: dict[str, _Launched] = {}
        self._listing: list[EmulatedModel] = []
        self._listed_at = -inf
        for model in models:
            self.launch(model)

    def launch(self, model: EmulatedModel) -> None:
        """Launch a model, or launch it anew."""
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
            book=self._book,
            spawn=self._spawn,
            thawed=self._thawed,
        )

    def terminate(self, uid: str) -> None:
        """Take a model down as DELETE does upstream: what runs on it fails. Unknown uids are ignored."""
        if launched := self._launched.pop(uid, None):
            for replica in launched.replicas:
                replica.terminate()
            self._terminated[uid] = launched
            self._listed_at = -inf

    def kill(self, uid: str, replica: int = 0) -> None:
        """Kill a replica's process; another takes its place after twelve seconds."""
        self._launched[uid].replicas[replica].kill()

    def thaw(self) -> None:
        """Let frozen generations go on."""
        self._thawed.set()
        self._thawed.clear()

    async def aclose(self) -> None:
        """Go down: pending requests fail, every task ends. Cancelling leaves tasks that are ending.

        Used again afterwards, it is a server that was restarted with the same models.
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
        """Let a request pass when auth is off, or its key is good.

        Raises:
            Refusal: 401, 403, or 429 for a banned address.
        """
        if self._guard is not None:
            self._guard.check(address, authorization, scope)

    def models(self) -> dict[str, EmulatedModel]:
        """Return the launched models by uid, dead or alive."""
        return {uid: launched.model for uid, launched in self._launched.items()}

    def listed(self) -> list[EmulatedModel]:
        """Return the models that the server tells of: those of which a replica was there within three seconds."""
        now = self.clock.monotonic()
        if now - self._listed_at >= LISTING_SECONDS:
            self._listing = [launched.model for launched in self._launched.values() if not launched.gone()]
            self._listed_at = now
        return self._listing

    def model(self, uid: str) -> EmulatedModel:
        """Return one model.

        Raises:
            Refusal: 400, not launched, or none of its replicas is there.
        """
        launched = self._launched.get(uid)
        if launched is None or launched.gone():
            missing = f"{uid}-rep0" if launched else uid
            raise Refusal(400, f"{SUPERVISOR} Model not found in the model list, uid: {missing}")
        return launched.model

    def replicas(self, uid: str) -> list[ReplicaView]:
        """Return the replicas of a model, also of one that was taken down; none for an unknown one."""
        launched = self._launched.get(uid) or self._terminated.get(uid)
        return [replica.view() for replica in launched.replicas] if launched else []

    def progress(self, request_id: str) -> dict[str, float | None]:
        """Return the progress answer of an id.

        Raises:
            Refusal: 400 with the id in quotes: unknown, not begun or expired.
        """
        try:
            snapshot = self._book.snapshot(request_id)
        except KeyError as unknown:
            raise Refusal(400, f"{SUPERVISOR} {unknown}") from unknown
        if not self.options.progress_times:
            return {"progress": snapshot.progress}
        return msgspec.structs.asdict(snapshot)

    def abort(self, uid: str, request_id: str, block_seconds: float = BLOCK_SECONDS) -> str:
        """Abort an id on every replica of a model and block it; DONE when something was aborted, else NO_OP.

        Raises:
            Refusal: 500, a replica's process is dead.
        """
        done = False
        if launched := self._launched.get(uid):
            for replica in launched.replicas:
                done |= replica.abort(request_id, block_seconds)
        # The front end keeps the ids of generations itself, which is why those answer at once.
        if job := self._ids.abort(request_id, block_seconds):
            job.refuse(job.cancelled())
        return "DONE" if done else "NO_OP"

    async def txt2img(self, body: Txt2imgBody) -> Job:
        """Take a txt2img request and return its job, which waits or runs.

        Cancelling takes nothing back that was submitted.

        Raises:
            Refusal: as Xinference words it.
        """
        replica = self._deal(body.model or body.override_settings.get("sd_model_checkpoint"))
        faults = self._strike(body.prompt)
        params = {k: v for k, v in msgspec.structs.asdict(body).items() if v is not None}
        params.update(_decoded(body.kwargs, 400))
        request_id = params.get("request_id") if self.options.txt2img_abort else None
        job = Job("txt2img", request_id, faults, lambda: txt2img_orders(params, replica.model))
        await self._arrive()
        replica.submit(job)
        return job

    async def generations(self, body: GenerationsBody) -> Job:
        """Take a generations request and return its job, which waits or runs.

        Cancelling takes nothing back that was submitted.

        Raises:
            Refusal: as Xinference words it.
        """
        replica = self._deal(body.model)
        faults = self._strike(body.prompt if isinstance(body.prompt, str) else " ".join(body.prompt))
        kwargs = _decoded(body.kwargs, 500)
        request_id: Hashable = kwargs.get("request_id")
        job = Job("generations", request_id, faults, lambda: generations_orders(body, kwargs, replica.model))
        await self._arrive()
        self._ids.add(request_id, job)
        job.answer.add_done_callback(lambda _: self._ids.remove(request_id, job))
        try:
            replica.submit(job)
        except Refusal as refusal:
            job.refuse(refusal)
        return job

    def _deal(self, uid: str | None) -> Replica:
        if launched := self._launched.get(uid or ""):
            return launched.deal()
        now = self.clock.monotonic()
        name = str(uid)
        if self._not_found.get(name, 0.0) > now:
            detail = f"Model not found in the model list, uid: {name} (cached, retry after {NOT_FOUND_SECONDS}s)"
            raise Refusal(404, detail)
        while len(self._not_found) >= NOT_FOUND_KEPT:
            del self._not_found[next(iter(self._not_found))]
        self._not_found[name] = now + NOT_FOUND_SECONDS
        raise Refusal(
            404,
            f"{SUPERVISOR} Model not found in the model list, uid: {name}. "
            f"Available model uids: {list(self._launched)}",
        )

    def _strike(self, prompt: str) -> Faults:
        faults = faults_in(prompt)
        if faults is None:
            faults = self.faults
            if faults.requests is not None:
                left = faults.requests - 1
                self.faults = msgspec.structs.replace(faults, requests=left) if left > 0 else Faults()
        if faults.refuse is not None:
            detail = "Model is loading, please retry later: the demo was asked to refuse"
            raise Refusal(503, detail, headers={"Retry-After": str(faults.refuse)})
        return faults

    async def _arrive(self) -> None:
        if self.options.latency:
            await self.clock.sleep(self.options.latency)


def _decoded(kwargs: str | None, status: int) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(kwargs) if kwargs else {}
    except msgspec.DecodeError as wrong:
        detail = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
        raise Refusal(status, detail) from wrong
    if not isinstance(decoded, dict):
        raise Refusal(500, f"{type(decoded).__name__!r} object has no attribute 'get'")
    return decoded


def _pillow_painter() -> Paint:
    try:
        from xinflight.demo.drawing import draw
    except ModuleNotFoundError as missing:
        raise DemoUnavailable("The demo draws with Pillow: pip install 'xinflight[demo]'") from missing

    def paint(order: GenerationRequest) -> bytes:
        return draw(**msgspec.structs.asdict(order))

    return paint


def demo_engine(clock: Clock | None = None) -> Emulator:
    """Return the demo's engine: two painters, one of them slow and alone to show a queue, and a reader.

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
