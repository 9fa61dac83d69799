"""One HTTP/1.1 connection on asyncio's protocols; httptools (llhttp) parses what arrives."""

import asyncio
import select
from contextvars import copy_context
from typing import cast

import httptools

from xinflight.upstream.http import Response, ResponseLost, acknowledge

__all__ = ["Connection"]

PART_BYTES = 256 * 2**10
"""Maximum size of one write. Over TLS it is encrypted at once, at about a GB/s."""
LARGE_BYTES = 32 * 2**10
"""Size of what arrives at once from which on other tasks have a turn before the next bytes."""
OVERHEAD_BYTES = 64 * 2**10
"""Maximum size of what is not body: status lines, headers, trailers; real ones have about 200 bytes."""
CHUNK_OVERHEAD = 8
"""Allowance for chunks, in bytes per byte of the body: a chunk of one byte takes six."""


class Connection(asyncio.Protocol):
    """Sends one request at a time and feeds its response to a `Response`.

    `idle_since` is the owner's note; `lost` is done when the connection is closed.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # Not done while the transport buffers too much.
        self._drained: asyncio.Future[None] | None = None
        # Not done while a request is under way; what follows belongs to the latest one.
        self._ended: asyncio.Future[None] | None = None
        self._response: Response | None = None
        self._context = copy_context()
        self._headers: dict[str, str] = {}
        self._body_sent = False
        self._begun = False
        self._complete = False
        self._enough = False
        self._failure: Exception | None = None
        self._received = 0
        self._body_received = 0
        self.reusable = True

    async def send(self, head: bytes, body: bytes, response: Response) -> None:
        """Send a request and return at the end of its response, or when that wants no more.

        Afterwards `reusable` tells whether the next request may be sent. Cancelling closes the connection.

        Raises:
            ResponseLost: the connection broke, or what came over it is no HTTP.
            XinflightError: what `response` raises.
        """
        self._ended = self._loop.create_future()
        self._response = response
        # The loop calls in the context of the request that opened the connection: logs would name the task of that.
        self._context = copy_context()
        self._headers = {}
        self._body_sent = self._begun = self._complete = self._enough = self.reusable = False
        self._received = self._body_received = 0
        try:
            await self._write(head, body)
            await self._ended
        except BaseException:
            self._response = None
            self.abort()
            raise
        if not self.reusable:
            self.abort()

    @property
    def answered(self) -> bool:
        """Whether anything of the latest response has arrived."""
        return self._received > 0

    @property
    def closing(self) -> bool:
        """Whether the connection is closed, or about to be."""
        return self._transport is None or self._transport.is_closing()

    def has_news(self) -> bool:
        """Return whether the kernel knows of bytes, or of the connection's end, that the loop has not read."""
        assert self._transport is not None
        if not hasattr(select, "poll"):
            # Windows.
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Close the connection at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    async def _write(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        assert self._ended is not None
        if len(body) <= PART_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            rest = memoryview(body)
            for start in range(0, len(body), PART_BYTES):
                if self._drained is not None:
                    await self._drained
                if self._ended.done():
                    # Refused before it was read.
                    return
                self._transport.write(rest[start : start + PART_BYTES])
        self._body_sent = True

    def _end(self, failure: Exception | None) -> None:
        """End the request that is under way."""
        assert self._ended is not None
        assert self._transport is not None
        # The next request must not follow the rest of this one.
        self.reusable = (
            self.reusable and failure is None and self._body_sent and not self._transport.get_write_buffer_size()
        )
        self._response = self._failure = None
        if not self._ended.done():
            if failure is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(failure)
        self.resume_writing()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's is none by its class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse the next bytes."""
        if self._response is None:
            # Nobody asked: it would be taken for the response to the next request.
            self.abort()
            return
        assert self._parser is not None
        assert self._transport is not None
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.reusable = False
            if not self._complete:
                self._failure = self._failure or ResponseLost(f"no HTTP: {error}")
        if self._failure is not None or self._complete or self._enough:
            self._end(self._failure)
        elif self._received - self._body_received > OVERHEAD_BYTES + CHUNK_OVERHEAD * self._body_received:
            self._end(ResponseLost("a response with too much beside its body"))
        else:
            acknowledge(self._transport)
            if len(data) >= LARGE_BYTES:
                # uvloop reads up to 32 times in one turn: megabytes would hold up all others.
                self._transport.pause_reading()
                self._loop.call_soon(self._resume_reading)

    def eof_received(self) -> None:
        """End the request: the transport closes itself after this."""
        self._hung_up(None)

    def connection_lost(self, error: Exception | None) -> None:
        """End the request, if one is under way."""
        self._hung_up(error)
        # Its callbacks are methods of this object.
        self._parser = None
        self.lost.set_result(None)

    def pause_writing(self) -> None:
        """Stop writing the body for now."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on with the body."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _resume_reading(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _hung_up(self, error: Exception | None) -> None:
        self.reusable = False
        if self._response is None:
            return
        framed = "content-length" in self._headers or self._headers.get("transfer-encoding", "").endswith("chunked")
        if error is None and self._begun and not framed:
            # The end of the connection is the end of the response.
            self._end(None)
        else:
            reason = "the connection was closed" if error is None else f"{type(error).__name__} {error}"
            self._end(ResponseLost(f"{reason} after {self._received} bytes"))

    # What httptools calls; it must not raise.

    def on_message_begin(self) -> None:
        """Note a second response."""
        if self._complete:
            # More than one response.
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header."""
        # Later ones are trailers.
        if not self._begun:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Begin the response, unless it is an informational one."""
        assert self._parser is not None
        assert self._response is not None
        status = self._parser.get_status_code()
        if status < 200:
            # Informational: the response is still to come.
            self._headers = {}
        elif not self._complete:
            self._begun = True
            try:
                self._response.begin(status, self._headers)
            except Exception as error:
                self._failure = error

    def on_body(self, data: bytes) -> None:
        """Pass on the next bytes of the body."""
        assert self._response is not None
        if self._failure is None and not self._complete and not self._enough:
            self._body_received += len(data)
            try:
                self._enough = self._context.run(self._response.feed, data)
            except Exception as error:
                self._failure = error

    def on_message_complete(self) -> None:
        """Note the end of the response."""
        assert self._parser is not None
        if self._begun and not self._complete:
            self._complete = True
            self.reusable = self._parser.should_keep_alive()
