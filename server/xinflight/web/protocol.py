"""What aiohttp doesn't tell handlers: events of the transport, by protocol proxies, and whether it takes a write."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from aiohttp import web

__all__ = ["ProtocolProxy", "connection_lost_callback", "read_limit", "takes_at_once"]

UNPAUSED = 2**15
"""Bytes that don't fill the buffer of a transport: 64 KiB for asyncio and uvloop (their high-water mark)."""


def takes_at_once(request: web.Request, size: int) -> bool:
    """Return whether a write of `size` bytes certainly doesn't wait for the client to read.

    With nothing buffered the transport is not paused, and UNPAUSED bytes don't pause it.
    """
    transport = request.transport
    return transport is None or (size <= UNPAUSED and not transport.get_write_buffer_size())


class ProtocolProxy(asyncio.Protocol):
    """Forward every call to another protocol. One that `stays` is not replaced by that again."""

    stays = False

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Forward the new connection."""
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Forward received data."""
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Forward the end of the received data."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Forward that the write buffer is full."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Forward that the write buffer has room again."""
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forward the end of the connection."""
        self._protocol.connection_lost(exc)


class _LostCallback(ProtocolProxy):
    def __init__(self, protocol: asyncio.Protocol, lost: Callable[[], object]) -> None:
        super().__init__(protocol)
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost()


class _ReadLimit(ProtocolProxy):
    def __init__(self, protocol: asyncio.Protocol, limit: int, pause: Callable[[], object]) -> None:
        super().__init__(protocol)
        self.left = limit
        self.discarding = False
        self._pause = pause

    def data_received(self, data: bytes) -> None:
        if self.discarding:
            return
        self.left -= len(data)
        if self.left < 0:
            self._pause()
        super().data_received(data)


@contextmanager
def connection_lost_callback(request: web.Request, callback: Callable[[], object]) -> Iterator[None]:
    """Call `callback` when the connection of a request is lost inside the block, but not if it is lost already."""
    with _replaced_protocol(request, lambda protocol: _LostCallback(protocol, callback)):
        yield


@contextmanager
def read_limit(request: web.Request, limit: int) -> Iterator[None]:
    """Read no more from the connection of a request inside the block once more than `limit` bytes have arrived.

    At most one read of the event loop exceeds the limit, 256 KiB. If the block raises then, whatever else arrives is
    discarded: the connection is not good for anything but being closed.
    """
    # That of aiohttp's protocol, not of the transport: aiohttp resumes reading by itself when it has handed out what
    # it buffers, and must know that reading is paused.
    pause, resume = request.protocol.pause_reading, request.protocol.resume_reading
    with _replaced_protocol(request, lambda protocol: _ReadLimit(protocol, limit, pause)) as proxy:
        try:
            yield
        except BaseException:
            if proxy is not None and proxy.left < 0:
                proxy.discarding = True
                proxy.stays = True
            raise
        finally:
            resume()


Proxy = TypeVar("Proxy", bound=ProtocolProxy)


@contextmanager
def _replaced_protocol(request: web.Request, wrap: Callable[[asyncio.Protocol], Proxy]) -> Iterator[Proxy | None]:
    """Replace the protocol of a connection by a proxy inside the block, unless the connection is lost already."""
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    if transport is None or not isinstance(protocol, asyncio.Protocol):
        yield None
        return
    proxy = wrap(protocol)
    transport.set_protocol(proxy)
    try:
        yield proxy
    finally:
        # A lost transport has no protocol any more.
        if transport.get_protocol() is proxy and not proxy.stays:
            transport.set_protocol(protocol)
