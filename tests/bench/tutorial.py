"""The second peer: what one writes after a tutorial. A FastAPI WebSocket that posts, polls and sends the image.

No validation, no storage, no resume, no queue, no cancel; an HTTP session for each generation. uvicorn takes uvloop
and httptools where they are installed. `python -m bench.tutorial UPSTREAM_URL` serves it.
"""

import asyncio
import socket
import sys
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import aiohttp
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from bench.fake_upstream import MODEL
from bench.stalls import watching

POLL = 0.5
"""Seconds between two questions for the progress of a generation."""


def tutorial(upstream_url: str) -> FastAPI:
    """Return the application."""
    app = FastAPI(lifespan=_lifespan)

    @app.websocket("/ws/generate")
    async def handle(ws: WebSocket) -> None:
        await ws.accept()
        try:
            while True:
                message = await ws.receive_json()
                if message["action"] == "ping":
                    await ws.send_json({"type": "pong"})
                elif message["action"] == "generate":
                    await _generate(ws, upstream_url, message["task_id"], message["prompt"])
        except WebSocketDisconnect:
            pass

    return app


async def _generate(ws: WebSocket, upstream_url: str, task_id: str, prompt: str) -> None:
    await ws.send_json({"type": "ack", "task_id": task_id})
    request_id = str(uuid4())
    body = {"model": MODEL, "prompt": prompt, "request_id": request_id, "width": 1024, "height": 1024}
    async with aiohttp.ClientSession(upstream_url) as session:
        polling = asyncio.create_task(_poll(ws, session, task_id, request_id), name=f"poll {task_id}")
        try:
            async with session.post("/sdapi/v1/txt2img", json=body) as response:
                answer = await response.json()
        finally:
            polling.cancel()
    image = {"b64_json": answer["images"][0]}
    await ws.send_json({"type": "result", "task_id": task_id, "data": {"data": [image]}})


async def _poll(ws: WebSocket, session: aiohttp.ClientSession, task_id: str, request_id: str) -> None:
    while True:
        await asyncio.sleep(POLL)
        async with session.get(f"/v1/requests/{request_id}/progress") as response:
            if response.status == 200:
                percent = int((await response.json())["progress"] * 100)
                await ws.send_json({"type": "progress", "task_id": task_id, "progress": min(percent, 99)})


def _lifespan(app: FastAPI) -> AbstractAsyncContextManager[None]:
    return watching()


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"tutorial is at http://127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    uvicorn.Server(uvicorn.Config(tutorial(sys.argv[1]), log_level="warning")).run(sockets=[listening])
