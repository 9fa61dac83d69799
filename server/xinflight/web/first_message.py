"""WebSockets without credentials: the first message must be a token, within bounds of time, bytes and number.

Until then such a socket has no session and no subscriber: it costs a file descriptor and what the kernel buffers.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import WSMsgType, web

from xinflight.clock import Clock
from xinflight.errors import TooManyConnections, Unauthorised, XinflightError
from xinflight.protocol import Authenticate, CloseCode, Codec
from xinflight.request_limits import address_key
from xinflight.web.protocol import read_limit

__all__ = ["FirstMessages"]

SECONDS = 10.0
"""Seconds within which the token must arrive."""
FRAME_BYTES = 8192
"""Bytes of the message: the longest token is 8,000."""
HEADER_BYTES = 14
"""Bytes of the longest header of a frame (RFC 6455 section 5.2)."""
PER_ADDRESS = 32
"""Sockets of one address that may wait for their token at a time; loopback may stand for everybody."""


class FirstMessages:
    """Read the tokens of sockets without credentials; at most `most` such sockets at a time."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        # Bounded by `most`.
        self._waiting: Counter[str | None] = Counter()
        self._sockets: set[web.WebSocketResponse] = set()

    async def token(
        self, request: web.Request, ws: web.WebSocketResponse, codec: Codec, address: str | None
    ) -> str | None:
        """Read one message and return the token in it; None if the peer has closed the socket.

        Raises:
            Unauthorised: the message is not `authenticate`, too long, or did not arrive in time; see `limit`.
            TooManyConnections: too many sockets are waiting for their token.
        """
        with self._counted(address_key(address)), read_limit(request, FRAME_BYTES + HEADER_BYTES):
            self._sockets.add(ws)
            try:
                async with self._clock.timeout(SECONDS):
                    frame = await ws.receive()
            except TimeoutError:
                raise Unauthorised(limit=f"a token within {SECONDS:g} s") from None
            finally:
                self._sockets.discard(ws)
        if frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
            return None
        if frame.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            raise Unauthorised(limit="a token as the first message")
        data = frame.data.encode() if isinstance(frame.data, str) else frame.data
        if len(data) > FRAME_BYTES:
            raise Unauthorised(limit=f"a first message of at most {FRAME_BYTES} bytes")
        try:
            message = codec.decode(data)
        except XinflightError:
            message = None
        if not isinstance(message, Authenticate):
            raise Unauthorised(limit="a token as the first message")
        return message.token

    async def close(self) -> None:
        """Close the sockets that wait, because the server stops; it would wait for them."""
        for ws in tuple(self._sockets):
            await ws.close(code=CloseCode.RESTART, message=b"restarting")

    @contextmanager
    def _counted(self, key: str | None) -> Iterator[None]:
        if self._waiting.total() >= self._most or (key is not None and self._waiting[key] >= PER_ADDRESS):
            raise TooManyConnections(limit="connections without credentials")
        self._waiting[key] += 1
        try:
            yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
