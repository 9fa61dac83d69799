"""Clients that cost the load next to nothing: a WebSocket whose messages are calls, and GETs on a kept connection.

With those of aiohttp, one core could not load a server beyond some hundred generations a second. Only for servers
that are known: what they may send beyond that (fragments, redirects) is an error.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Self, cast
from urllib.parse import urlsplit

import httptools

__all__ = ["KeptConnection", "WebSocket"]

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_FINAL = 0x80
_MASKED = 0x80
_NO_MASK = b"\0\0\0\0"
"""A key that leaves the payload as it is. Masks protect proxies from scripts of browsers (RFC 6455, 10.3)."""


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


class WebSocket(asyncio.Protocol):
    """The client's end of a WebSocket (RFC 6455), without extensions. `on_text` is called with each message."""

    def __init__(self, netloc: str, path: str, headers: Mapping[str, str], on_text: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self._on_text = on_text
        self._handshake = (
            f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        ).encode()
        self._handshake += "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"
        self._opened: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done when the connection has ended, whoever ended it."""

    @classmethod
    async def connect(
        cls, url: str, on_text: Callable[[bytes], None], headers: Mapping[str, str] = MappingProxyType({})
    ) -> Self:
        """Open a WebSocket at `/ws/generate` of a base URL, and return it when the server has upgraded.

        Raises:
            ConnectionError: the server refused the connection or the upgrade.
        """
        host, port = _address(url)
        loop = asyncio.get_running_loop()
        _, ws = await loop.create_connection(
            lambda: cls(f"{host}:{port}", "/ws/generate", headers, on_text), host, port
        )
        await ws._opened
        return ws

    def send(self, payload: bytes, opcode: int = _TEXT) -> None:
        """Send one message."""
        assert self._transport is not None
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", _FINAL | opcode, _MASKED | size)
        elif size < 2**16:
            head = struct.pack("!BBH", _FINAL | opcode, _MASKED | 126, size)
        else:
            head = struct.pack("!BBQ", _FINAL | opcode, _MASKED | 127, size)
        self._transport.write(head + _NO_MASK + payload)

    def read(self, on: bool) -> None:
        """Stop reading what the server sends, or go on."""
        assert self._transport is not None
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def abort(self) -> None:
        """Drop the connection without a closing handshake, as a lost network does."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # What uvloop gives is one in all but name.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._handshake)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits."""
        if not self._opened.done():
            self._opened.set_exception(ConnectionError("the connection ended during the handshake"))
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Call `on_text` for each message that is complete."""
        self._buffer += data
        if not self._opened.done() and not self._upgraded():
            return
        while (frame := self._next_frame()) is not None:
            opcode, payload = frame
            if opcode == _TEXT:
                self._on_text(payload)
            elif opcode == _PING:
                self.send(payload, _PONG)
            elif opcode == _CLOSE:
                self.abort()

    def _upgraded(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101 "):
            self._opened.set_exception(ConnectionError(f"no upgrade: {bytes(head[:200])!r}"))
            self.abort()
            return False
        self._buffer = rest
        self._opened.set_result(None)
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        """Cut the next whole frame off the buffer; None if there is none yet. A server's frames have no mask."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size >= 126:
            form, start = ("!H", 4) if size == 126 else ("!Q", 10)
            if len(buffer) < start:
                return None
            (size,) = struct.unpack_from(form, buffer, 2)
        if len(buffer) < start + size:
            return None
        first = buffer[0]
        if not first & _FINAL:
            raise RuntimeError("a fragmented message")
        payload = bytes(memoryview(buffer)[start : start + size])
        del buffer[: start + size]
        return first & 0xF, payload


class KeptConnection(asyncio.Protocol):
    """One HTTP connection that is kept between requests, as a browser does; one request at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._body: list[bytes] = []

    async def get(self, url: str) -> bytes:
        """Return the body that the server answers with; `url` begins with the base URL, or is a path.

        Raises:
            RuntimeError: another status than 200.
            ConnectionError: the connection ended before the answer.
        """
        loop = asyncio.get_running_loop()
        if self._transport is None:
            await loop.create_connection(lambda: self, *_address(self._url))
        assert self._transport is not None
        self._answer = loop.create_future()
        path = url.removeprefix(self._url)
        self._transport.write(f"GET {path} HTTP/1.1\r\nHost: {urlsplit(self._url).netloc}\r\n\r\n".encode())
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a new parser."""
        # What uvloop gives is one in all but name.
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits; the next request opens another connection."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection ended before the answer"))

    def data_received(self, data: bytes) -> None:
        """Parse."""
        assert self._parser is not None
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Forget the former body."""
        self._body.clear()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer."""
        assert self._parser is not None
        assert self._answer is not None
        body, status = b"".join(self._body), self._parser.get_status_code()
        if self._answer.cancelled():
            return
        if status == 200:
            self._answer.set_result(body)
        else:
            self._answer.set_exception(RuntimeError(f"the server answered {status}: {body[:200]!r}"))
