"""Calls to one Xinference server over one HTTP session, each bounded in time and in bytes.

Facts are those measured on Xinference 4.1.0.
"""

import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from xinflight.clock import Clock
from xinflight.errors import UpstreamGarbage
from xinflight.settings import Settings
from xinflight.upstream.kinds import Form
from xinflight.upstream.messages import AbortAnswer, Replica, failure, parse

__all__ = ["CALL_BYTES", "CALL_SECONDS", "LISTING_BYTES", "NOT_SENT", "Client", "quoted"]

NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""Exceptions of a request that was never sent, since there was no connection: nothing of it runs."""
CONNECT_SECONDS = 10.0
CALL_SECONDS = 10.0
"""Timeout of any call but a generation, in seconds; a busy server took 1.5, a stopped one never answers."""
CALL_BYTES = 64 * 2**10
"""Maximum size of a response with a single value or an error; real ones have about 100 bytes."""
LISTING_BYTES = 4 * 2**20
"""Maximum size of a listing: the OpenAPI document of 4.1.0 has 89 KB, a model about 400 bytes."""


class Client:
    """HTTP client of one Xinference. `open` before the first call, `close` after the last."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self._base = settings.xinference_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Open the HTTP session; no request is sent yet."""
        self._session = aiohttp.ClientSession(
            # Its keep-alive is 5 s (XINFERENCE_HTTP_TIMEOUT_KEEP_ALIVE): ours ends before, or a POST meets a closed
            # connection. A limit would let progress and aborts wait behind long POSTs.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
        )

    async def close(self) -> None:
        """Close the HTTP session."""
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        seconds: float | None = CALL_SECONDS,
        max_bytes: int = CALL_BYTES,
    ) -> bytes:
        """Send one request and return the body of its 200 response, at most `max_bytes`, within `seconds`.

        A `Form` is sent as multipart/form-data, bytes as the JSON that they are, anything else as JSON.

        Raises:
            XinflightError: what `failure` makes of any other status, redirects included.
            UpstreamGarbage: the response is larger than `max_bytes`.
            aiohttp.ClientError, OSError: there was no response, TimeoutError included. Only the exceptions of
                NOT_SENT mean that nothing was sent.
        """
        async with self.clock.timeout(seconds):
            return await self._send(method, path, body, max_bytes)

    async def replicas(self, uid: str) -> list[Replica]:
        """Return the current replicas of a model; errors as `request`."""
        path = f"/v1/models/{quoted(uid)}/replicas"
        return parse(await self.request("GET", path, max_bytes=LISTING_BYTES), list[Replica])

    async def stream(self, path: str, body: object, *, max_bytes: int) -> AsyncGenerator[bytes, None]:
        """Send a POST and yield its 200 response as it arrives, at most `max_bytes`. Errors as `request`.

        Whoever leaves the loop early must close the iterator, which closes the connection.
        """
        async with self._response("POST", path, body) as response:
            left = max_bytes
            async for chunk in response.content.iter_any():
                left -= len(chunk)
                if left < 0:
                    raise UpstreamGarbage(detail=f"a response of more than {max_bytes} bytes")
                yield chunk

    async def abort_request(self, uid: str, request_id: str) -> str:
        """Send an abort for a request and return the answer, which proves nothing about images and videos.

        Of a chat `NOT_FOUND` means that it has ended. Errors as `request`.
        """
        # Without a body it answers 500.
        path = f"/v1/models/{quoted(uid)}/requests/{request_id}/abort"
        return parse(await self.request("POST", path, {}), AbortAnswer).msg

    async def _send(self, method: str, path: str, body: object, max_bytes: int) -> bytes:
        async with self._response(method, path, body) as response:
            answer = await _read_up_to(response, max_bytes + 1)
            if len(answer) > max_bytes:
                raise UpstreamGarbage(detail=f"a response of more than {max_bytes} bytes")
            return answer

    @asynccontextmanager
    async def _response(self, method: str, path: str, body: object) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield its 200 response; raise for any other."""
        assert self._session is not None  # set by open()
        url = URL(self._base + path, encoded=True)
        data: io.BytesIO | aiohttp.FormData | None
        if isinstance(body, Form):
            data, headers = _form_data(body), None
        elif body is None:
            data = headers = None
        else:
            # As a file: aiohttp writes it in parts, and warns of megabytes of plain bytes.
            data = io.BytesIO(body if isinstance(body, bytes) else msgspec.json.encode(body))
            headers = {"Content-Type": "application/json"}
        # Following a redirect would send prompts and our key to wherever it points.
        async with self._session.request(method, url, data=data, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                text = await _read_up_to(response, CALL_BYTES)
                if hdrs.LOCATION in response.headers:
                    text = f"a redirect to {response.headers[hdrs.LOCATION]}".encode(errors="replace")
                raise failure(response.status, text, response.headers.get(hdrs.RETRY_AFTER))
            yield response


def _form_data(form: Form) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in form.fields.items():
        data.add_field(name, value)
    for name, file in form.files.items():
        data.add_field(name, io.BytesIO(file.data), filename=name, content_type=file.media_type)
    return data


async def _read_up_to(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body, or its first `max_bytes`; the connection of a longer one is closed with its response."""
    chunks = []
    left = max_bytes
    async for chunk in response.content.iter_any():
        chunks.append(chunk[:left])
        left -= len(chunk)
        if left <= 0:
            break
    return b"".join(chunks)


def quoted(name: str) -> str:
    """Return a name as one segment of a URL path (RFC 3986 section 3.3)."""
    return URL.build(path=name).raw_path.replace("/", "%2F")
