"""A fake Xinference that costs next to nothing: exact timings, one fixed image, and a log of what it was asked.

`python -m bench.fake_upstream REPLICAS SECONDS [PIXELS]` serves it; the image has some 0.6 bytes per pixel. Prompts
must be unique: they name the generations in the log at `GET /bench/log`. All times are `time.monotonic()`, which on
Linux every process of the machine shares.
"""

import asyncio
import base64
import io
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import uvloop
from msgspec import Struct
from PIL import Image

from bench.lean_http import http_response, serving_http
from bench.processes import serve_until_terminated

__all__ = ["LARGE", "MODEL", "SMALL", "VALUES", "FakeUpstream", "Generation", "UpstreamLog", "step_seconds"]

MODEL = "painter"
VALUES = 11
"""Progress values of one generation, equally spaced."""
SMALL, LARGE = 336 * 224, 3120 * 2190
"""Pixels of an image of some 46 KB, and of one of some 4 MB."""
_REQUESTS = "/v1/requests/"
_MODELS = f"/v1/models/{MODEL}/requests/"


class Generation(Struct, gc=False):
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


_decode = msgspec.json.Decoder(_Txt2Img).decode
_NOT_FOUND = http_response(b'{"detail":"Not Found"}', 404)
_UNKNOWN = http_response(b'{"detail":"unknown request id"}', 400)
_CANCELLED = http_response(b'{"detail":"The request has been cancelled"}', 409)
_DONE = http_response(b'{"msg":"DONE"}')


def step_seconds(seconds: float) -> float:
    """Return the seconds between two values: the last one comes half a step before the answer or earlier."""
    return seconds / (VALUES + 1.5)


def _image(pixels: int) -> bytes:
    """Return a JPEG of noise, always the same, three wide and two high."""
    height = int((pixels / 1.5) ** 0.5)
    width = pixels // height
    noise = random.Random(1).randbytes(width * height * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), noise).save(out, "JPEG", quality=75)
    return out.getvalue()


class FakeUpstream:
    """The routes that a gateway needs: models, txt2img, progress, abort."""

    def __init__(self, replicas: int, seconds: float, pixels: int = SMALL) -> None:
        self._seconds = seconds
        self._step = step_seconds(seconds)
        self._phases = random.Random(1)
        entry = {
            "id": MODEL,
            "model_type": "image",
            "model_name": MODEL,
            "model_engine": "diffusers",
            "model_ability": ["text2image"],
            "replica": replicas,
        }
        config = {"num_inference_steps": VALUES, "guidance_scale": 0.0}
        self._fixed = {
            "/v1/models": http_response(msgspec.json.encode({"data": [entry]})),
            "/openapi.json": http_response(msgspec.json.encode({"paths": {"/sdapi/v1/interrupt": {}}})),
            f"/v1/model_registrations/image/{MODEL}": http_response(
                msgspec.json.encode({"default_generate_config": config})
            ),
        }
        image = _image(pixels)
        self._answer = http_response(msgspec.json.encode({"images": [base64.b64encode(image).decode()]}))
        self._log = UpstreamLog(image_bytes=len(image), generations={})
        self._by_id: dict[str, Generation] = {}
        self._ends: dict[str, asyncio.Future[bytes]] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve inside the block; yield the base URL."""
        async with serving_http(self.handle) as url:
            yield url

    @property
    def image_bytes(self) -> int:
        """The size of its image."""
        return self._log.image_bytes

    def handle(self, method: str, path: str, body: bytes) -> bytes | asyncio.Future[bytes]:
        """Answer one request."""
        if path.startswith(_REQUESTS):
            return self._progress(path.removeprefix(_REQUESTS).partition("/")[0])
        if path == "/sdapi/v1/txt2img":
            return self._txt2img(body)
        if path.startswith(_MODELS):
            return self._abort(path.removeprefix(_MODELS).partition("/")[0])
        if path == "/bench/log":
            return http_response(msgspec.json.encode(self._log))
        return self._fixed.get(path, _NOT_FOUND)

    def _txt2img(self, body: bytes) -> asyncio.Future[bytes]:
        request = _decode(body)
        now = time.monotonic()
        generation = Generation(posted=now, began=now + self._phases.random() * self._step)
        self._log.generations[request.prompt] = self._by_id[request.request_id] = generation
        loop = asyncio.get_running_loop()
        end = self._ends[request.request_id] = loop.create_future()
        loop.call_later(self._seconds, self._complete, request.request_id)
        end.add_done_callback(partial(self._forget, request.request_id))
        return end

    def _complete(self, request_id: str) -> None:
        end = self._ends.get(request_id)
        # An abort may have come before.
        if end is not None and not end.done():
            self._by_id[request_id].answered = time.monotonic()
            end.set_result(self._answer)

    def _forget(self, request_id: str, end: object) -> None:
        del self._ends[request_id], self._by_id[request_id]

    def _progress(self, request_id: str) -> bytes:
        generation = self._by_id.get(request_id)
        if generation is None:
            return _UNKNOWN
        generation.polls += 1
        now = time.monotonic()
        reached = min(int((now - generation.began) / self._step), VALUES)
        if reached < 1:
            return _UNKNOWN
        progress = reached / VALUES, now - generation.posted
        return http_response(b'{"progress":%.6f,"elapsed_seconds":%.6f,"eta_seconds":null}' % progress)

    def _abort(self, request_id: str) -> bytes:
        now = time.monotonic()
        end = self._ends.get(request_id)
        if end is not None and not end.done():
            self._by_id[request_id].aborted = now
            end.set_result(_CANCELLED)
        return _DONE


if __name__ == "__main__":
    replicas, seconds, *pixels = sys.argv[1:]
    upstream = FakeUpstream(int(replicas), float(seconds), *(int(number) for number in pixels))
    uvloop.run(serve_until_terminated(upstream.serving(), "fake upstream"))
