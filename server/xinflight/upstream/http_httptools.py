"""HTTP by httptools on asyncio's protocols: a third of the CPU time of aiohttp's client for a small request."""

import asyncio
import socket
import ssl
from time import monotonic

import aiohappyeyeballs

from xinflight.upstream.http import (
    CONNECT_SECONDS,
    FRESH_SECONDS,
    KEEP_ALIVE_SECONDS,
    Body,
    NotSent,
    Response,
    ResponseLost,
    Server,
    tls_context,
)
from xinflight.upstream.http_connection import Connection

__all__ = ["HttptoolsTransport"]

HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds before a connection to the next address of a name is tried beside the first one (RFC 8305)."""


class HttptoolsTransport:
    """`Transport` with a pool of connections. There is no maximum: progress and aborts must not wait for POSTs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        lines = [f" HTTP/1.1\r\nHost: {server.authority}"]
        lines += [f"{name}: {value}" for name, value in server.headers.items()]
        self._fixed = "\r\n".join(lines)
        self._tls: ssl.SSLContext | None = None
        self._connections: set[Connection] = set()
        # The one that was idle for longest comes first.
        self._idle: list[Connection] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._fresh_until = 0.0
        self._closed = False

    def open(self) -> None:
        """Load the certificates of authorities for HTTPS."""
        if self._server.tls:
            self._tls = tls_context()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._idle.clear()
        lost = [connection.lost for connection in self._connections]
        for connection in self._connections:
            connection.abort()
        await asyncio.gather(*lost)

    async def send(self, method: str, path: str, body: Body | None, response: Response) -> None:
        """Send one request; see `Transport.send`."""
        head = f"{method} {self._server.prefix}{path}{self._fixed}\r\n"
        if body is not None:
            head += f"Content-Type: {body.content_type}\r\nContent-Length: {len(body.data)}\r\n"
            if body.traceparent is not None:
                head += f"traceparent: {body.traceparent}\r\n"
        encoded, data = f"{head}\r\n".encode("ascii"), b"" if body is None else body.data
        while not self._closed:
            used = self._take(careful=method != "GET")
            connection = used or await self._connect()
            try:
                await connection.send(encoded, data, response)
            except ResponseLost:
                # The server may close a connection at the very moment that a request is sent over it.
                if method != "GET":
                    self._fresh_until = monotonic() + FRESH_SECONDS
                if used is None or method != "GET" or connection.answered:
                    raise
                continue
            if connection.reusable:
                self._keep(connection)
            response.end()
            return
        raise NotSent(f"{self._server.authority}: closed")

    def _take(self, *, careful: bool) -> Connection | None:
        """Return an idle connection; a careful one looks for news that the loop has not read yet."""
        now = monotonic()
        if careful and now < self._fresh_until:
            return None
        oldest = now - KEEP_ALIVE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.closing:
                continue
            if connection.idle_since > oldest and not (careful and connection.has_news()):
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection) -> None:
        connection.idle_since = monotonic()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close the connections that were idle for too long, and come again for the others."""
        now = monotonic()
        kept = []
        for connection in self._idle:
            if connection.idle_since > now - KEEP_ALIVE_SECONDS and not connection.closing:
                kept.append(connection)
            else:
                connection.abort()
        self._idle, self._sweeper = kept, None
        if kept:
            pause = kept[0].idle_since + KEEP_ALIVE_SECONDS - now
            self._sweeper = asyncio.get_running_loop().call_later(pause, self._sweep)

    async def _connect(self) -> Connection:
        """Open a connection; raise NotSent."""
        loop = asyncio.get_running_loop()
        server = self._server
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
                sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY)
                _, connection = await loop.create_connection(
                    Connection, sock=sock, ssl=self._tls, server_hostname=server.host if self._tls else None
                )
        except (OSError, UnicodeError) as error:
            # UnicodeError: no host name.
            text = str(error) or f"no connection within {CONNECT_SECONDS:g} s"
            raise NotSent(f"Cannot connect to {server.authority}: {text}") from error
        self._connections.add(connection)
        connection.lost.add_done_callback(lambda _: self._connections.discard(connection))
        if self._closed:
            connection.abort()
            raise NotSent(f"{server.authority}: closed")
        return connection
