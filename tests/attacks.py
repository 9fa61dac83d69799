"""What hostile clients do to a server, each as waves that are repeated until the test has seen enough."""

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["ATTACKS", "MALLORY", "Target"]

MALLORY = {"X-Forwarded-User": "mallory", "X-Forwarded-For": "198.51.100.9"}
"""An owner at an address of her own, as a trusted proxy names both."""
STRANGER = {"X-Forwarded-For": "203.0.113.5"}
"""The same without credentials."""
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


class Line(NamedTuple):
    """One TCP connection of an attacker."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Write; that the server has closed is what it may do."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def read(self) -> bytes:
        """Read until the server closes."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while chunk := await self.reader.read(2**16):
                data = (data + chunk)[-(2**16) :]
        return data


class Target:
    """A server under attack. What is opened stays open until `stack` is closed."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.address = parts.hostname, parts.port
        self._stack = stack

    async def line(self, data: bytes = b"") -> Line:
        """Connect and send something."""
        reader, writer = await asyncio.open_connection(*self.address)
        # Of the writer, which would close the connection when nobody refers to it any more.
        self._stack.callback(lambda: writer.transport.abort())
        line = Line(reader, writer)
        await line.send(data)
        return line

    async def silent(self) -> None:
        """Connect and say nothing."""
        sock = self._stack.enter_context(socket.socket())
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.address)

    async def websocket(self, headers: dict[str, str], frames: bytes = b"") -> Line:
        """Open a WebSocket without reading anything, and send frames."""
        return await self.line(request("GET", "/ws/generate", {**UPGRADE, **headers}) + frames)

    async def ask(self, data: bytes) -> bytes:
        """Send a request on a connection of its own; return the answer, which must end."""
        line = await self.line(data)
        answer = await line.read()
        line.writer.close()
        return answer


def request(method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> bytes:
    """Return an HTTP request."""
    sized = headers if body is None else {**headers, "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "localhost", **sized}.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b"")


def frame(payload: bytes, opcode: int = 1, *, final: bool = True) -> bytes:
    """Return a WebSocket frame with a mask of zeros."""
    first = bytes([0x80 * final | opcode])
    if len(payload) < 126:
        return first + bytes([0x80 | len(payload)]) + bytes(4) + payload
    if len(payload) < 2**16:
        return first + b"\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload
    return first + b"\xff" + len(payload).to_bytes(8, "big") + bytes(4) + payload


PING, TEXT, CONTINUATION = 9, 1, 0
JSON = {"Content-Type": "application/json"}
CLOSE = {"Connection": "close"}


async def silent_sockets(target: Target) -> None:
    """10,000 connections without a word."""
    for _ in range(2000):
        await target.silent()


async def slow_headers(target: Target) -> None:
    """Headers that come byte by byte."""
    lines = [await target.line(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ") for _ in range(200)]
    for _ in range(5):
        for line in lines:
            await line.send(b"x")


async def slow_bodies(target: Target) -> None:
    """Bodies that come byte by byte."""
    head = request("POST", "/api/v1/tasks", {**MALLORY, **JSON, "Content-Length": "60000"})
    lines = [await target.line(head + b"{") for _ in range(200)]
    for _ in range(5):
        for line in lines:
            await line.send(b" ")


async def strangers_sockets(target: Target) -> None:
    """WebSockets without credentials that don't answer their close."""
    for _ in range(200):
        await target.websocket(STRANGER)


async def too_many_sockets(target: Target) -> None:
    """More WebSockets than an owner may have."""
    for _ in range(200):
        await target.websocket(MALLORY)


async def message_flood(target: Target) -> None:
    """Messages without a pause, read as fast as they are answered."""
    lines = [await target.websocket(MALLORY, frame(b"{}") * 20_000) for _ in range(5)]
    await asyncio.gather(*(line.read() for line in lines))


async def ping_flood(target: Target) -> None:
    """Pings of RFC 6455 without a pause."""
    lines = [await target.websocket(MALLORY, frame(b"", PING) * 50_000) for _ in range(5)]
    await asyncio.gather(*(line.read() for line in lines))


async def fragments(target: Target) -> None:
    """Messages in pieces without an end: empty ones, and as many bytes as are allowed."""
    start = frame(b" ", TEXT, final=False)
    for _ in range(5):
        await target.websocket(MALLORY, start + frame(b"", CONTINUATION, final=False) * 50_000)
        await target.websocket(MALLORY, start + frame(b" " * 2**16, CONTINUATION, final=False) * 15)


async def giant_frames(target: Target) -> None:
    """Frames that say they are huge, and frames that are."""
    lines = [await target.websocket(MALLORY, b"\x81\xff" + (2**62).to_bytes(8, "big") + bytes(4)) for _ in range(20)]
    lines += [await target.websocket(MALLORY, frame(b" " * 2**21)) for _ in range(5)]
    await asyncio.gather(*(line.read() for line in lines))


BOMB = gzip.compress(b" " * 50_000_000)


async def compressed_bodies(target: Target) -> None:
    """Bodies of 50 KB that become 50 MB."""
    headers = {**MALLORY, **JSON, **CLOSE, "Content-Encoding": "gzip"}
    bombs = (target.ask(request("POST", "/api/v1/tasks", headers, BOMB)) for _ in range(20))
    assert all(b" 415 " in answer or b" 429 " in answer or not answer for answer in await asyncio.gather(*bombs))


async def deaf_sockets(target: Target) -> None:
    """Requests for long answers that nobody reads."""
    asked = frame(json.dumps({"action": "list", "limit": 200}).encode()) * 200
    asked += frame(json.dumps({"action": "follow", "scope": "all"}).encode()) * 200
    for _ in range(20):
        line = await target.websocket(MALLORY)
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        line.writer.write(asked)


async def deaf_streams(target: Target) -> None:
    """Event streams from the beginning that nobody reads."""
    for _ in range(30):
        await target.line(request("GET", "/api/v1/events", {**MALLORY, "Accept": "text/event-stream"}))


async def no_http(target: Target) -> None:
    """What is no HTTP."""
    for _ in range(20):
        await asyncio.gather(*(target.ask(b"\x16\x03\x01\x02\x00\x01" * 20 + b"\r\n\r\n") for _ in range(20)))


async def request_flood(target: Target) -> None:
    """Requests in pipelines, faster than anybody could mean."""
    asked = request("GET", "/api/v1/tasks", MALLORY) * 1000 + request("GET", "/healthz", CLOSE)
    await asyncio.gather(*(target.ask(asked) for _ in range(5)))


async def guesses(target: Target) -> None:
    """Requests without credentials, by WebSocket and over HTTP."""
    for path in ("/api/v1/tasks", "/v1/models", "/api/v1/events"):
        headers = {**STRANGER, **CLOSE, "Authorization": "Bearer guess"}
        answers = await asyncio.gather(*(target.ask(request("GET", path, headers)) for _ in range(100)))
        assert all(b" 401 " in answer or b" 429 " in answer for answer in answers)


async def task_flood(target: Target) -> None:
    """Thousands of generations with prompts as long as they may be."""
    body = json.dumps({"prompt": "x" * 5000, "negative_prompt": "y" * 5000, "n": 8}).encode()
    asked = request("POST", "/api/v1/tasks", {**MALLORY, **JSON}, body) * 300 + request("GET", "/healthz", CLOSE)
    await asyncio.gather(*(target.ask(asked) for _ in range(4)))


ATTACKS: list[Callable[[Target], Awaitable[None]]] = [
    silent_sockets,
    slow_headers,
    slow_bodies,
    strangers_sockets,
    too_many_sockets,
    message_flood,
    ping_flood,
    fragments,
    giant_frames,
    compressed_bodies,
    deaf_sockets,
    deaf_streams,
    no_http,
    request_flood,
    guesses,
    task_flood,
]
