"""A server of raw bytes for the transports of the upstream client, and what sends requests to it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from xinflight.settings import Settings
from xinflight.upstream.client import server_of
from xinflight.upstream.http import Body, Response, Transport
from xinflight.upstream.http_aiohttp import AiohttpTransport
from xinflight.upstream.http_httptools import HttptoolsTransport

TRANSPORTS = [AiohttpTransport, HttptoolsTransport]
Make = type[AiohttpTransport] | type[HttptoolsTransport]

OK = b"HTTP/1.1 200 OK\r\n"
BODY = Body("application/json", b'{"prompt":"a"}')


def sized(body: bytes, more: bytes = b"") -> bytes:
    """Return a 200 response with a Content-Length, and with more headers."""
    return OK + b"Content-Length: %d\r\n%b\r\n" % (len(body), more) + body


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    """Return a 200 response in chunks."""
    parts = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n" + trailers + b"\r\n"


class Request:
    """A request as it arrived, on the connection with a number."""

    def __init__(self, number: int, head: bytes, body: bytes) -> None:
        self.number = number
        self.head = head
        self.body = body
        self.line, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


class Line:
    """A connection as its server sees it."""

    def __init__(self, peer: "Peer", number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.number = number
        self._peer = peer

    async def request(self) -> Request:
        """Read the next request; IncompleteReadError at the end of the connection."""
        head = (await self.reader.readuntil(b"\r\n\r\n"))[:-4]
        request = Request(self.number, head, b"")
        request.body = await self.reader.readexactly(int(request.headers.get("content-length", "0")))
        self._peer.requests.append(request)
        return request

    async def send(self, *pieces: bytes) -> None:
        """Send bytes, each piece by itself as far as the system permits."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def closed(self) -> None:
        """Return when the client has closed the connection; whatever it sends before is lost."""
        try:
            while await self.reader.read(2**16):
                pass
        except ConnectionError:
            pass


class Peer:
    """What was asked of a server, in the order of its arrival."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.url = ""

    @property
    def used(self) -> list[int]:
        """The numbers of the connections over which the requests came."""
        return [request.number for request in self.requests]


Serve = Callable[[Line], Awaitable[object]]


def always(*answers: bytes) -> Serve:
    """Answer the requests of each connection with these, in turns."""

    async def serve(line: Line) -> None:
        while True:
            for answer in answers:
                await line.request()
                await line.send(answer)

    return serve


@asynccontextmanager
async def peer(serve: Serve, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    """Serve each connection with `serve`, and close it when that returns."""
    there = Peer()
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        there.connections += 1
        try:
            await serve(Line(there, there.connections, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.CancelledError:
            # The end of the test.
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, host, 0, ssl=tls, backlog=500)
    port = server.sockets[0].getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    there.url = f"{'http' if tls is None else 'https'}://{name}:{port}"
    try:
        yield there
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await server.wait_closed()


@asynccontextmanager
async def opened(make: Make, url: str, **settings: Any) -> AsyncIterator[Transport]:
    """Open a transport to a URL."""
    transport = make(server_of(Settings(xinference_url=url, **settings)))
    transport.open()
    try:
        yield transport
    finally:
        await transport.close()


async def fetch(
    transport: Transport, method: str = "GET", body: Body | None = None, path: str = "/v1/models", most: int = 10**8
) -> bytes:
    """Send a request and return the body of its response."""
    parts: list[bytes] = []
    async with asyncio.timeout(60):
        await transport.send(method, path, body, Response(parts.append, most))
    return b"".join(parts)


def unused_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
    return port
