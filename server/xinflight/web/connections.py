"""The TCP connections of the standalone server: never more than it has file descriptors for.

asyncio accepts as long as the process has a descriptor. Without one it logs, for every connection that waits, and the
database, the pictures and Xinference have none either. So the number of open connections is bounded well below the
limit, and whoever comes when all are open takes the place of the one that has been idle for longest.
"""

import asyncio
import socket
import sys
from typing import cast

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from xinflight.clock import Clock
from xinflight.web.protocol import ProtocolProxy

__all__ = ["Connections", "most_connections", "raise_descriptor_limit"]

log = structlog.stdlib.get_logger(__name__)

BACKLOG = 4096
"""Connections that may wait to be accepted: with 128, a thousand clients that come back at once wait for seconds."""
AT_ONCE = 64
"""Connections that are accepted in one turn of the loop: what is open exceeds its bound by no more."""
SPARE = 1024
"""Connections for short requests, beside those that the setting `connections` allows to last."""
SILENCE = 60.0
"""Seconds between two lines of the log that say how many connections were too many."""
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
)


def raise_descriptor_limit(connections: int) -> None:
    """Let this process open as many files as `connections` lasting connections need, if the system allows it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (connections + SPARE) * 8 // 3 + 1
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (ValueError, OSError) as error:
        # macOS has a second limit, which it does not tell.
        log.warning("limit of open files not raised", limit=soft, error=str(error))


def most_connections(connections: int) -> int:
    """Return how many TCP connections may be open where `connections` may last.

    Three eighths of the descriptors at most: each connection may be sent a picture, which is a file, and a quarter is
    for the database, for pictures that are written, and for Xinference.
    """
    wanted = connections + SPARE
    if sys.platform == "win32":
        return wanted
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft * 3 // 8 >= wanted:
        return wanted
    log.warning("few files may be opened; raise the limit (ulimit -n)", limit=soft, connections=soft * 3 // 8)
    return soft * 3 // 8


class Connections:
    """Accept connections for an aiohttp server, at most `most` at a time.

    `middleware` must be the first one of the application: it tells which connections have a request in hand.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._open = 0
        # Those without a request in hand, the one that has been so for longest first.
        self._idle: dict[web.RequestHandler, asyncio.Transport] = {}
        self._surplus = 0
        self._told = -SILENCE

    async def listen(self, server: web.Server, host: str, port: int) -> asyncio.Server:
        """Listen on a host and a port, 0 for a free one; raise OSError when that can't be."""
        listening = await asyncio.get_running_loop().create_server(
            lambda: self._accept(server), host, port, backlog=AT_ONCE
        )
        for listener in listening.sockets:
            # asyncio takes the length of the queue also as the number to accept in one turn.
            with socket.fromfd(listener.fileno(), listener.family, listener.type) as same:
                same.listen(BACKLOG)
        return listening

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a connection as busy while its request is handled. One that does not take its answer is idle."""
        self._idle.pop(request.protocol, None)
        try:
            return await handler(request)
        finally:
            if request.transport is not None:
                self._idle[request.protocol] = request.transport

    def _accept(self, server: web.Server) -> asyncio.Protocol:
        """Return the protocol of a new connection; make room for it if one is idle."""
        if self._open >= self._most:
            self._tell()
            if not self._idle:
                return _Refusal()
            self._idle.pop(next(iter(self._idle))).abort()
        self._open += 1
        return _Connection(self, server())

    def _tell(self) -> None:
        self._surplus += 1
        now = self._clock.monotonic()
        if now - self._told >= SILENCE:
            log.warning("too many connections; the idle ones are closed", most=self._most, surplus=self._surplus)
            self._surplus, self._told = 0, now

    def made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count a new connection as idle: it has no request yet."""
        self._idle[handler] = transport

    def lost(self, handler: web.RequestHandler) -> None:
        """Forget a connection that has ended."""
        self._idle.pop(handler, None)
        self._open -= 1


class _Connection(ProtocolProxy):
    """Tell when a connection begins and ends."""

    def __init__(self, connections: Connections, handler: web.RequestHandler) -> None:
        super().__init__(handler)
        self._connections = connections
        self._handler = handler

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.made(self._handler, cast(asyncio.Transport, transport))
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connections.lost(self._handler)


class _Refusal(asyncio.Protocol):
    """Answer that the server is full, whatever is asked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tcp = cast(asyncio.Transport, transport)
        tcp.write(FULL)
        tcp.close()
