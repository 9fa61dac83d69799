"""An upstream for the benchmark of chats: it streams to any number of them, each token with the time it was sent.

`python -m bench.chat_upstream RATE` serves it; every chat gets RATE tokens a second until its `max_tokens`.
"""

import asyncio
import itertools
import sys
import time
from typing import Any

from aiohttp import web

from bench.processes import hosting, serve_until_terminated

__all__ = ["MODEL", "ChatUpstream"]

MODEL = "writer"
PHASES = 16
"""Groups of chats that are written to one after the other within an interval, so that not all tokens come at once."""
HEAD = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"writer","choices":[{"index":0,"delta":'
USAGE = b'"usage":{"prompt_tokens":8,"completion_tokens":%d,"total_tokens":%d}'


class _Chat:
    """One response under way. It is written to its transport: a write of aiohttp costs several times as much."""

    def __init__(self, transport: asyncio.Transport, tokens: int) -> None:
        self.transport = transport
        self.total = self.left = tokens
        self.done = asyncio.Event()

    def write(self, event: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n\r\n\r\n" % (len(event) + 4, event))

    def token(self) -> None:
        """Write the next token, or the end."""
        if self.transport.is_closing():
            self.done.set()
        elif self.left:
            self.left -= 1
            self.write(HEAD + b'{"content":"%.6f "},"finish_reason":null}]}' % time.monotonic())
        else:
            usage = USAGE % (self.total, self.total + 8)
            self.write(HEAD + b'{},"finish_reason":"length"}],%b}' % usage)
            self.write(b"data: [DONE]")
            self.done.set()


class ChatUpstream:
    """As much of Xinference as a chat needs."""

    def __init__(self, rate: float) -> None:
        self._interval = 1 / rate
        self._phases: list[set[_Chat]] = [set() for _ in range(PHASES)]
        self._next = itertools.cycle(self._phases)
        self._ticker: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_get("/v1/models/{uid}/replicas", self._replicas)
        app.router.add_post("/v1/models/{uid}/requests/{id}/abort", self._abort)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, app: web.Application) -> None:
        self._ticker = asyncio.create_task(self._tick(), name="tick")

    async def _stop(self, app: web.Application) -> None:
        assert self._ticker is not None
        self._ticker.cancel()

    async def _tick(self) -> None:
        """Write one token to every chat per interval; a tick that is late is not made up for."""
        pause = self._interval / PHASES
        due = time.monotonic()
        for phase in itertools.cycle(self._phases):
            for chat in phase:
                chat.token()
            due = max(due + pause, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        tokens = (await request.json())["max_tokens"]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        chat = _Chat(request.transport, tokens)
        chat.write(HEAD + b'{"role":"assistant","content":""},"finish_reason":null}]}')
        phase = next(self._next)
        phase.add(chat)
        try:
            await chat.done.wait()
        finally:
            phase.discard(chat)
        if not request.transport.is_closing():
            await response.write_eof()
        return response

    async def _models(self, request: web.Request) -> web.Response:
        entry: dict[str, Any] = {
            "id": MODEL,
            "model_type": "LLM",
            "model_name": MODEL,
            "model_engine": "transformers",
        }
        entry |= {"model_ability": ["chat", "generate"], "replica": 1, "context_length": 1_000_000}
        return web.json_response({"object": "list", "data": [entry]})

    async def _openapi(self, request: web.Request) -> web.Response:
        return web.json_response({"paths": {"/sdapi/v1/interrupt": {}}})

    async def _replicas(self, request: web.Request) -> web.Response:
        return web.json_response([{"replica_id": 0, "model_address": "127.0.0.1:1", "created_ts": 1}])

    async def _abort(self, request: web.Request) -> web.Response:
        return web.json_response({"msg": "NOT_FOUND"})


if __name__ == "__main__":
    asyncio.run(serve_until_terminated(hosting(ChatUpstream(float(sys.argv[1])).app()), "chat upstream"))
