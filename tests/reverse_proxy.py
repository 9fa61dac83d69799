"""A small reverse proxy on aiohttp that names the user in a header, as one with a company's log-in does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import hdrs, web

from clients import hosted

USER = "X-Forwarded-User"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"}


class LogInProxy:
    """The proxy. `user` is who has logged in at it, None for nobody."""

    def __init__(self, upstream: str) -> None:
        self.user: str | None = None
        self._upstream = upstream.rstrip("/")

    def headers(self, request: web.Request) -> dict[str, str]:
        """Return what is passed on: never the header of the client, always that of the log-in."""
        dropped = HOP_BY_HOP | {USER.lower()}
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in dropped and not name.lower().startswith("sec-websocket")
        }
        headers |= {"X-Forwarded-Host": request.host, "X-Forwarded-Proto": request.scheme}
        return headers | ({USER: self.user} if self.user is not None else {})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on."""
        if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await self._bridge(request)
        url = f"{self._upstream}{request.raw_path}"
        async with (
            aiohttp.ClientSession(auto_decompress=False) as http,
            http.request(
                request.method,
                url,
                headers=self.headers(request),
                data=await request.read(),
                allow_redirects=False,
            ) as answer,
        ):
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            return web.Response(status=answer.status, headers=headers, body=await answer.read())

    async def _bridge(self, request: web.Request) -> web.StreamResponse:
        protocols = tuple(part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(","))
        url = f"{self._upstream}{request.raw_path}"
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(url, headers=self.headers(request), protocols=protocols) as above,
        ):
            below = web.WebSocketResponse(protocols=protocols)
            await below.prepare(request)

            async def pump() -> None:
                async for frame in below:
                    await above.send_str(frame.data)

            up = asyncio.create_task(pump(), name="pump")
            try:
                async for frame in above:
                    await below.send_str(frame.data)
                await below.close(code=above.close_code or 1011)
            finally:
                up.cancel()
                await asyncio.gather(up, return_exceptions=True)
            return below


@asynccontextmanager
async def log_in_proxy(upstream: str) -> AsyncIterator[tuple[str, LogInProxy]]:
    """Serve a proxy in front of a server; yield its URL, and the proxy."""
    app, proxy = web.Application(), LogInProxy(upstream)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    async with hosted(app) as url:
        yield url, proxy
