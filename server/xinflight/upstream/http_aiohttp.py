"""HTTP by aiohttp's client."""

import io
from time import monotonic

import aiohttp
from aiohttp import hdrs
from yarl import URL

from xinflight.upstream.http import (
    CONNECT_SECONDS,
    FRESH_SECONDS,
    KEEP_ALIVE_SECONDS,
    Body,
    NotSent,
    Response,
    ResponseLost,
    Server,
    acknowledge,
    tls_context,
)

__all__ = ["AiohttpTransport"]

# UnicodeError: the host has no name in IDNA.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL, UnicodeError)
SMALL_BODY = 64 * 2**10
"""Maximum size of a body that is sent as bytes, in one write with the headers; a larger one is written in parts."""


class AiohttpTransport:
    """`Transport` on a `ClientSession`, and on another one for POSTs that must have new connections."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._base = f"{'https' if server.tls else 'http'}://{server.authority}{server.prefix}"
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        self._fresh_until = 0.0
        self._under_way: set[aiohttp.ClientResponse] = set()

    def open(self) -> None:
        """Open the sessions."""
        # A limit would let progress and aborts wait behind long POSTs.
        tls = tls_context() if self._server.tls else True
        kept = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=tls)
        self._session = self._opened(kept)
        self._fresh = self._opened(aiohttp.TCPConnector(limit=0, force_close=True, ssl=tls))

    def _opened(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._server.headers,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the sessions and their connections."""
        # A session would leave whoever reads from them waiting for ever.
        for answer in self._under_way:
            answer.close()
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()

    async def send(self, method: str, path: str, body: Body | None, response: Response) -> None:
        """Send one request; see `Transport.send`."""
        session = self._fresh if method != "GET" and monotonic() < self._fresh_until else self._session
        assert session is not None  # set by open()
        if session.closed:
            raise NotSent("closed")
        data: bytes | io.BytesIO | None = None
        headers: dict[str, str] | None = None
        if body is not None:
            data = body.data if len(body.data) <= SMALL_BODY else io.BytesIO(body.data)
            headers = {hdrs.CONTENT_TYPE: body.content_type}
            if body.traceparent is not None:
                headers["traceparent"] = body.traceparent
        # Already parsed, for yarl caches it.
        url = URL(self._base + path, encoded=True)
        try:
            try:
                answer = await session.request(method, url, data=data, headers=headers, allow_redirects=False)
            except _NOT_SENT as error:
                raise NotSent(str(error)) from error
            self._under_way.add(answer)
            try:
                # Closes the connection of a response that is not read to its end.
                async with answer:
                    await _read(answer, response)
            finally:
                self._under_way.discard(answer)
        except aiohttp.ClientError as error:
            if method != "GET":
                self._fresh_until = monotonic() + FRESH_SECONDS
            raise ResponseLost(f"{type(error).__name__} {error}") from error


async def _read(answer: aiohttp.ClientResponse, response: Response) -> None:
    response.begin(answer.status, answer.headers)
    content = answer.content
    while True:
        if not content.is_eof() and answer.connection is not None and answer.connection.transport is not None:
            acknowledge(answer.connection.transport)
        data = await content.readany()
        if not data:
            break
        if response.feed(data):
            answer.close()
            break
    response.end()
