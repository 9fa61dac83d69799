"""The chat endpoint of the emulated Xinference: server-sent events, or one answer.

Source: Xinference 4.1.0, `api/restful_api.py` and sse_starlette; what a lost client and an abort do is measured.
"""

import asyncio
from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import web

from xinflight.demo.chat_bodies import ChatBody, decode_chat
from xinflight.demo.chat_replica import Chat, ChatEnd
from xinflight.demo.errors import HttpError
from xinflight.demo.http_answers import EMULATOR, abort_connection, json_response

__all__ = ["ROUTES"]

FAILED = "The chat completion request failed. Check the server logs for details."
ABORTED = "<XINFERENCE_NON_STREAMING_ABORT>"
WATCH_SECONDS = 0.1
"""Seconds between two looks whether the client of a stream is still there."""
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
_GARBAGE = {
    "shape": b'data: {"choices": 7}\r\n\r\n',
    "base64": b"data: ?\r\n\r\n",
    "image": b"data: \xff\xfe\r\n\r\n",
}


async def _chat_completions(request: web.Request) -> web.StreamResponse:
    """Answer a chat. A stream begins before the model is asked, so it tells later errors in an event."""
    emulator = request.app[EMULATOR]
    body = decode_chat(await request.read())
    chat = await emulator.chat(body)
    if chat.faults.garbage == "text":
        chat.stopping = True
        return web.Response(text="<html>it works</html>", content_type="text/html")
    if body.stream:
        return await _Stream(request, chat).send()
    return await _whole(request, chat)


async def _whole(request: web.Request, chat: Chat) -> web.StreamResponse:
    """Answer in one piece. A client that leaves stops nothing."""
    tokens: list[str] = []
    while True:
        item = await chat.output.get()
        if item is None:
            return abort_connection(request)
        if isinstance(item, ChatEnd):
            break
        tokens.extend(item)
    if chat.faults.hang:
        await request.app[EMULATOR].closing.wait()
        return abort_connection(request)
    if item.error is not None:
        raise HttpError(429, item.error.detail) if item.error.status == 429 else HttpError(500, FAILED)
    if item.reason == "aborted":
        return json_response(ABORTED)
    content = 7 if chat.faults.garbage else "".join(tokens)
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": item.reason}
    head = _head(request, chat.body, "chat.completion")
    response = json_response({**head, "choices": [choice], "usage": _usage(chat, item)})
    if not chat.faults.reset:
        return response
    return abort_connection(request)


class _Stream:
    """One streamed answer, whose client is watched: when it leaves, the computation stops."""

    def __init__(self, request: web.Request, chat: Chat) -> None:
        self._request = request
        self._chat = chat
        self._emulator = request.app[EMULATOR]
        self._response = web.StreamResponse(headers=_HEADERS)
        self._head = _head(request, chat.body, "chat.completion.chunk")
        self._silent = 0.0

    async def send(self) -> web.StreamResponse:
        """Send the stream to its end, or until the client or the connection is gone."""
        await self._response.prepare(self._request)
        try:
            await self._send_all()
        except ConnectionResetError:
            # The client has gone.
            self._chat.stopping = True
        return self._response

    async def _send_all(self) -> None:
        begun = False
        while True:
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    item = await self._chat.output.get()
            except TimeoutError:
                await self._watch()
                continue
            self._silent = 0.0
            if item is None:
                self._cut()
            if isinstance(item, ChatEnd):
                return await self._end(item, begun=begun)
            if not begun:
                await self._write(self._chunk({"role": "assistant", "content": ""}, logprobs=False))
                begun = True
            await self._write(b"".join(self._chunk({"content": token}, usage=None) for token in item or ()))
            if self._chat.faults.reset:
                self._cut()

    async def _watch(self) -> None:
        """Look for the client, and send a comment after a long silence."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        self._silent += WATCH_SECONDS
        if self._silent >= self._emulator.options.ping_seconds:
            self._silent = 0.0
            await self._response.write(b": ping\r\n\r\n")

    def _cut(self) -> None:
        abort_connection(self._request)
        raise ConnectionResetError

    async def _end(self, end: ChatEnd, *, begun: bool) -> None:
        if self._chat.faults.hang:
            # The text is there, its end never comes.
            while not self._emulator.closing.is_set():
                await asyncio.sleep(WATCH_SECONDS)
                await self._watch()
            self._cut()
        if end.error is not None or end.reason == "aborted":
            limited = end.error is not None and end.error.status == 429
            said = end.error.detail if limited and end.error is not None else FAILED
            return await self._write(_event({"error": said}))
        if not begun:
            await self._write(self._chunk({"role": "assistant", "content": ""}, logprobs=False))
        usage = _usage(self._chat, end)
        await self._write(self._chunk({"content": ""}, reason=end.reason, usage=usage))
        if (self._chat.body.stream_options or {}).get("include_usage"):
            # Unlike OpenAI's, this one has a choice, and its reason is always the same.
            choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
            await self._write(_event({**self._head, "choices": [choice], "usage": usage}))
        await self._response.write(b"data: [DONE]\r\n\r\n")

    def _chunk(
        self, delta: dict[str, str], *, reason: str | None = None, logprobs: bool = True, **usage: Any
    ) -> bytes:
        choice: dict[str, Any] = {"index": 0, "delta": delta}
        if logprobs:
            choice["logprobs"] = None
        return _event({**self._head, "choices": [{**choice, "finish_reason": reason}], **usage})

    async def _write(self, events: bytes) -> None:
        garbage = self._chat.faults.garbage
        await self._response.write(_GARBAGE[garbage] if garbage in _GARBAGE else events)


def _event(content: object) -> bytes:
    return b"data: " + msgspec.json.encode(content) + b"\r\n\r\n"


def _head(request: web.Request, body: ChatBody, kind: str) -> dict[str, Any]:
    created = int(request.app[EMULATOR].clock.time())
    return {"id": f"chat{uuid4()}", "model": body.model, "created": created, "object": kind}


def _usage(chat: Chat, end: ChatEnd) -> dict[str, int]:
    prompt, completion = chat.prompt_tokens, end.tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


ROUTES = [web.post("/v1/chat/completions", _chat_completions)]
