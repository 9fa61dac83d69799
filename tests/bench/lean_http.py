"""An HTTP server that costs a fake upstream next to nothing: httptools parses, one call answers.

aiohttp's server takes some 150 us per request here, with which the upstream rather than the server under test would
be measured. Requests have a `Content-Length`, and clients wait for each response.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import httptools

__all__ = ["Handler", "http_response", "serving_http"]

Handler = Callable[[str, str, bytes], "bytes | asyncio.Future[bytes]"]
"""Takes method, path and body; returns the whole response, or a future of it."""

_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 409: b"Conflict"}


def http_response(body: bytes, status: int = 200) -> bytes:
    """Return a response with a JSON body, ready to be sent."""
    head = b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, _REASONS[status], len(body)) + body


class _Connection(asyncio.Protocol):
    """One connection; the methods `on_...` are called by the parser."""

    def __init__(self, handler: Handler, transports: set[asyncio.Transport]) -> None:
        self._handler = handler
        self._transports = transports
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What uvloop gives is one in all but name.
        self._transport = cast(asyncio.Transport, transport)
        self._transports.add(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        assert self._transport is not None
        self._transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        assert self._transport is not None
        answer = self._handler(self._parser.get_method().decode(), self._url.decode(), self._body)
        if isinstance(answer, bytes):
            self._transport.write(answer)
        else:
            answer.add_done_callback(self._write)

    def _write(self, answer: "asyncio.Future[bytes]") -> None:
        assert self._transport is not None
        if not self._transport.is_closing() and not answer.cancelled():
            self._transport.write(answer.result())


@asynccontextmanager
async def serving_http(handler: Handler) -> AsyncIterator[str]:
    """Serve on a free port of 127.0.0.1 inside the block; yield the base URL, without a slash at its end."""
    transports: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(handler, transports), "127.0.0.1", 0, backlog=4096)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for transport in list(transports):
            transport.abort()
        await server.wait_closed()
