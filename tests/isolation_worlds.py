"""Two servers that differ only in what a stranger has there, to show that it changes nothing for somebody else."""

import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from clients import Json, Recorder, WireClient, painter
from image_files import image_file
from streams import all_lines, shared_server
from xinflight.demo import Faults, serve_emulator
from xinflight.gateway import Gateway

BOB = {"X-User": "bob"}
CHANGING = {
    "timestamp",
    "created",
    "ended",
    "elapsed",
    "estimated_time",
    "connection_id",
    "started",
    "url",
    "expires",
}
"""Fields that differ between any two runs."""

IMAGES = {"ann": image_file(size=(64, 48)), "carol": image_file(size=(64, 64))}
"""What each of them has uploaded."""


class Ids(NamedTuple):
    """What a stranger has: an ended task, one that runs, one that waits, a file, a share, an upload and a group."""

    owner: str
    done: str
    running: str
    waiting: str
    output: str
    share: str
    upload: str
    group: str


def form(path: str, ids: Ids) -> list[tuple[str, dict[str, Any]]]:
    """Name somebody else's upload and output in a form, which would start from them."""
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    return [
        (
            path,
            {
                "data": part.format("prompt", "mine") + part.format("image", theirs) + "--x--\r\n",
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
        )
        for theirs in (ids.upload, ids.output)
    ]


class World:
    """A server, somebody who has tasks there, and `bob`, who has none."""

    def __init__(self, base: str, gateway: Gateway, engine: Recorder, http: aiohttp.ClientSession) -> None:
        self.base, self.gateway, self.engine, self.http = base, gateway, engine, http
        self.ids: Ids

    async def settle(self, owner: str) -> None:
        """Let an owner have one of everything, and `carol` a longer history; its ids begin with its name."""
        user = {"X-User": owner}
        done, running, waiting = (f"{owner}-{what}" for what in ("done", "running", "waiting"))
        group = f"{owner}-poems"
        body = {"prompt": f"{owner}'s poem", "seed": 7, "steps": 4, "group": group}
        if owner == "carol":
            await self._draw(user, {**body, "task_id": f"{owner}-more"})
        output = await self._draw(user, {**body, "task_id": done})
        tags = {"tags": [f"sea of {owner}"], "starred": True}
        async with self.http.post(f"/api/v1/tasks/{done}/mark", json=tags, headers=user) as response:
            assert response.status == 200
        preset = {"save": [{"name": "Portrait", "settings": {}, "prompt": f"{owner}'s poem"}]}
        async with self.http.patch("/api/v1/account/presets", json=preset, headers=user) as response:
            assert response.status == 200
        self.engine.faults = Faults(freeze=1)
        for task_id in (running, waiting):
            async with self.http.post("/api/v1/tasks", json={**body, "task_id": task_id}, headers=user) as response:
                assert response.status == 202
        async with self.http.post("/api/v1/shares", json={"task_id": done}, headers=user) as response:
            share = (await response.json())["id"]
        sent = {**user, "Content-Type": "image/png"}
        async with self.http.post("/api/v1/uploads", data=IMAGES[owner], headers=sent) as response:
            upload = (await response.json())["upload_id"]
        self.ids = Ids(owner, done, running, waiting, output, share, upload, group)

    async def _draw(self, user: dict[str, str], body: Json) -> str:
        """Generate an image; return the id of its file."""
        lines = {**user, "Accept": "application/x-ndjson"}
        async with self.http.post("/api/v1/tasks", json=body, headers=lines) as response:
            url: str = (await all_lines(response))[-1].data["data"]["data"][0]["url"]
        return url.rpartition("/")[2]

    async def ask(self, method: str, path: str, user: dict[str, str] = BOB, **options: Any) -> Json:
        """Return all of an answer that may tell something, without what differs between any two runs."""
        # Else each answer would have an id of its own.
        headers = {**user, "X-Request-Id": "the-same-one", **options.pop("headers", {})}
        async with self.http.request(method, path, headers=headers, allow_redirects=False, **options) as response:
            told = {
                name: self._plain(value)
                for name, value in response.headers.items()
                if name not in ("Date", "Content-Length") and not name.startswith("RateLimit")
            }
            return {"status": response.status, "headers": told, "body": self.plain(await response.read())}

    async def tasks(self, user: dict[str, str]) -> list[tuple[str, str]]:
        """Return id and state of all of an owner's tasks."""
        async with self.http.get("/api/v1/tasks", headers=user) as response:
            return [(task["task_id"], task["state"]) for task in (await response.json())["tasks"]]

    def plain(self, data: bytes) -> Any:
        """Return the content of an answer, without what differs between any two runs; of a ZIP, all of its files."""
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return {name: self.plain(archive.read(name)) for name in archive.namelist()}
        try:
            return self.without_changing(json.loads(data))
        except ValueError:
            return self._plain(data.decode(errors="replace"))

    def without_changing(self, value: Any) -> Any:
        """Return a message without what differs between any two runs."""
        if isinstance(value, dict):
            kept = {key: inner for key, inner in value.items() if key not in CHANGING}
            return {key: self.without_changing(inner) for key, inner in kept.items()}
        if isinstance(value, list):
            return [self.without_changing(inner) for inner in value]
        return self._plain(value) if isinstance(value, str) else value

    def _plain(self, text: str) -> str:
        return re.sub(r"127\.0\.0\.1:\d+", "HOST", text.replace(self.gateway.journal.epoch, "EPOCH"))


@asynccontextmanager
async def worlds() -> AsyncIterator[tuple[World, World]]:
    """Give a server with tasks of `ann`, and one with the same tasks of `carol`, under other ids."""
    async with AsyncExitStack() as stack:
        made = []
        for owner in ("ann", "carol"):
            engine = Recorder([painter()])
            url = await stack.enter_async_context(serve_emulator(engine))
            base, gateway = await stack.enter_async_context(shared_server(xinference_url=url))
            http = await stack.enter_async_context(aiohttp.ClientSession(base))
            world = World(base, gateway, engine, http)
            await world.settle(owner)
            made.append(world)
        try:
            yield made[0], made[1]
        finally:
            for world in made:
                world.engine.faults = Faults()
                world.engine.thaw()


@asynccontextmanager
async def connected(world: World, user: dict[str, str] = BOB) -> AsyncIterator[WireClient]:
    """Give a client of an owner."""
    async with WireClient.connect(world.base, headers=user) as client:
        yield client
