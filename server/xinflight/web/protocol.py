"""Protocol proxies between an asyncio transport and aiohttp, for events that aiohttp doesn't report to handlers."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

__all__ = ["ProtocolProxy", "connection_lost_callback"]


class ProtocolProxy(asyncio.Protocol):
    """Forward every call to another protocol."""

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


@contextmanager
def connection_lost_callback(request: web.Request, callback: Callable[[], object]) -> Iterator[None]:
    """Call `callback` when the connection of a request is lost inside the block, but not if it is lost already."""
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    if transport is None or not isinstance(protocol, asyncio.Protocol):
        yield
        return
    proxy = _LostCallback(protocol, callback)
    transport.set_protocol(proxy)
    try:
        yield
    finally:
        # A lost transport has no protocol any more.
        if transport.get_protocol() is proxy:
            transport.set_protocol(protocol)
