"""Readers that stop reading while 200 tasks run: memory stays flat, others hear everything, and nothing is lost."""

import asyncio
import io
import os
import random
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from PIL import Image

from clients import LONG, Json, WireClient, is_end, painter
from conftest import Serve
from streams import NDJSON, PackClient, lines, stored
from xinflight.demo import DrawingRequest, Emulator
from xinflight.web import streams as web_stream
from xinflight.web import websocket as web_ws

TASKS = 200
IMAGES = 2
IMAGE = 80_000
"""Bytes of an image, roughly: inline and as base64, a reader is due some 40 MB."""
DUE = TASKS * IMAGES * IMAGE * 4 // 3
FLAT = DUE
"""By how much the process may grow with three readers that each are due DUE: noise, not the three of them."""


def paint() -> bytes:
    """Make an image of noise, which no format makes smaller."""
    file = io.BytesIO()
    noise = random.Random(1).randbytes(3 * 163 * 163)
    Image.frombytes("RGB", (163, 163), noise).save(file, "PNG")
    return file.getvalue()


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watcher:
    """An ordinary reader, and how much memory the process had meanwhile."""

    def __init__(self, client: WireClient) -> None:
        self.client = client
        self.peak = 0

    async def watch(self, ends: int) -> list[Json]:
        """Read until so many tasks have ended; return their stored events."""
        self.peak, seen = 0, []
        while ends:
            message = await self.client.receive()
            self.client.seen.clear()
            self.peak = max(self.peak, resident())
            ends -= is_end(message)
            seen.append(message)
        return stored(seen)


async def run_tasks(http: aiohttp.ClientSession, name: str) -> None:
    """Start TASKS tasks whose images are wanted inline."""
    body = {"prompt": "boat", "n": IMAGES, "steps": 10, "response_format": "b64_json"}
    for i in range(TASKS):
        async with http.post("/api/v1/tasks", json={**body, "task_id": f"{name}{i}"}) as response:
            assert response.status == 202


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux for the memory in use")
async def test_readers_that_stop_reading(
    emulate: Serve, serve: Serve, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = asyncio.Event()
    abort = web_ws._abort

    def note(request: web.Request) -> None:
        dropped.set()
        abort(request)

    monkeypatch.setattr(web_ws, "_abort", note)
    image = paint()
    assert IMAGE * 0.9 < len(image) < IMAGE * 1.1

    def painted(order: DrawingRequest) -> bytes:
        return image

    model = painter(replicas=TASKS, step_seconds=0.2)
    url = await serve(
        xinference_url=await emulate(Emulator([model], paint=painted)), default_size="64x64", heartbeat=6.0
    )
    http = await stack.enter_async_context(aiohttp.ClientSession(url))
    watcher = Watcher(await stack.enter_async_context(PackClient.connect(url)))
    await watcher.client.ask(action="follow", scope="all")

    # Without them first: what this costs anyway. The second time it costs no more.
    for name in ("first", "calm"):
        _, _ = await asyncio.gather(run_tasks(http, name), watcher.watch(TASKS))
    before = watcher.peak

    cursor = (await watcher.client.ask(action="list", limit=1))["cursor"]
    sse = await stack.enter_async_context(http.get("/api/v1/events", params={"after": cursor}))
    ndjson = await stack.enter_async_context(
        http.get("/api/v1/events", params={"after": cursor}, headers={"Accept": NDJSON})
    )
    socket = await stack.enter_async_context(WireClient.connect(url))
    await socket.ask(action="resume", scope="all", after=cursor)
    _, wanted = await asyncio.gather(run_tasks(http, "slow"), watcher.watch(TASKS))
    assert len(wanted) == TASKS * (IMAGES + 2)
    grown = watcher.peak - before
    print(f"grown by {grown / 1e6:.1f} MB of 3 x {DUE / 1e6:.0f} due")
    assert grown < FLAT
    # The WebSocket is let go; the streams wait for minutes.
    async with asyncio.timeout(LONG):
        await dropped.wait()
    assert web_stream.PATIENCE > 60

    for stream in (sse, ndjson):
        assert await read_all(stream) == wanted
    seen = []
    async with asyncio.timeout(LONG):
        while (frame := await socket.ws.receive()).type is aiohttp.WSMsgType.TEXT:
            seen.append(frame.json())
    assert frame.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
    assert len(stored(seen)) < len(wanted)
    highest = max(message["seq"] for message in seen if "seq" in message)
    async with WireClient.connect(url) as again:
        answer = await again.ask(action="resume", scope="all", after=f"{cursor.partition(':')[0]}:{highest}")
        assert answer["recovered"]
        seen += again.seen
    assert stored(seen) == wanted


async def read_all(stream: aiohttp.ClientResponse) -> list[Json]:
    """Go on reading until every task has ended; return the stored events."""
    seen = []
    ends = TASKS
    async with asyncio.timeout(LONG):
        async for line in lines(stream):
            seen.append(line.data)
            ends -= is_end(line.data)
            if not ends:
                break
    return stored(seen)
