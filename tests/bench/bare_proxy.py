"""The peer of the benchmark of chats: the least that an aiohttp handler can do to pass on a streamed chat.

No validation, no storage, no resume, no cancel, no queue: bytes in, bytes out.
`python -m bench.bare_proxy UPSTREAM_URL` serves it.
"""

import asyncio
import sys

import aiohttp
from aiohttp import web

from bench.processes import hosting, serve_until_terminated

PATH = "/v1/chat/completions"


class BareProxy:
    """One handler and one HTTP session."""

    def __init__(self, upstream_url: str) -> None:
        self._upstream_url = upstream_url
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_post(PATH, self._handle)
        app.on_startup.append(self._start)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, app: web.Application) -> None:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
        timeout = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(self._upstream_url, connector=connector, timeout=timeout)

    async def _stop(self, app: web.Application) -> None:
        assert self._session is not None
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        body = await request.read()
        headers = {"Content-Type": "application/json"}
        async with self._session.post(PATH, data=body, headers=headers) as upstream:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


if __name__ == "__main__":
    asyncio.run(serve_until_terminated(hosting(BareProxy(sys.argv[1]).app()), "bare proxy"))
