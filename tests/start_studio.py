"""A server in front of models that start from images, for tests: uploads over HTTP, the rest over a WebSocket."""

import base64
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from clients import Json, Recorder, WireClient, painter
from conftest import Serve
from xinflight.demo import EmulatedModel

__all__ = ["ALL", "EDITOR", "PLAIN", "Studio", "open_studio"]

ALL = painter(abilities=("text2image", "image2image", "inpainting"))
PLAIN = painter(uid="plain")
EDITOR = painter(uid="editor", abilities=("image2image",))


class Studio:
    """A server, its upstream, and one client of each transport."""

    def __init__(self, engine: Recorder, url: str, http: aiohttp.ClientSession, client: WireClient) -> None:
        self.engine, self.url, self.http, self.client = engine, url, http, client

    async def upload(self, data: bytes) -> str:
        """Upload an image; return its id."""
        headers = {"Content-Type": "image/png"}
        async with self.http.post(f"{self.url}api/v1/uploads", data=data, headers=headers) as response:
            answer: Json = await response.json()
            assert response.status in (200, 201), answer
            return str(answer["upload_id"])

    async def file(self, url: str) -> bytes:
        """Fetch an output."""
        async with self.http.get(url) as response:
            assert response.status == 200
            return await response.read()

    async def generate(self, task_id: str, **fields: Any) -> Json:
        """Submit a task and return the answer."""
        return await self.client.ask(action="generate", task_id=task_id, **{"prompt": "a boat", "seed": 7, **fields})

    async def end(self, task_id: str) -> Json:
        """Wait for the end of a task."""
        return (await self.client.ends(task_id))[task_id]

    async def make(self, task_id: str, **fields: Any) -> tuple[Json, list[bytes]]:
        """Submit a task; return the answer, and the files that were made."""
        ack = await self.generate(task_id, **fields)
        assert ack["type"] == "ack", ack
        end = await self.end(task_id)
        assert end["type"] == "result", end
        return ack, [await self.file(output["url"]) for output in end["data"]["data"]]

    @property
    def starts(self) -> list[bytes]:
        """The files that requests for img2img started from, in their order."""
        return [base64.b64decode(body.init_images[0]) for body in self.engine.img2img_bodies]


async def open_studio(
    stack: AsyncExitStack, emulate: Serve, serve: Serve, *models: EmulatedModel, **settings: Any
) -> Studio:
    """Serve some models, by default all of them, and connect. The same request makes the same bytes."""
    engine = Recorder(models or (ALL, PLAIN, EDITOR))
    given = {"xinference_url": await emulate(engine), "default_size": "64x64", "file_metadata": "none"}
    url = await serve(**given | settings)
    http = await stack.enter_async_context(aiohttp.ClientSession())
    client = await stack.enter_async_context(WireClient.connect(url))
    return Studio(engine, f"{url.rstrip('/')}/", http, client)
