"""A transport without a network: a Xinference whose answers are those of a coroutine function."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from xinflight.upstream.http import Body, Response

Answering = Callable[[str, str, Any], Awaitable[bytes]]


class ScriptedTransport:
    """`answer(method, path, body)` returns the body of each 200, or raises what the transport is to raise."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer

    def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def send(self, method: str, path: str, body: Body | None, response: Response) -> None:
        await asyncio.sleep(0)
        data = await self.answer(method, path, None if body is None else msgspec.json.decode(body.data))
        response.begin(200, {})
        response.feed(data)
        response.end()
