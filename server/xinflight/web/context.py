"""What all handlers share: the gateway, who a request is from, and whether it is allowed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from functools import lru_cache, partial
from typing import Literal, Protocol

from aiohttp import hdrs, web

from xinflight.auth import Grant, Identity
from xinflight.clock import Clock
from xinflight.connection import Access
from xinflight.errors import BodyTimeout, Forbidden, NotAcceptable, XinflightError
from xinflight.gateway import Gateway
from xinflight.i18n import choose_language
from xinflight.negotiation import preferred_type
from xinflight.protocol import Delete, from_texts
from xinflight.render import RenderContext
from xinflight.request_limits import ClientMeter, Quotas
from xinflight.web.address import Addresses

__all__ = [
    "BODY_SECONDS",
    "GRANT",
    "QUOTAS",
    "Handler",
    "HttpContext",
    "LoginMode",
    "RequestLogin",
    "body_in_time",
    "choose_type",
    "task_id_of",
    "write_whole",
]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OutputUrl = Callable[[str], str]

QUOTAS = web.RequestKey("quotas", Quotas)
"""The quotas that a request was counted against; the response says what is left of them."""

BODY_SECONDS = 60.0
"""Seconds within which a request body must arrive, as in nginx; most arrive together with the headers."""


GRANT = web.RequestKey("grant", Grant)
"""What the credentials of a request have proved."""

LoginMode = Literal["none", "anonymous", "token", "external"]
"""How people log in, for the page: not at all, by a cookie that every browser gets, by a token, or elsewhere."""


class RequestLogin(Protocol):
    """Who a request is from, by the server's own log-in or by that of the host application."""

    mode: LoginMode

    def brings_token(self, request: web.Request) -> bool:
        """Return whether a request has a token, valid or not, in its headers or its query."""

    async def grant(self, request: web.Request) -> Grant:
        """Return who a request is from.

        Raises:
            Unauthorised, TokenExpired, AmbiguousCredentials, RateLimited: as `Authenticator.authenticate`.
            Forbidden: the request would change something, and another website may have made the browser send it.
        """

    async def grant_of_message(self, request: web.Request, token: str) -> Grant:
        """Return whose a token is that came in a message on the connection of a request. Errors as `grant`."""

    def on_revoked(self, grant: Grant, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when the token behind a grant is revoked. Call the returned function to stop that."""


class HttpContext:
    """One mounted gateway: the names of its routes, and the checks that apply to each of its requests."""

    def __init__(self, gateway: Gateway, name: str, login: RequestLogin, addresses: Addresses) -> None:
        self.gateway = gateway
        self.name = name
        self.login = login
        self.addresses = addresses
        # The path of all outputs, once it is known where the application is mounted.
        self._outputs: str | None = None
        # Most clients use the same address, and each idle connection keeps what it has. Bounded.
        self._output_urls = lru_cache(maxsize=64)(self._make_output_urls)

    def check_allowed(self, request: web.Request) -> None:
        """Raise HTTPForbidden, with the setting that would allow it, for a Host or Origin that isn't allowed."""
        refusal = self.addresses.forbidden(request)
        if refusal is not None:
            raise web.HTTPForbidden(text=f"This {refusal.field} is not allowed here; see {refusal.limit}.\n")

    def count(self, request: web.Request) -> None:
        """Count a request of a client's address; raise RateLimited if it is one too many."""
        request[QUOTAS] = {}
        self.gateway.limits.count_address(self.addresses.client(request), request[QUOTAS])

    def connection(self, request: web.Request) -> AbstractContextManager[None]:
        """Count a long-lived connection of a client's address inside the block; may raise TooManyConnections."""
        return self.gateway.limits.connection(self.addresses.client(request))

    @contextmanager
    def stream(self, request: web.Request, owner: str) -> Iterator[None]:
        """Count a streaming response of an owner inside the block; may raise TooManyConnections."""
        with self.connection(request), self.gateway.limits.connection_of(owner):
            yield

    def meter(self, request: web.Request, owner: str) -> ClientMeter:
        """Return what counts the messages of a connection."""
        return ClientMeter(self.gateway.limits, owner, self.addresses.client(request), self.gateway.clock)

    def cors(self, request: web.Request) -> dict[str, str]:
        """Return the headers that let pages of `allow_origins` read a response (Fetch section 3.3)."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in self.gateway.settings.allow_origins:
            return {hdrs.VARY: hdrs.ORIGIN}
        return {
            hdrs.VARY: hdrs.ORIGIN,
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
            # The same pages may open a WebSocket, which always sends cookies.
            hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true",
            hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: (
                "Location, Link, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, Xinflight-Cursor"
            ),
        }

    async def grant(self, request: web.Request) -> Grant:
        """Return who a request is from. Errors as `RequestLogin.grant`."""
        request[GRANT] = await self.login.grant(request)
        return request[GRANT]

    async def ensure_identity(self, request: web.Request) -> None:
        """Give a new browser its anonymous identity with the page, whose first requests would each get another."""
        if self.login.mode == "anonymous":
            with suppress(XinflightError):
                await self.grant(request)

    async def identity(self, request: web.Request) -> Identity:
        """Return who a request is from, and count it. Errors as `grant`, and RateLimited."""
        identity = (await self.grant(request)).identity
        self.gateway.limits.count_owner(identity.id, request[QUOTAS])
        return identity

    def access(self, request: web.Request, grant: Grant) -> Access:
        """Return what ends the connection of a request when its credentials expire or are revoked."""
        return Access(grant, partial(self.login.grant_of_message, request), self.login.on_revoked, self.gateway.clock)

    async def owner(self, request: web.Request) -> str:
        """Return the owner whose tasks a request may access: the caller. Errors as `identity`.

        Raises:
            Forbidden: the query names an owner. An admin who means somebody else, as in a cancel, would otherwise
                pause or delete what is their own.
        """
        identity = await self.identity(request)
        if "owner" in request.query:
            raise Forbidden(field="owner", limit="only what belongs to the caller")
        return identity.id

    def lang(self, request: web.Request) -> str:
        """Return the language of a request's responses."""
        wanted = request.query.get("lang") or request.headers.get("Accept-Language")
        return choose_language(wanted, self.gateway.settings.lang)

    def path(self, request: web.Request, route: str, **parts: str) -> str:
        """Return the path of one of the gateway's routes, including prefixes of parent applications."""
        return str(request.app.router[f"{self.name}:{route}"].url_for(**parts))

    def url(self, request: web.Request, route: str, **parts: str) -> str:
        """Return the absolute URL of one of the gateway's routes, at the address that the client used."""
        return self.addresses.public(request).url + self.path(request, route, **parts)

    def render_context(self, request: web.Request, *, signed: bool = False) -> RenderContext:
        """Return what messages in response to a request are rendered with; URLs of outputs are absolute.

        They are signed for pages of other origins, and with `signed` for clients that send no credentials with a
        request for an image.
        """
        if self._outputs is None:
            marker = "0"
            self._outputs = self.path(request, "outputs", output_id=marker).removesuffix(marker)
        url = self.addresses.public(request).url + self._outputs
        output_url, thumbnail_url = self._output_urls(url, signed=signed or self.addresses.foreign(request))
        return self.gateway.render_context(self.lang(request), output_url, thumbnail_url)

    def _make_output_urls(self, url: str, *, signed: bool) -> tuple[OutputUrl, OutputUrl | None]:
        """Return what makes the addresses of outputs, and of their thumbnails if there are any, below a URL."""
        signer = self.gateway.signer

        def signed_url(end: str, output_id: str) -> str:
            return f"{url}{output_id}{end}?{signer.query(output_id)}"

        def plain_url(end: str, output_id: str) -> str:
            return f"{url}{output_id}{end}"

        address = signed_url if signed else plain_url
        thumbnail_url = partial(address, "/thumbnail") if self.gateway.thumbnails.available else None
        return partial(address, ""), thumbnail_url


def choose_type(request: web.Request, offered: tuple[str, ...]) -> str:
    """Return which of the offered media types a request prefers; raise NotAcceptable if it accepts none."""
    chosen = preferred_type(request.headers.getall(hdrs.ACCEPT, []), offered)
    if chosen is None:
        raise NotAcceptable(field="Accept", limit=", ".join(offered))
    return chosen


@asynccontextmanager
async def body_in_time(clock: Clock) -> AsyncIterator[None]:
    """Limit the time for reading a request body inside the block; raise BodyTimeout after BODY_SECONDS."""
    try:
        async with clock.timeout(BODY_SECONDS):
            yield
    except TimeoutError:
        raise BodyTimeout(limit=f"{BODY_SECONDS:g} s") from None


async def write_whole(request: web.Request, response: web.StreamResponse, headers: dict[str, str]) -> bool:
    """Write a response with additional headers to its end; return whether the client was sent all of it.

    It was not for HEAD, a range, an unmodified file, or a client that has disconnected.
    """
    response.headers.update(headers)
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return False
    return request.method != hdrs.METH_HEAD and response.status == 200


def task_id_of(request: web.Request) -> str:
    """Return the task id in a request's path; raise BadTaskId if it is malformed."""
    return from_texts({"task_id": request.match_info["task_id"]}, Delete).task_id
