"""TCP connections of the standalone server: bounded, closed in time, and the idle ones give way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest
from structlog.testing import capture_logs

from clients import WireClient
from conftest import Serve
from xinflight import refusals
from xinflight.cli import server as standalone
from xinflight.web import connections
from xinflight.web import context as web_common

UPGRADE = (
    b"GET /ws/generate HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Tcp(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> bytes:
        """Return the status line of the next answer, read to its end."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        await self.reader.readexactly(length)
        return head.partition(b"\r\n")[0]

    async def closed(self) -> bool:
        """Wait until the server closes, having said nothing more."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True


Open = Callable[..., Awaitable[Tcp]]


@pytest.fixture
async def connect() -> AsyncIterator[Open]:
    """Open TCP connections to a server's base URL, and say something first."""
    writers = []

    async def connect(url: str, data: bytes = b"") -> Tcp:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writers.append(writer)
        writer.write(data)
        return Tcp(reader, writer)

    yield connect
    for writer in writers:
        writer.transport.abort()


@pytest.fixture
async def crowded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give a server that may have four connections open."""
    monkeypatch.setattr(standalone, "most_connections", lambda connections: 4)
    return await serve(xinference_url="http://127.0.0.1:9")


async def test_an_idle_connection_gives_way_to_a_new_one(crowded: str, connect: Open) -> None:
    """Whoever comes is served, whoever has a socket keeps it, and the log says it once."""
    with capture_logs() as lines:
        async with WireClient.connect(crowded) as neighbour:
            silent = [await connect(crowded) for _ in range(20)]
            assert (await neighbour.ask(action="ping"))["type"] == "pong"
            async with asyncio.timeout(20), aiohttp.ClientSession(crowded) as http, http.get("/healthz") as response:
                assert response.status == 200
            async with asyncio.timeout(20):
                # The last ones are still there: three fit beside the socket.
                assert all([await tcp.closed() for tcp in silent[:17]])
            assert (await neighbour.ask(action="ping"))["type"] == "pong"
    assert len([line for line in lines if line["event"].startswith("too many connections")]) == 1


async def test_sockets_leave_room_for_short_requests(crowded: str) -> None:
    """With all the sockets that there may be, whoever looks whether the server lives hears that it does."""
    async with AsyncExitStack() as stack, aiohttp.ClientSession(crowded) as http:
        for _ in range(3):
            await stack.enter_async_context(WireClient.connect(crowded))
        for _ in range(2):
            async with http.ws_connect("/ws/generate") as refused:
                assert (await refused.receive()).data == aiohttp.WSCloseCode.TRY_AGAIN_LATER
            async with http.get("/healthz") as response:
                assert response.status == 200


async def test_the_one_that_has_been_idle_for_longest_goes_first(crowded: str, connect: Open) -> None:
    """A connection that has just been answered is not the idlest, though it is the oldest."""
    served = []
    for _ in range(4):
        served.append(await connect(crowded, REQUEST))
        assert b"200" in await served[-1].answer()
    first, second = served[:2]
    first.writer.write(REQUEST)
    assert b"200" in await first.answer()
    await connect(crowded, REQUEST)
    async with asyncio.timeout(20):
        assert await second.closed()
    first.writer.write(REQUEST)
    assert b"200" in await first.answer()


async def test_when_nobody_is_idle_one_more_is_told_to_come_back(crowded: str, connect: Open) -> None:
    """Sockets and streams stay; there is room again when one of them leaves."""
    sockets = [await connect(crowded, UPGRADE) for _ in range(4)]
    for tcp in sockets:
        assert b"101" in await tcp.reader.readuntil(b"\r\n\r\n")
    late = await connect(crowded)
    assert b"503" in await late.answer()
    assert await late.closed()
    sockets[0].writer.transport.abort()
    async with asyncio.timeout(20):
        while b"503" in await (await connect(crowded, REQUEST)).answer():
            pass


async def test_who_says_nothing_whole_is_let_go(serve: Serve, connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent from the start, in the middle of a request, or after one; a socket is quiet for as long as it likes."""
    monkeypatch.setattr(connections, "IDLE", 0.3)
    url = await serve(xinference_url="http://127.0.0.1:9")
    async with WireClient.connect(url) as quiet:
        silent = await connect(url)
        slow = await connect(url, REQUEST[:-2])
        served = await connect(url, REQUEST)
        assert b"200" in await served.answer()
        slow_again = await connect(url, REQUEST + REQUEST[:-2])
        assert b"200" in await slow_again.answer()
        async with asyncio.timeout(20):
            for tcp in (silent, slow, served, slow_again):
                assert await tcp.closed()
        assert (await quiet.ask(action="ping"))["type"] == "pong"


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/tasks/a/cancel", "/v1/images/generations", "/login"])
async def test_a_body_that_does_not_come_is_not_waited_for(
    serve: Serve, connect: Open, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The answer says so; nothing was started."""
    monkeypatch.setattr(web_common, "BODY_SECONDS", 0.2)
    url = await serve(xinference_url="http://127.0.0.1:9", auth="tokens" if path == "/login" else "none")
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
    slow = await connect(url, head.encode() + b'Sec-Fetch-Site: same-origin\r\n\r\n{"prompt":')
    async with asyncio.timeout(20):
        answer = await slow.reader.readuntil(b"\r\n\r\n")
        body = await slow.reader.readuntil(b"}")
    assert b" 408 " in answer
    assert b'"body_timeout"' in body


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 500 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/9.9\x1b[2J\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_in_few_words(serve: Serve, connect: Open, garbage: bytes) -> None:
    """No version is told, no traceback logged, and a flood of it leaves a line a second."""
    url = await serve(xinference_url="http://127.0.0.1:9")
    with capture_logs() as lines:
        for _ in range(refusals.LINES + 10):
            tcp = await connect(url, garbage)
            head = (await tcp.reader.readuntil(b"\r\n\r\n")).decode()
            assert head.partition(" ")[2].startswith("400 ")
            assert "Python" not in head
            assert "aiohttp" not in head
            assert "nosniff" in head
            assert "default-src 'none'" in head
    logged = [line for line in lines if line["event"] == "malformed request"]
    assert len(logged) == refusals.LINES
    assert {line["remote"] for line in logged} == {"127.0.0.1"}
