"""HTTP as the client of Xinference needs it: one interface, implemented with aiohttp and with httptools."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from xinflight.errors import UpstreamGarbage
from xinflight.upstream.messages import failure

__all__ = [
    "CONNECT_SECONDS",
    "ERROR_BYTES",
    "FRESH_SECONDS",
    "KEEP_ALIVE_SECONDS",
    "Body",
    "NotSent",
    "Receive",
    "Response",
    "ResponseLost",
    "Server",
    "Transport",
    "acknowledge",
    "tls_context",
]

CONNECT_SECONDS = 10.0
"""Timeout of opening a connection, in seconds."""
KEEP_ALIVE_SECONDS = 4.0
"""Seconds for which an idle connection is kept. Xinference closes one after 5 (XINFERENCE_HTTP_TIMEOUT_KEEP_ALIVE):
ours ends before, or a POST meets a closed connection."""
FRESH_SECONDS = 300.0
"""Seconds after a POST was lost for which POSTs use new connections. What drops one idle connection without a word
(a firewall, a proxy) does it to the others too, and an image that is lost twice fails."""
ERROR_BYTES = 64 * 2**10
"""Maximum size of what is read of a response other than 200; real ones have about 100 bytes."""

Receive = Callable[[bytes], bool | None]
"""Takes the next bytes of a response; returns True if it wants no more of them."""


class NotSent(OSError):
    """A request was never sent, since there was no connection: nothing of it runs."""


class ResponseLost(OSError):
    """A request was sent, at least in part, and has no complete response: it may run."""


class Server(Struct, frozen=True, kw_only=True):
    """Where requests go: an address, the path before all others, and the headers that every request has.

    `authority` is host and port as in a URL, without the default port. All is ASCII.
    """

    tls: bool
    host: str
    port: int
    authority: str
    prefix: str
    headers: dict[str, str]


class Body(Struct, frozen=True):
    """The body of a request, and with `traceparent` the span that it belongs to (W3C Trace Context)."""

    content_type: str
    data: bytes
    traceparent: str | None = None


class Response:
    """What is read of one response. That of a 200 is passed on as it arrives, any other becomes an exception."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._status = 0
        self._text = b""
        self._retry_after: str | None = None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Record the status; `headers` are looked up in lower case.

        Raises:
            UpstreamGarbage: the body is compressed.
            ResponseLost: the status is none, or that of another protocol.
        """
        if status < 200:
            raise ResponseLost(f"a response with the status {status}")
        self._status = status
        if status == 200:
            encoding = headers.get("content-encoding", "identity")
            if encoding != "identity":
                raise UpstreamGarbage(detail=f"a response in {encoding[:50]}, which no request accepts")
            return
        self._retry_after = headers.get("retry-after")
        if "location" in headers:
            # Following a redirect would send prompts and our key to wherever it points.
            self._text = f"a redirect to {headers['location']}".encode(errors="replace")[:ERROR_BYTES]

    def feed(self, data: bytes) -> bool:
        """Read the next bytes of the body; return whether no more are wanted. Raises what `receive` raises.

        Raises:
            UpstreamGarbage: the body has more than `max_bytes`.
        """
        if self._status != 200:
            self._text += data[: ERROR_BYTES - len(self._text)]
            return len(self._text) >= ERROR_BYTES
        self._left -= len(data)
        if self._left < 0:
            raise UpstreamGarbage(detail=f"a response of more than {self._max_bytes} bytes")
        return bool(self._receive(data))

    def end(self) -> None:
        """Raise what `failure` makes of any status but 200."""
        if self._status != 200:
            raise failure(self._status, self._text, self._retry_after)


class Transport(Protocol):
    """Sends requests to one server, over connections that are kept for a moment."""

    def open(self) -> None:
        """Prepare for requests; nothing is sent yet."""

    async def close(self) -> None:
        """Close all connections. Requests that are under way end with ResponseLost or NotSent."""

    async def send(self, method: str, path: str, body: Body | None, response: Response) -> None:
        """Send one request, feed its response to `response`, and return at its end or when it wants no more.

        A GET whose connection was closed before it was answered is sent once more; a POST never is, but for
        FRESH_SECONDS the next ones go over new connections. Cancelling closes the connection.

        Raises:
            NotSent: there was no connection within CONNECT_SECONDS.
            ResponseLost: the connection broke, or what came over it is no HTTP.
            XinflightError: what `response` raises.
        """


def tls_context() -> ssl.SSLContext:
    """Return a context that checks certificates by the authorities of this machine, or those of SSL_CERT_FILE."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def acknowledge(transport: asyncio.BaseTransport) -> None:
    """Acknowledge right now what has arrived of a response that is not complete.

    Xinference writes the headers and the body one by one and, by Nagle's algorithm, holds the body back until the
    headers are acknowledged, which Linux delays by 40 ms on a connection that was used before.
    """
    if hasattr(socket, "TCP_QUICKACK") and not transport.is_closing():
        # Not permanent: it holds until the next bytes that are sent.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
