"""Send WebSocket messages: those that wait together in one write, for each write is a system call and a packet."""

from collections.abc import Sequence
from struct import pack

from aiohttp import WSMsgType, web

from xinflight.web.protocol import takes_at_once

__all__ = ["FrameSender", "encode_frames"]

FINAL = 0x80
"""The bit of a frame that is a whole message."""


class FrameSender:
    """Sends the messages of one connection. aiohttp writes the frames of a control message by itself."""

    __slots__ = ("_opcode", "_request", "_ws")

    def __init__(self, request: web.Request, ws: web.WebSocketResponse, *, binary: bool) -> None:
        self._request = request
        self._ws = ws
        self._opcode = WSMsgType.BINARY if binary else WSMsgType.TEXT

    def takes(self, size: int) -> bool:
        """Return whether so many bytes are certainly sent without waiting for the client to read."""
        return takes_at_once(self._request, size)

    async def send(self, messages: Sequence[bytes]) -> None:
        """Send one message, or several that are taken at once together; one waits until the client reads.

        Raises:
            ConnectionError: the connection is closed, or about to be.
        """
        if len(messages) == 1:
            await self._ws.send_frame(messages[0], self._opcode)
            return
        transport = self._request.transport
        if self._ws.closed or transport is None or transport.is_closing():
            raise ConnectionResetError("the connection is closing")
        transport.write(encode_frames(messages, self._opcode))


def encode_frames(messages: Sequence[bytes], opcode: int) -> bytes:
    """Return each message as one unmasked frame (RFC 6455 section 5.2)."""
    parts = []
    for message in messages:
        size = len(message)
        if size < 126:
            parts.append(pack("!BB", FINAL | opcode, size))
        elif size < 2**16:
            parts.append(pack("!BBH", FINAL | opcode, 126, size))
        else:
            parts.append(pack("!BBQ", FINAL | opcode, 127, size))
        parts.append(message)
    return b"".join(parts)
