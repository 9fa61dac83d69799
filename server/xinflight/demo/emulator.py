"""Emulator of Xinference that draws images, the upstream of the demo and of tests.

It reproduces the measured behaviour of Xinference 4.1.0, including its quirks, except for HTTP, which is in `http`.
Images are drawn with Pillow from the inputs a diffusion model would get, and are labelled as drawn.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from xinflight.clock import Clock, SystemClock
from xinflight.demo.auth import KeyGuard
from xinflight.demo.bodies import GenerationsBody, Img2imgBody, Txt2imgBody, VariationsBody, VideoBody
from xinflight.demo.chat_bodies import ChatBody
from xinflight.demo.chat_replica import Chat, ChatEnd, ChatReplica
from xinflight.demo.drawing_request import DrawingRequest, from_generations, from_txt2img
from xinflight.demo.errors import SUPERVISOR, HttpError
from xinflight.demo.faults import Faults, faults_in
from xinflight.demo.job import Job, Route
from xinflight.demo.launched import LaunchedModels, Worker
from xinflight.demo.model import EmulatedModel
from xinflight.demo.options import EmulatorOptions
from xinflight.demo.process import ReplicaView
from xinflight.demo.progress import ProgressTracker
from xinflight.demo.prose import text_of
from xinflight.demo.replica import REFUSALS, Paint, Replica
from xinflight.demo.request_ids import RequestIds
from xinflight.demo.video_request import from_video

__all__ = ["BLOCK_SECONDS", "DemoUnavailable", "Emulator"]

BLOCK_SECONDS = 30.0  # XINFERENCE_DEFAULT_CANCEL_BLOCK_DURATION


class DemoUnavailable(Exception):
    """Pillow is not installed. The text is one line with the command that installs it."""


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
        self._launched = LaunchedModels(self.clock, self._worker)
        for model in models:
            self.launch(model)

    def launch(self, model: EmulatedModel) -> None:
        """Launch or relaunch a model."""
        self._launched.launch(model)

    def _worker(self, model: EmulatedModel, index: int) -> Worker:
        if model.type == "LLM":
            return ChatReplica(model, index, clock=self.clock, spawn=self._spawn, thawed=self._thawed)
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
        self._launched.terminate(uid)

    def kill(self, uid: str, replica: int = 0) -> None:
        """Kill the process of a replica. Another one replaces it after twelve seconds.

        Raises:
            KeyError: no such model.
        """
        launched = self._launched.find(uid)
        if launched is None:
            raise KeyError(uid)
        launched.replicas[replica].kill()

    def thaw(self) -> None:
        """Resume frozen generations."""
        self._thawed.set()
        self._thawed.clear()

    async def aclose(self) -> None:
        """Shut down: pending requests fail and every asyncio task ends. If cancelled, tasks may still be ending.

        Afterwards the emulator can be used again, like a server that was restarted with the same models.
        """
        self.closing.set()
        self._launched.kill_all()
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
        return self._launched.models()

    def listed(self) -> list[EmulatedModel]:
        """Return the listed models: those with a live replica, checked at most every three seconds."""
        return self._launched.listed()

    def model(self, uid: str) -> EmulatedModel:
        """Return one model.

        Raises:
            HttpError: 400, not launched, or all of its replicas are dead.
        """
        return self._launched.describe(uid)

    def replicas(self, uid: str) -> list[ReplicaView]:
        """Return the replicas of a model, even if it was terminated. Empty for an unknown model."""
        return self._launched.replicas(uid)

    def progress(self, request_id: str) -> dict[str, float | None]:
        """Return the progress of a request id.

        Raises:
            HttpError: 400 with the id in quotes: unknown, not started or expired. Chats have no progress.
        """
        try:
            snapshot = self._progress.snapshot(request_id)
        except KeyError as unknown:
            raise HttpError(400, f"{SUPERVISOR} {unknown}") from unknown
        if not self.options.progress_times:
            return {"progress": snapshot.progress}
        return msgspec.structs.asdict(snapshot)

    def abort(self, uid: str, request_id: str, block_seconds: float = BLOCK_SECONDS) -> str:
        """Abort and block a request id on every replica of a model.

        Returns DONE if something was aborted; else NO_OP, or NOT_FOUND of a language model. For videos and variations
        it is always NO_OP.

        Raises:
            HttpError: 500, the process of a replica is dead.
        """
        said = {"NO_OP"}
        if launched := self._launched.find(uid):
            said = {replica.abort(request_id, block_seconds) for replica in launched.replicas}
        # The front end has the ids of generations and videos itself, so these are answered at once.
        if job := self._ids.abort(request_id, block_seconds):
            job.fail(job.cancelled())
        return "DONE" if "DONE" in said else said.pop()

    async def txt2img(self, body: Txt2imgBody) -> Job:
        """Submit a txt2img request and return its job, which waits or runs.

        Cancelling doesn't revoke a submitted job.

        Raises:
            HttpError: with the text of Xinference.
        """
        return await self._sdapi("txt2img", body, from_txt2img)

    async def img2img(self, body: Img2imgBody) -> Job:
        """Submit an img2img request, as `txt2img`."""
        from xinflight.demo.overdrawing import from_img2img

        return await self._sdapi("img2img", body, from_img2img)

    async def _sdapi(
        self,
        route: Route,
        body: Txt2imgBody,
        prepare: Callable[[dict[str, Any], EmulatedModel], list[DrawingRequest]],
    ) -> Job:
        replica = self._pipeline_for(body.model or body.override_settings.get("sd_model_checkpoint"), route)
        faults = self._next_faults(body.prompt)
        params = {k: v for k, v in msgspec.structs.asdict(body).items() if v is not None}
        params.update(_decoded(body.kwargs, 400))
        request_id = params.get("request_id") if self.options.txt2img_abort else None
        job = Job(route, request_id, faults, lambda: prepare(params, replica.model))
        await self._arrive()
        replica.submit(job)
        return job

    async def generations(self, body: GenerationsBody) -> Job:
        """Submit a generations request and return its job, which waits or runs.

        Cancelling doesn't revoke a submitted job.

        Raises:
            HttpError: with the text of Xinference.
        """
        replica = self._pipeline_for(body.model, "generations")
        faults = self._next_faults(_joined(body.prompt))
        kwargs = _decoded(body.kwargs, 500)
        job = Job(
            "generations", kwargs.get("request_id"), faults, lambda: from_generations(body, kwargs, replica.model)
        )
        return await self._submit(job, replica)

    async def variations(self, body: VariationsBody) -> Job:
        """Submit a request for a variation or, with a mask, for inpainting, as `generations`."""
        from xinflight.demo.overdrawing import from_variations

        route: Route = "variations" if body.mask is None else "inpainting"
        replica = self._pipeline_for(body.model, route)
        faults = self._next_faults(body.prompt)
        kwargs = _decoded(body.kwargs, 500)
        job = Job(route, kwargs.get("request_id"), faults, lambda: from_variations(body, kwargs, replica.model))
        return await self._submit(job, replica)

    async def video(self, body: VideoBody, image: bytes | None = None) -> Job:
        """Submit a video request, which may start from an image file, as `generations`."""
        route: Route = "text2video" if image is None else "image2video"
        replica = self._pipeline_for(body.model, route)
        kwargs = _decoded(body.kwargs, 500)
        twice = kwargs.keys() & {"prompt", "n"}
        faults = Faults() if twice else self._next_faults(_joined(body.prompt))
        job = Job(
            route,
            kwargs.get("request_id"),
            faults,
            lambda: from_video(body.prompt, body.n, kwargs, replica.model, image),
            kwargs.get("response_format", "b64_json"),
        )
        return await self._submit(job, replica, twice)

    async def _submit(self, job: Job, replica: Replica, twice: AbstractSet[str] = frozenset()) -> Job:
        """Submit a job of a route whose ids the front end keeps, too. What is given `twice` fails there."""
        await self._arrive()
        self._ids.add(job.request_id, job)
        job.answer.add_done_callback(lambda _: self._ids.remove(job.request_id, job))
        if twice:
            job.fail(HttpError(500, f"ActorRefMethod got multiple values for keyword argument {min(twice)!r}"))
            return job
        try:
            replica.submit(job)
        except HttpError as error:
            job.fail(error)
        return job

    async def chat(self, body: ChatBody) -> Chat:
        """Submit a chat and return it, waiting or running. Cancelling doesn't revoke a submitted one.

        Raises:
            HttpError: with the text of Xinference, for what is found before the model is asked.
        """
        if body.logit_bias is not None:
            raise HttpError(501, "Not implemented")
        if not body.messages:
            raise HttpError(400, "Invalid input. Please specify the prompt.")
        replica = self._launched.next_replica(body.model)
        replica.check_alive()
        if "tools" not in replica.model.abilities:
            asked = "calls" if body.tools else "messages" if body.messages[-1].get("role") == "tool" else None
            if asked is not None:
                raise HttpError(400, f"Only {{'qwen3', 'llama-3.1-instruct'}} support tool {asked}")
        chat = Chat(body, self._next_faults(text_of(body.messages[-1])))
        await self._arrive()
        if isinstance(replica, ChatReplica):
            replica.submit(chat)
        else:
            chat.end(ChatEnd(error=HttpError(500, f"Model {body.model} is not for chat.")))
        return chat

    def _pipeline_for(self, uid: str | None, route: Route) -> Replica:
        replica = self._launched.next_replica(uid)
        if isinstance(replica, Replica):
            return replica
        replica.check_alive()
        raise HttpError(500, f"{SUPERVISOR} Model {uid} {REFUSALS[route]}")

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


def _joined(prompt: str | list[str]) -> str:
    return prompt if isinstance(prompt, str) else " ".join(prompt)


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
        from xinflight.demo.painter import paint
    except ModuleNotFoundError as missing:
        raise DemoUnavailable("The demo draws with Pillow: pip install 'xinflight[demo]'") from missing
    return paint
