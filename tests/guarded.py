"""A server that asks for a token, on a clock that is moved by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from clients import FakeClock, WireClient, hosted
from xinflight.app import setup
from xinflight.auth import TokenFile
from xinflight.gateway import Gateway
from xinflight.settings import Settings

NOBODY = "http://127.0.0.1:9"
"""An upstream that is not there: tasks wait for it."""


class Guarded:
    """The server, its clock and its tokens."""

    def __init__(self, url: str, clock: FakeClock, gateway: Gateway, folder: Path) -> None:
        self.url = url
        self.clock = clock
        self.gateway = gateway
        self.file = TokenFile(folder)

    async def token(self, owner: str, *, lifetime: float | None = None) -> str:
        """Make a token of an owner, of that name."""
        now = self.clock.time()
        expires = None if lifetime is None else now + lifetime
        token, _ = await asyncio.to_thread(self.file.add, owner, now=now, expires=expires)
        return token

    async def revoke(self, owner: str) -> None:
        """Revoke the token of an owner; the server notices it when it looks again."""
        await asyncio.to_thread(self.file.remove, owner)
        await self.clock.advance(1.1)

    @asynccontextmanager
    async def signed_in(self, token: str) -> AsyncIterator[WireClient]:
        """Connect with a token as the first message."""
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{self.url}ws/generate?auth=message") as ws:
            await ws.send_json({"action": "authenticate", "token": token})
            client = WireClient(ws)
            await client.until(lambda message: message["type"] == "welcome")
            yield client


@asynccontextmanager
async def guarded_server(folder: Path, **fields: Any) -> AsyncIterator[Guarded]:
    """Serve inside the block; settings by name."""
    app, clock = web.Application(), FakeClock()
    settings = Settings(
        **{"xinference_url": NOBODY, "drain": 0.0, "auth": "tokens", "data_dir": str(folder), **fields}
    )
    gateway = setup(app, settings, clock=clock)
    async with hosted(app) as url:
        yield Guarded(url, clock, gateway, folder)


async def outcome(ws: aiohttp.ClientWebSocketResponse) -> tuple[int | None, str]:
    """Return the code and the reason that a socket is closed with, whatever it is told before.

    Those of the frame: `close_code` is 1006 if the server has gone before it could be answered.
    """
    while (message := await ws.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return message.data, str(message.extra)
