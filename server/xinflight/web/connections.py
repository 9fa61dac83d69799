"""Bound the TCP connections of the standalone server below its limit of file descriptors.

asyncio accepts connections until the process has no descriptor left. From then on it logs an error for each pending
connection, and the database, the files and Xinference have no descriptors either. So the number of open connections
is bounded well below the limit; when it is reached, a new connection replaces the one that has been idle for longest.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

import structlog
from aiohttp import hdrs, web

from xinflight.clock import Clock
from xinflight.refusals import RefusalLog
from xinflight.request_ids import HEADER, choose_request_id
from xinflight.web.headers import PROTECTION

__all__ = ["Connections", "most_connections", "most_long_lived", "raise_descriptor_limit"]

log = structlog.stdlib.get_logger(__name__)

BACKLOG = 4096
"""Connections that may wait to be accepted: with 128, a thousand clients that reconnect at once wait for seconds."""
AT_ONCE = 64
"""Connections accepted in one iteration of the event loop, and the most by which the bound can be exceeded."""
SPARE = 1024
"""Connections for short requests, in addition to the long-lived ones of the setting `connections`."""
IDLE = 75.0
"""Seconds that a connection may stay open without a complete request: before, within and between requests."""
SILENCE = 60.0
"""Seconds between two log lines about connections above the bound."""
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
)


def raise_descriptor_limit(connections: int) -> None:
    """Raise the limit of open files to what `connections` long-lived connections need, if the system allows it."""
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
        # macOS has a second limit that can't be queried.
        log.warning("limit of open files not raised", limit=soft, error=str(error))


def most_connections(connections: int) -> int:
    """Return how many TCP connections may be open with `connections` long-lived ones.

    At most three eighths of the descriptors: each connection may be sending a file, which needs a second descriptor,
    and a quarter is reserved for the database, for files being written, and for Xinference.
    """
    wanted = connections + SPARE
    if sys.platform == "win32":
        return wanted
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft * 3 // 8 >= wanted:
        return wanted
    most = soft * 3 // 8
    allowed = most_long_lived(connections, most)
    log.warning("few files may be opened; raise the limit (ulimit -n)", limit=soft, connections=allowed)
    return most


def most_long_lived(connections: int, most: int) -> int:
    """Return how many of at most `most` TCP connections may be long-lived: `connections`, where there is room for it.

    The others are for short requests. If WebSockets took them all, `/healthz` would be refused too, and whoever
    restarts what is dead would end every connection of a server that lives.
    """
    return min(connections, most - max(1, min(SPARE, most // 8)))


class Connections:
    """Accept connections for an aiohttp server, at most `most` at a time."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._open = 0
        # Connections that aren't handling a request, the longest idle first.
        self._idle: dict[web.RequestHandler, asyncio.Transport] = {}
        self._surplus = 0
        self._logged = -SILENCE
        self.refusals = RefusalLog(clock)

    async def listen(self, server: web.Server, host: str, port: int) -> asyncio.Server:
        """Listen on a host and a port, 0 for any free one; raise OSError if the address can't be bound."""
        loop = asyncio.get_running_loop()
        # Rather than a middleware, which takes three coroutines of every idle WebSocket.
        server.request_handler = self._tracking(server.request_handler)
        listening = await loop.create_server(lambda: self._accept(server, loop), host, port, backlog=AT_ONCE)
        for listener in listening.sockets:
            # asyncio uses `backlog` also as the number of connections to accept in one iteration, so it is set here.
            with socket.fromfd(listener.fileno(), listener.family, listener.type) as same:
                same.listen(BACKLOG)
        return listening

    def _tracking(self, handle: Handle) -> Handle:
        """Mark a connection as busy while its request is handled. Sending the rest of a response counts as idle."""

        async def tracked(request: web.BaseRequest) -> web.StreamResponse:
            self._idle.pop(request.protocol, None)
            try:
                return await handle(request)
            finally:
                if request.transport is not None:
                    self._idle[request.protocol] = request.transport

        return tracked

    def _accept(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        """Return the protocol of a new connection, and abort the longest idle one if the bound is reached."""
        if self._open >= self._most:
            self._log_surplus()
            if not self._idle:
                return _Refusal()
            self._idle.pop(next(iter(self._idle))).abort()
        self._open += 1
        return _RequestHandler(server, loop, self)

    def _log_surplus(self) -> None:
        self._surplus += 1
        now = self._clock.monotonic()
        if now - self._logged >= SILENCE:
            log.warning("too many connections; the idle ones are closed", most=self._most, surplus=self._surplus)
            self._surplus, self._logged = 0, now

    def made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Add a new connection, as idle: it has no request yet."""
        self._idle[handler] = transport

    def lost(self, handler: web.RequestHandler) -> None:
        """Remove a connection that has ended."""
        self._idle.pop(handler, None)
        self._open -= 1


class _RequestHandler(web.RequestHandler):
    """aiohttp's protocol of one connection, with the options of this server, and with other answers to bad requests.

    aiohttp logs a traceback for each request that is no HTTP, and its answer names its version and that of Python.
    """

    __slots__ = ("_connections",)

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop, connections: Connections) -> None:
        super().__init__(
            server,
            loop=loop,
            # Bodies are not decompressed: inflating 200 KB to 200 MB would block the event loop for everybody.
            auto_decompress=False,
            keepalive_timeout=IDLE,
        )
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._connections.made(self, cast(asyncio.Transport, transport))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the request that is handled, if there is one."""
        super().connection_lost(exc)
        self._connections.lost(self)
        # The callback of a WebSocket, which refers to its request, and that to this: a reference cycle, which would
        # stay until a full garbage collection.
        self._data_received_cb = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the response to a request that can't be parsed, and close the connection after it."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        request_id = choose_request_id()
        self._connections.refusals.note(
            "malformed request", remote=request.remote, error=type(exc).__name__, request_id=request_id
        )
        # aiohttp would add its own name and version if there were no Server, and no hook is called to remove it.
        headers = {hdrs.SERVER: "xinflight", HEADER: request_id}
        response = web.Response(status=status, text="Malformed request.\n", headers=headers)
        response.headers.update(PROTECTION)
        response.force_close()
        return response


class _Refusal(asyncio.Protocol):
    """Responds with 503 before any request is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tcp = cast(asyncio.Transport, transport)
        tcp.write(FULL)
        tcp.close()
