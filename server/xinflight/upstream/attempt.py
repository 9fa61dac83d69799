"""One request for one picture, from its POST to the moment when it is known to have ended upstream.

Two routes (measured on Xinference 4.1.0): `/sdapi/v1/txt2img`, whose abort stops the compute at the next step and
is answered 409 after that; and `/v1/images/generations`, whose abort answers at once while the pipeline runs on and
spoils the next picture, so there an abort is never sent.
"""

import asyncio
from collections.abc import Callable

import aiohttp
import msgspec
import structlog
from msgspec import Struct

from xinflight.clock import Clock
from xinflight.errors import (
    ModelNotFound,
    UpstreamDied,
    UpstreamFailed,
    UpstreamGarbage,
    UpstreamUnreachable,
    XinflightError,
)
from xinflight.upstream.client import NOT_SENT, Xinference
from xinflight.upstream.messages import (
    Aborted,
    GenerationsAnswer,
    ProgressAnswer,
    Txt2ImgAnswer,
    failed_picture,
    parse,
)
from xinflight.upstream.progress import ProgressEstimator

__all__ = ["CONFIRM", "Attempt", "GenerationRequest"]

log = structlog.stdlib.get_logger(__name__)

ANSWER_BYTES, PIXEL_BYTES = 16 * 2**20, 11
"""The most bytes of an answer with a picture, and for each of its pixels: 16 bits RGBA as base64, not compressed."""
CONFIRM = 30.0
"""Seconds within which an abort is confirmed, or five step times if those are longer, up to half of QUARANTINE."""
QUARANTINE = 600.0
"""Seconds without any sign of life after which a request that never ended is taken for gone."""
DECODING = 2.0
"""Seconds that a model may work on after its last step, where nothing but its progress tells the end."""
WATCH = 5.0
"""Seconds between two looks at a request that was given up."""


class GenerationRequest(Struct, frozen=True, kw_only=True):
    """What is asked of a model: one picture. None leaves steps or guidance to the model."""

    model: str
    prompt: str
    negative_prompt: str | None
    width: int
    height: int
    steps: int | None
    guidance_scale: float | None
    seed: int
    request_id: str


class Attempt:
    """Make one picture. `run` returns or raises only when the request has ended upstream, as far as can be known.

    `report` is called on the loop after `estimator` changed.
    """

    def __init__(
        self,
        upstream: Xinference,
        request: GenerationRequest,
        estimator: ProgressEstimator,
        *,
        true_cancel: bool,
        report: Callable[[], None],
    ) -> None:
        self.request = request
        self.estimator = estimator
        self.true_cancel = true_cancel
        self._upstream = upstream
        self._clock: Clock = upstream.clock
        self._report = report
        self._gone = asyncio.Event()
        self._given_up = False
        # Owned by this attempt, awaited at the end of run(): progress, and after abort() the abort and the watch.
        self._helpers: list[asyncio.Task[None]] = []

    @property
    def confirm_seconds(self) -> float:
        """Return how long an abort may take before it counts as unconfirmed."""
        # Before the quarantine ends: a request that is only taken for gone confirms nothing.
        return min(max(CONFIRM, 5 * self.estimator.step_seconds(self.request.steps)), QUARANTINE / 2)

    async def run(self) -> bytes:
        """Send the request and return the picture's bytes.

        Raises:
            Aborted: `abort` was called, and it has ended or was never sent.
            UpstreamError: it failed; `retryable` ones may be tried again with a fresh request id.
            NotForTxt2Img: the model needs the other route.
            ModelNotFound: the model is gone.

        Cancelling the call closes the connection and leaves the request running upstream: only for a process
        that ends.
        """
        if self._given_up:
            await self._end(self._helpers)
            raise Aborted("never sent")
        self._help(self._follow_progress(), "progress")
        post = asyncio.create_task(self._post(), name=f"post {self.request.request_id}")
        gone = asyncio.create_task(self._gone.wait(), name=f"gone {self.request.request_id}")
        try:
            await asyncio.wait({post, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not post.done():
                raise UpstreamDied(detail="given up: no sign of life")
            return await post
        except NOT_SENT as error:
            raise UpstreamUnreachable(detail=str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            self._upstream.doubt()
            await self._settle()
            if self._given_up:
                raise Aborted("its answer was lost") from None
            raise UpstreamDied(detail=f"the answer was lost: {type(error).__name__} {error}") from None
        finally:
            await self._end([post, gone, *self._helpers])

    async def _end(self, tasks: list[asyncio.Task[None]] | list[asyncio.Task[object]]) -> None:
        # From here on an abort has nothing to stop, and nobody would await its helpers.
        self._given_up = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _help(self, work: object, what: str) -> None:
        self._helpers.append(asyncio.create_task(work, name=f"{what} {self.request.request_id}"))  # type: ignore[arg-type]

    def abort(self) -> None:
        """Ask the upstream to stop, if that route can; never waits. Safe to call twice.

        `run` ends when the upstream has, or when it showed no sign of life for QUARANTINE seconds.
        """
        if self._given_up:
            return
        self._given_up = True
        if self.true_cancel:
            self._help(self._send_abort(), "abort")
        self._help(self._watch(), "watch")

    async def _post(self) -> bytes:
        request = self.request
        if self.true_cancel:
            pictures = parse(await self._draw("/sdapi/v1/txt2img", _txt2img(request)), Txt2ImgAnswer).images
        else:
            data = parse(await self._draw("/v1/images/generations", _generations(request)), GenerationsAnswer).data
            pictures = [image.b64_json for image in data]
        if not pictures or not pictures[0]:
            raise UpstreamGarbage(detail="an answer without a picture")
        return pictures[0]

    async def _draw(self, path: str, body: object) -> bytes:
        """Send the request and wait for its answer as long as it takes: a draw in its queue may take an hour."""
        most = ANSWER_BYTES + PIXEL_BYTES * self.request.width * self.request.height
        try:
            return await self._upstream.request("POST", path, body, seconds=None, most=most)
        except UpstreamFailed as error:
            raise failed_picture(error) from None

    async def progress(self) -> float | None:
        """Return the progress, or None while the upstream does not know the id; errors as `Xinference.request`."""
        path = f"/v1/requests/{self.request.request_id}/progress"
        try:
            return parse(await self._upstream.request("GET", path), ProgressAnswer).progress
        except ModelNotFound:
            return None
        except UpstreamFailed as error:
            # Any other answer, like a 503, says nothing about the request.
            if error.upstream_status == 400:
                return None
            raise

    async def _follow_progress(self) -> None:
        """Ask whenever the next value should be there, until it is 1.0 or run() ends."""
        while not self.estimator.decoding_since:
            await self._clock.sleep(self.estimator.next_ask(self._clock.monotonic()))
            try:
                progress = await self.progress()
            except (aiohttp.ClientError, OSError, XinflightError):
                progress = None
            if self.estimator.saw(progress or 0.0, self._clock.monotonic()) and not self._given_up:
                self._report()

    async def _send_abort(self) -> None:
        """Send the abort until it is answered; what it says is no proof of anything."""
        pause = 0.1
        while True:
            try:
                await self._upstream.abort_request(self.request.model, self.request.request_id)
                return
            except (aiohttp.ClientError, OSError, XinflightError) as error:
                log.debug("abort not answered", error=str(error))
            await self._clock.sleep(pause)
            pause = min(2 * pause, WATCH)

    async def settle(self) -> None:
        """Make a request of an earlier process stop, if its route can, and wait until the upstream says so."""
        try:
            await self._settle()
        finally:
            await self._end(self._helpers)

    async def _settle(self) -> None:
        """After a lost POST: make it stop, and wait until the upstream says that it has."""
        was_given_up = self._given_up
        self.abort()
        self._given_up = was_given_up
        pause = 0.1
        while not self._gone.is_set():
            try:
                progress = await self.progress()
            except (aiohttp.ClientError, OSError, XinflightError):
                pass
            else:
                if progress is None:
                    return
                if progress >= 1.0:
                    if not self.true_cancel:
                        await self._clock.sleep(DECODING)
                    return
                # A sign of life, for who watches.
                self.estimator.saw(progress, self._clock.monotonic())
            try:
                async with self._clock.timeout(pause):
                    await self._gone.wait()
            except TimeoutError:
                pause = min(2 * pause, WATCH)

    async def _watch(self) -> None:
        """Take the request for gone when its process was made anew, or after QUARANTINE without progress."""
        seen, since = self.estimator.progress, self._clock.monotonic()
        born = await self._births()
        # By the clock: each look may itself take as long as a call that is not answered.
        while (left := since + QUARANTINE - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(WATCH, left))
            now_born = await self._births()
            # Which replica has it is not told: it is gone for sure when none of them is what it was.
            if born and now_born and not born & now_born:
                break
            born = born or now_born
            if self.estimator.progress != seen:
                seen, since = self.estimator.progress, self._clock.monotonic()
        self._gone.set()

    async def _births(self) -> set[tuple[int, str, int]]:
        try:
            rows = await self._upstream.replicas(self.request.model)
        except (aiohttp.ClientError, OSError, XinflightError):
            return set()
        # A row without an address is a replica between two processes.
        return {(row.replica_id, row.model_address, row.created_ts) for row in rows if row.model_address is not None}


def _txt2img(request: GenerationRequest) -> dict[str, object]:
    """Return the body for `/sdapi/v1/txt2img` (api/schemas/requests.py).

    A missing cfg_scale would mean 7.0, and a null one is refused: inside `kwargs`, null leaves it to the model.
    """
    body: dict[str, object] = {
        "model": request.model,
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "seed": request.seed,
        "request_id": request.request_id,
    }
    if request.negative_prompt:
        body["negative_prompt"] = request.negative_prompt
    if request.steps is not None:
        body["steps"] = request.steps
    if request.guidance_scale is None:
        body["kwargs"] = '{"cfg_scale":null}'
    else:
        body["cfg_scale"] = request.guidance_scale
    return body


def _generations(request: GenerationRequest) -> dict[str, object]:
    """Return the body for `/v1/images/generations`; `url` would answer a path on the model's host."""
    kwargs: dict[str, object] = {"request_id": request.request_id, "seed": request.seed}
    if request.negative_prompt:
        kwargs["negative_prompt"] = request.negative_prompt
    if request.steps is not None:
        kwargs["num_inference_steps"] = request.steps
    if request.guidance_scale is not None:
        kwargs["guidance_scale"] = request.guidance_scale
    return {
        "model": request.model,
        "prompt": request.prompt,
        "n": 1,
        "size": f"{request.width}*{request.height}",
        "response_format": "b64_json",
        "kwargs": msgspec.json.encode(kwargs).decode(),
    }
