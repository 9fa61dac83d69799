"""A client of the emulator over HTTP, which tells status, body and headers of each answer."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from clients import LONG
from xinflight.demo import DrawingRequest, EmulatedModel, Emulator, EmulatorOptions, serve_emulator

CHAT = "/v1/chat/completions"
STEP = 0.02
PAINTER = EmulatedModel(uid="painter", step_seconds=STEP, decode_seconds=0.0)
STANDING = msgspec.structs.replace(PAINTER, step_seconds=0.25)
"""For a clock that is moved by hand: sums of its steps are exact."""


def paint(order: DrawingRequest) -> bytes:
    """Return bytes that tell the order: images are test_drawing's business."""
    return msgspec.json.encode(order)


def ordered(image: str) -> DrawingRequest:
    return msgspec.json.decode(base64.b64decode(image), type=DrawingRequest)


class Answer(msgspec.Struct):
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def detail(self) -> str:
        assert isinstance(self.body["detail"], str)
        return self.body["detail"]


class Stream:
    """A stream of events, read one by one."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.events: list[Any] = []

    async def next(self) -> Any:
        """Return the next event, or None at the end of the stream."""
        async with asyncio.timeout(LONG):
            while line := await self.response.content.readline():
                assert line.endswith(b"\r\n")
                if line.startswith(b"data: "):
                    text = line[6:].strip()
                    self.events.append("[DONE]" if text == b"[DONE]" else json.loads(text))
                    return self.events[-1]
        return None

    async def rest(self) -> list[Any]:
        """Read to the end and return all events."""
        while await self.next() is not None:
            pass
        return self.events

    @property
    def text(self) -> str:
        """Return the text so far."""
        choices = [event["choices"][0] for event in self.events if "choices" in event]
        return "".join(choice["delta"].get("content", "") for choice in choices)


class XinferenceClient:
    """A client of a Xinference, emulated or real."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def call(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        async with self.session.request(method, self.url + path, data=data, **options) as response:
            text = await response.text()
            content = json.loads(text) if response.content_type == "application/json" else text
            return Answer(response.status, content, dict(response.headers))

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def txt2img(self, **fields: Any) -> Answer:
        return await self.call("POST", "/sdapi/v1/txt2img", _filled(fields, width=64, height=64, steps=4))

    async def generations(self, kwargs: dict[str, Any] | None = None, **fields: Any) -> Answer:
        body = _filled(fields, size="64*64", response_format="b64_json")
        return await self.call("POST", "/v1/images/generations", body | {"kwargs": json.dumps(kwargs or {})})

    async def img2img(self, start: bytes | str, **fields: Any) -> Answer:
        """Ask for an image of 64x64 over a file, or over the text that is sent for one."""
        image = base64.b64encode(start).decode() if isinstance(start, bytes) else start
        body = _filled(fields, width=64, height=64, steps=4, init_images=[image])
        return await self.call("POST", "/sdapi/v1/img2img", body)

    async def variation(
        self, start: bytes, kwargs: dict[str, Any] | None = None, mask: bytes | None = None, **fields: str
    ) -> Answer:
        """Ask for an image of 64x64 over a file by a form, with a mask for inpainting."""
        form = aiohttp.FormData()
        texts = _filled(dict(fields), size="64*64", response_format="b64_json")
        for name, value in (texts | {"kwargs": json.dumps({"num_inference_steps": 4} | (kwargs or {}))}).items():
            form.add_field(name, value)
        form.add_field("image", start, filename="start.png", content_type="image/png")
        if mask is not None:
            form.add_field("mask_image", mask, filename="mask.png", content_type="image/png")
        path = "/v1/images/variations" if mask is None else "/v1/images/inpainting"
        async with self.session.post(self.url + path, data=form) as response:
            return Answer(response.status, await response.json(), dict(response.headers))

    async def video(self, kwargs: dict[str, Any] | None = None, **fields: Any) -> Answer:
        """Ask for a video of nine frames of 64x64 in four steps."""
        small = {"width": 64, "height": 64, "num_frames": 9, "num_inference_steps": 4}
        body = {"model": "animator", "prompt": "a cat", **fields, "kwargs": json.dumps(small | (kwargs or {}))}
        return await self.call("POST", "/v1/video/generations", body)

    @asynccontextmanager
    async def chat_stream(self, body: dict[str, Any]) -> AsyncIterator[Stream]:
        """Ask for a streamed chat."""
        async with self.session.post(self.url + CHAT, json=body) as response:
            assert response.status == 200
            yield Stream(response)

    async def abort(self, request_id: str, uid: str = "painter", **fields: Any) -> Answer:
        return await self.call("POST", f"/v1/models/{uid}/requests/{request_id}/abort", fields)

    async def progress(self, request_id: str) -> Answer:
        return await self.get(f"/v1/requests/{request_id}/progress")

    async def reach(self, request_id: str, wanted: Callable[[float], bool]) -> float:
        """Wait until an id's progress is as wanted, or give up."""
        async with asyncio.timeout(LONG):
            while True:
                answer = await self.progress(request_id)
                if answer.status == 200 and wanted(answer.body["progress"]):
                    return float(answer.body["progress"])
                await asyncio.sleep(STEP / 4)


class Server(XinferenceClient):
    """An emulator that is being served, and a client for it."""

    def __init__(self, engine: Emulator, url: str, session: aiohttp.ClientSession) -> None:
        super().__init__(url, session)
        self.engine = engine


def new_id() -> str:
    """Return a fresh request id."""
    return str(uuid.uuid4())


def _filled(fields: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return {"model": "painter", "prompt": "a cat", **defaults, **fields}


@asynccontextmanager
async def emulated(*models: EmulatedModel, draws: bool = False, **options: Any) -> AsyncIterator[Server]:
    """Serve an emulator of some models and yield a client of it. Unless it `draws`, images tell their order."""
    engine = Emulator(models, options=EmulatorOptions(**options), paint=None if draws else paint)
    async with aiohttp.ClientSession() as session, serve_emulator(engine) as url:
        yield Server(engine, url, session)
