"""What Xinference is asked: calls to one server, each bounded in time and in bytes.

Facts are those measured on Xinference 4.1.0.
"""

import base64
from uuid import uuid4

import msgspec
from msgspec.structs import replace
from yarl import URL

from xinflight.clock import Clock
from xinflight.settings import Settings
from xinflight.upstream.http import Body, Receive, Response, Server, Transport
from xinflight.upstream.http_aiohttp import AiohttpTransport
from xinflight.upstream.kinds import Form
from xinflight.upstream.messages import AbortAnswer, Replica, parse

__all__ = [
    "CALL_BYTES",
    "CALL_SECONDS",
    "LISTING_BYTES",
    "Client",
    "create_transport",
    "encode",
    "quoted",
    "server_of",
]

CALL_SECONDS = 10.0
"""Timeout of any call but a generation, in seconds; a busy server took 1.5, a stopped one never answers."""
CALL_BYTES = 64 * 2**10
"""Maximum size of a response with a single value; real ones have about 100 bytes."""
LISTING_BYTES = 4 * 2**20
"""Maximum size of a listing: the OpenAPI document of 4.1.0 has 89 KB, a model about 400 bytes."""


def create_transport(server: Server) -> Transport:
    """Return what sends requests to a server: by httptools where that is installed (extra `speed`), else aiohttp."""
    try:
        from xinflight.upstream.http_httptools import HttptoolsTransport
    except ImportError:
        return AiohttpTransport(server)
    return HttptoolsTransport(server)


class Client:
    """Client of one Xinference. `open` before the first call, `close` after the last."""

    def __init__(self, settings: Settings, clock: Clock, transport: Transport | None = None) -> None:
        self.clock = clock
        create = create_transport if settings.speed else AiohttpTransport
        self._transport = transport or create(server_of(settings))

    def open(self) -> None:
        """Prepare for calls; no request is sent yet."""
        self._transport.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

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

        `body` is encoded by `encode`.

        Raises:
            XinflightError: what `failure` makes of any other status, redirects included.
            UpstreamGarbage: the response is larger than `max_bytes`.
            OSError: there was no response, TimeoutError included. Only NotSent means that nothing was sent.
        """
        parts: list[bytes] = []
        await self._send(method, path, body, Response(parts.append, max_bytes), seconds)
        return b"".join(parts)

    async def post(
        self, path: str, body: object, receive: Receive, *, max_bytes: int, traceparent: str | None = None
    ) -> None:
        """Send a POST and pass its 200 response to `receive` as it arrives, at most `max_bytes`, in any time.

        Returns at the end of the response, or when `receive` wants no more of it; that may close the connection.
        Errors as `request`, and what `receive` raises.
        """
        encoded = encode(body)
        if traceparent is not None:
            encoded = replace(encoded, traceparent=traceparent)
        await self._send("POST", path, encoded, Response(receive, max_bytes), None)

    async def replicas(self, uid: str) -> list[Replica]:
        """Return the current replicas of a model; errors as `request`."""
        path = f"/v1/models/{quoted(uid)}/replicas"
        return parse(await self.request("GET", path, max_bytes=LISTING_BYTES), list[Replica])

    async def abort_request(self, uid: str, request_id: str) -> str:
        """Send an abort for a request and return the answer, which proves nothing about images and videos.

        Of a chat `NOT_FOUND` means that it has ended. Errors as `request`.
        """
        # Without a body it answers 500.
        path = f"/v1/models/{quoted(uid)}/requests/{request_id}/abort"
        return parse(await self.request("POST", path, {}), AbortAnswer).msg

    async def _send(self, method: str, path: str, body: object, response: Response, seconds: float | None) -> None:
        """Send a request; all requests pass through here."""
        encoded = None if body is None else encode(body)
        if seconds is None:
            await self._transport.send(method, path, encoded, response)
        else:
            async with self.clock.timeout(seconds):
                await self._transport.send(method, path, encoded, response)


def encode(body: object) -> Body:
    """Encode a body: a `Form` as multipart/form-data, anything else as JSON. A `Body` is returned as it is."""
    if isinstance(body, Body):
        return body
    if isinstance(body, Form):
        return _multipart(body)
    return Body("application/json", msgspec.json.encode(body))


def _multipart(form: Form) -> Body:
    """Encode a form as RFC 7578 has it. The names of its fields are constants, which need no escaping."""
    # Nobody can guess it, so no value contains it.
    boundary = uuid4().hex
    parts: list[bytes] = []
    for name, value in form.fields.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, file in form.files.items():
        disposition = f'form-data; name="{name}"; filename="{name}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {file.media_type}\r\n\r\n"
        parts += [head.encode(), file.data, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return Body(f"multipart/form-data; boundary={boundary}", b"".join(parts))


def server_of(settings: Settings) -> Server:
    """Return where requests go by the settings, with our key, or the name and password in the URL."""
    url = URL(settings.xinference_url)
    assert url.raw_host is not None  # checked by the settings
    assert url.port is not None  # a default one at least
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "xinflight"}
    if settings.api_key:
        headers["Authorization"] = f"Bearer {settings.api_key}"
    elif url.user is not None:
        credentials = f"{url.user}:{url.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    return Server(
        tls=url.scheme == "https",
        host=url.raw_host,
        port=url.port,
        authority=url.host_port_subcomponent or "",
        prefix=url.raw_path.rstrip("/"),
        headers=headers,
    )


def quoted(name: str) -> str:
    """Return a name as one segment of a URL path (RFC 3986 section 3.3)."""
    return URL.build(path=name).raw_path.replace("/", "%2F")
