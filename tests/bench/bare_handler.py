"""The peer that we compare with: the least that an aiohttp WebSocket handler can do and still show true progress.

No validation, no storage, no resume, no queue; JSON as dicts; it asks for progress every half second and sends the
image in its result as base64. Collector, backlog, compression, heartbeat and connection pool are set as ours are, so
that the difference is in the work and not in the tuning. `python -m bench.bare_handler UPSTREAM_URL` serves it.
"""

import asyncio
import sys
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from bench.fake_upstream import MODEL
from bench.processes import hosting, serve_until_terminated
from bench.stalls import watching

POLL = 0.5
"""Seconds between two questions for the progress of a generation."""
HEARTBEAT = 25.0
"""Seconds between pings, as the default of xinflight."""


class BareHandler:
    """One WebSocket handler and one HTTP session."""

    def __init__(self, upstream_url: str) -> None:
        self._upstream_url = upstream_url
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_get("/ws/generate", self._handle)
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, app: web.Application) -> None:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
        self._session = aiohttp.ClientSession(self._upstream_url, connector=connector)

    async def _stop(self, app: web.Application) -> None:
        assert self._session is not None
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False, heartbeat=HEARTBEAT)
        await ws.prepare(request)
        generations: dict[str, tuple[str, asyncio.Task[None]]] = {}
        async for frame in ws:
            message = frame.json()
            if message["action"] == "ping":
                await ws.send_json({"type": "pong"})
                continue
            task_id = message["task_id"]
            if message["action"] == "generate":
                request_id = str(uuid4())
                work = self._generate(ws, task_id, message["prompt"], request_id)
                generation = asyncio.create_task(work, name=task_id)
                generations[task_id] = (request_id, generation)
                generation.add_done_callback(lambda ended: generations.pop(ended.get_name()))
            elif message["action"] == "cancel":
                await self._abort(generations[task_id][0])
        unfinished = [generation for _, generation in generations.values()]
        for generation in unfinished:
            generation.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        return ws

    async def _generate(self, ws: web.WebSocketResponse, task_id: str, prompt: str, request_id: str) -> None:
        assert self._session is not None
        await ws.send_json({"type": "ack", "task_id": task_id})
        polling = asyncio.create_task(self._poll(ws, task_id, request_id), name=f"poll {task_id}")
        body = {"model": MODEL, "prompt": prompt, "request_id": request_id, "width": 1024, "height": 1024}
        try:
            async with self._session.post("/sdapi/v1/txt2img", json=body) as response:
                answer: dict[str, Any] = await response.json()
        finally:
            polling.cancel()
        if response.status == 200:
            image = {"b64_json": answer["images"][0]}
            await ws.send_json({"type": "result", "task_id": task_id, "data": {"data": [image]}})
        else:
            await ws.send_json({"type": "cancelled", "task_id": task_id})

    async def _poll(self, ws: web.WebSocketResponse, task_id: str, request_id: str) -> None:
        assert self._session is not None
        while True:
            await asyncio.sleep(POLL)
            async with self._session.get(f"/v1/requests/{request_id}/progress") as response:
                if response.status == 200:
                    percent = int((await response.json())["progress"] * 100)
                    await ws.send_json({"type": "progress", "task_id": task_id, "progress": min(percent, 99)})

    async def _abort(self, request_id: str) -> None:
        assert self._session is not None
        async with self._session.post(f"/v1/models/{MODEL}/requests/{request_id}/abort", json={}):
            pass


async def _serve(upstream_url: str) -> None:
    async with watching():
        await serve_until_terminated(hosting(BareHandler(upstream_url).app()), "bare handler")


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
