"""The emulator's odd corners, each as measured on Xinference 4.1.0, over real HTTP."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
import pytest

from xinflight.emulator import EmulatedModel, Emulator, EmulatorOptions, Faults, demo_engine
from xinflight.emulator_wire import Order
from xinflight.web_emulator import serve_emulator

STEP = 0.02
PAINTER = EmulatedModel(uid="painter", step_seconds=STEP, decode_seconds=0.0)


def paint(order: Order) -> bytes:
    """Return bytes that tell the order: pictures are test_drawing's business."""
    return msgspec.json.encode(order)


def ordered(picture: str) -> Order:
    return msgspec.json.decode(base64.b64decode(picture), type=Order)


class Answer(msgspec.Struct):
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def detail(self) -> str:
        assert isinstance(self.body["detail"], str)
        return self.body["detail"]


class Server:
    """An emulator that is being served, and a client for it."""

    def __init__(self, engine: Emulator, url: str, session: aiohttp.ClientSession) -> None:
        self.engine = engine
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

    async def abort(self, request_id: str, uid: str = "painter", **fields: Any) -> Answer:
        return await self.call("POST", f"/v1/models/{uid}/requests/{request_id}/abort", fields)

    async def progress(self, request_id: str) -> Answer:
        return await self.get(f"/v1/requests/{request_id}/progress")

    async def reach(self, request_id: str, wanted: Callable[[float], bool]) -> float:
        """Wait until an id's progress is as wanted, at most ten seconds."""
        async with asyncio.timeout(10):
            while True:
                answer = await self.progress(request_id)
                if answer.status == 200 and wanted(answer.body["progress"]):
                    return float(answer.body["progress"])
                await asyncio.sleep(STEP / 4)


def _filled(fields: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return {"model": "painter", "prompt": "a cat", **defaults, **fields}


Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(*models: EmulatedModel, engine: Emulator | None = None, **options: Any) -> Server:
            engine = engine or Emulator(models or (PAINTER,), options=EmulatorOptions(**options), paint=paint)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            url = await stack.enter_async_context(serve_emulator(engine))
            return Server(engine, url, session)

        yield start


@pytest.fixture
async def server(serve: Serve) -> Server:
    started: Server = await serve()
    return started


def changed(**fields: Any) -> EmulatedModel:
    return msgspec.structs.replace(PAINTER, **fields)


async def test_txt2img_answers_one_bare_base64_picture(server: Server) -> None:
    """A picture comes as bare base64 with the moment it was made, and nothing else."""
    answer = await server.txt2img(seed=42, steps=5)
    assert answer.status == 200
    assert answer.body.keys() == {"images", "info", "parameters"}
    assert ordered(answer.body["images"][0]).seed == 42
    assert ordered(answer.body["images"][0]).steps == 5


async def test_both_routes_make_the_same_picture(server: Server) -> None:
    """The same inputs are the same bytes on both routes, with the model's own guidance when none is given."""
    one = await server.txt2img(seed=7, kwargs='{"cfg_scale":null}')
    other = await server.generations({"seed": 7, "num_inference_steps": 4})
    assert one.body["images"] == [other.body["data"][0]["b64_json"]]


async def test_a_missing_cfg_scale_means_seven(serve: Serve) -> None:
    """Without cfg_scale txt2img takes 7.0 and overrides what the model is registered with."""
    server = await serve(changed(default_generate_config={"guidance_scale": 0.0}))
    assert ordered((await server.txt2img()).body["images"][0]).guidance == 7.0
    assert ordered((await server.txt2img(kwargs='{"cfg_scale":null}')).body["images"][0]).guidance == 0.0


async def test_txt2img_floors_sizes_and_ignores_batches(server: Server) -> None:
    """Sizes fall to a multiple of eight, and one picture comes whatever the batch."""
    answer = await server.txt2img(width=71, height=64, batch_size=3, n_iter=2)
    [picture] = answer.body["images"]
    assert (ordered(picture).width, ordered(picture).height) == (64, 64)
