"""A fake Xinference that costs next to nothing: exact timings, one fixed image, and a log of what it was asked.

`python -m bench.fake_upstream REPLICAS SECONDS` serves it. Prompts must be unique: they name the generations in the
log at `GET /bench/log`. All times are `time.monotonic()`, which on Linux every process of the machine shares.
"""

import asyncio
import base64
import io
import random
import sys
import time

import msgspec
from aiohttp import web
from msgspec import Struct
from PIL import Image

from bench.processes import serve_until_terminated

__all__ = ["MODEL", "VALUES", "FakeUpstream", "Generation", "UpstreamLog", "step_seconds"]

MODEL = "painter"
VALUES = 11
"""Progress values of one generation, equally spaced."""


class Generation(Struct):
    """What happened to one request for an image."""

    posted: float
    began: float
    """When its steps began: up to a step after `posted`, so that generations and polls are not in phase."""
    answered: float | None = None
    aborted: float | None = None
    polls: int = 0


class UpstreamLog(Struct):
    """The answer of `GET /bench/log`; `generations` by prompt."""

    image_bytes: int
    generations: dict[str, Generation]


class _Txt2Img(Struct):
    prompt: str
    request_id: str


def step_seconds(seconds: float) -> float:
    """Return the seconds between two values: the last one comes half a step before the answer or earlier."""
    return seconds / (VALUES + 1.5)


def _image() -> bytes:
    """Return a JPEG of noise of some 46 KB, always the same."""
    width, height = 336, 224
    noise = random.Random(1).randbytes(width * height * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), noise).save(out, "JPEG", quality=75)
    return out.getvalue()


class FakeUpstream:
    """The routes that a gateway needs: models, txt2img, progress, abort."""

    def __init__(self, replicas: int, seconds: float) -> None:
        self._seconds = seconds
        self._step = step_seconds(seconds)
        self._phases = random.Random(1)
        self._models = {
            "data": [
                {
                    "id": MODEL,
                    "model_type": "image",
                    "model_name": MODEL,
                    "model_engine": "diffusers",
                    "model_ability": ["text2image"],
                    "replica": replicas,
                }
            ]
        }
        image = _image()
        self._answer = msgspec.json.encode({"images": [base64.b64encode(image).decode()]})
        self._log = UpstreamLog(image_bytes=len(image), generations={})
        self._by_id: dict[str, Generation] = {}
        self._ends: dict[str, asyncio.Future[bool]] = {}

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_get("/v1/models", self._get_models)
        app.router.add_get("/openapi.json", self._get_openapi)
        app.router.add_get(f"/v1/model_registrations/image/{MODEL}", self._get_registration)
        app.router.add_post("/sdapi/v1/txt2img", self._post_txt2img)
        app.router.add_get("/v1/requests/{request_id}/progress", self._get_progress)
        app.router.add_post(f"/v1/models/{MODEL}/requests/{{request_id}}/abort", self._post_abort)
        app.router.add_get("/bench/log", self._get_log)
        return app

    async def _get_models(self, request: web.Request) -> web.Response:
        return web.json_response(self._models)

    async def _get_openapi(self, request: web.Request) -> web.Response:
        return web.json_response({"paths": {"/sdapi/v1/interrupt": {}}})

    async def _get_registration(self, request: web.Request) -> web.Response:
        config = {"num_inference_steps": VALUES, "guidance_scale": 0.0}
        return web.json_response({"default_generate_config": config})

    async def _post_txt2img(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read(), type=_Txt2Img)
        now = time.monotonic()
        generation = Generation(posted=now, began=now + self._phases.random() * self._step)
        self._log.generations[body.prompt] = self._by_id[body.request_id] = generation
        loop = asyncio.get_running_loop()
        completed: asyncio.Future[bool] = loop.create_future()
        self._ends[body.request_id] = completed
        timer = loop.call_later(self._seconds, _complete, completed)
        try:
            if not await completed:
                return web.json_response({"detail": "The request has been cancelled"}, status=409)
        finally:
            timer.cancel()
            del self._ends[body.request_id], self._by_id[body.request_id]
        generation.answered = time.monotonic()
        return web.Response(body=self._answer, content_type="application/json")

    async def _get_progress(self, request: web.Request) -> web.Response:
        generation = self._by_id.get(request.match_info["request_id"])
        if generation is None:
            return web.json_response({"detail": "unknown request id"}, status=400)
        generation.polls += 1
        now = time.monotonic()
        reached = min(int((now - generation.began) / self._step), VALUES)
        if reached < 1:
            return web.json_response({"detail": "unknown request id"}, status=400)
        progress = reached / VALUES, now - generation.posted
        body = b'{"progress":%.6f,"elapsed_seconds":%.6f,"eta_seconds":null}' % progress
        return web.Response(body=body, content_type="application/json")

    async def _post_abort(self, request: web.Request) -> web.Response:
        now = time.monotonic()
        request_id = request.match_info["request_id"]
        end = self._ends.get(request_id)
        if end is not None and not end.done():
            self._by_id[request_id].aborted = now
            end.set_result(False)
        return web.json_response({"msg": "DONE"})

    async def _get_log(self, request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self._log), content_type="application/json")


def _complete(completed: asyncio.Future[bool]) -> None:
    # An abort may have come in the same turn of the loop.
    if not completed.done():
        completed.set_result(True)


if __name__ == "__main__":
    asyncio.run(serve_until_terminated(FakeUpstream(int(sys.argv[1]), float(sys.argv[2])).app(), "fake upstream"))
