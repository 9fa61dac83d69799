"""Between a transport and aiohttp's protocol: to hear of what aiohttp does not tell a handler."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

__all__ = ["ProtocolProxy", "connection_lost_callback"]


class ProtocolProxy(asyncio.Protocol):
    """Pass everything on to another protocol."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass the transport on."""
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass data on."""
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the end of the data on."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Pass on that the peer takes nothing."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the peer takes more."""
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end of the connection on."""
        self._protocol.connection_lost(exc)


class _Watch(ProtocolProxy):
    def __init__(self, protocol: asyncio.Protocol, lost: Callable[[], object]) -> None:
        super().__init__(protocol)
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost()


@contextmanager
def connection_lost_callback(request: web.Request, callback: Callable[[], object]) -> Iterator[None]:
    """Call `callback` when the connection of a request is lost inside the block; not if it is lost already."""
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    if transport is None or not isinstance(protocol, asyncio.Protocol):
        yield
        return
    watch = _Watch(protocol, callback)
    transport.set_protocol(watch)
    try:
        yield
    finally:
        # A transport that was lost has no protocol any more, and needs none.
        if transport.get_protocol() is watch:
            transport.set_protocol(protocol)
