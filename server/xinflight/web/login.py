"""Log-in over HTTP: where requests carry credentials, and the session cookies of browsers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http.cookies import SimpleCookie

from aiohttp import hdrs, web

from xinflight.auth import Authenticator, Credentials, Grant, Identity, Proof, Session, bearer_tokens
from xinflight.clock import Clock
from xinflight.errors import Forbidden, FrameTooLarge, TokenExpired, Unauthorised
from xinflight.settings import Settings
from xinflight.web.address import Addresses
from xinflight.web.context import LoginMode, body_in_time
from xinflight.web.headers import CLEAR_CACHE
from xinflight.web.origins import SAFE

__all__ = ["Authenticate", "HostsLogin", "Login"]

Authenticate = Callable[[web.Request, str | None], Awaitable[Identity | None]]
"""Returns who a request is from, None without valid credentials. The second argument is the token that came in a
first message or as a query parameter, else None."""

MAX_BODY = 8192
"""Bytes of a body above which it can't be a token."""

PARAMETER = "token"
"""Name of the query parameter with a token."""

_NEW_COOKIE = web.RequestKey("xinflight_new_cookie", str)
_TOKEN_IN_QUERY = web.RequestKey("xinflight_token_in_query", bool)

_MODES: dict[str | None, LoginMode] = {
    None: "none",
    "none": "none",
    "anonymous": "anonymous",
    "tokens": "token",
    "jwt": "token",
    "proxy": "external",
}


class HostsLogin:
    """The log-in of the host application: its function `authenticate`."""

    mode: LoginMode = "external"

    def __init__(self, authenticate: Authenticate, clock: Clock, *, token_in_query: bool) -> None:
        self._authenticate = authenticate
        self._clock = clock
        self._token_in_query = token_in_query

    def brings_token(self, request: web.Request) -> bool:
        """Return whether a request has a token in its headers or its query."""
        return hdrs.AUTHORIZATION in request.headers or bool(_query(request, allowed=self._token_in_query))

    async def grant(self, request: web.Request) -> Grant:
        """Return the identity that the host's function returns.

        Raises:
            Unauthorised: it returns None.
            TokenExpired: the identity has expired.
        """
        tokens = _query(request, allowed=self._token_in_query)
        return await self._grant(request, tokens[0] if tokens else None)

    async def grant_of_message(self, request: web.Request, token: str) -> Grant:
        """Return the identity that the host's function returns for a token. Errors as `grant`.

        An answer to a request that it raises counts as None.
        """
        try:
            return await self._grant(request, token)
        except web.HTTPException:
            # aiohttp would write that answer into the WebSocket, where it is no frame.
            raise Unauthorised from None

    def on_revoked(self, grant: Grant, callback: Callable[[], None]) -> Callable[[], None]:
        """Do nothing: the host's log-in reports no revocations."""
        return lambda: None

    async def _grant(self, request: web.Request, token: str | None) -> Grant:
        identity = await self._authenticate(request, token)
        if identity is None:
            raise Unauthorised
        if identity.expires is not None and identity.expires <= self._clock.time():
            # Else its connection would be closed at once, and opened again, for ever.
            raise TokenExpired
        return Grant(identity=identity, proof=Proof(owner=identity.id))


class Login:
    """The log-in of the server: an `Authenticator`, and the session cookies that tokens are exchanged for."""

    def __init__(
        self, authenticator: Authenticator, addresses: Addresses, name: str, settings: Settings, clock: Clock
    ) -> None:
        self.mode = _MODES[settings.auth]
        self._authenticator = authenticator
        self._addresses = addresses
        self._name = name
        self._clock = clock
        self._token_in_query = settings.token_in_query

    def brings_token(self, request: web.Request) -> bool:
        """Return whether a request has a token in its headers or its query."""
        credentials = self._credentials(request)
        return bool(credentials.bearer or credentials.query)

    async def grant(self, request: web.Request) -> Grant:
        """Authenticate a request by all that it carries; a new session becomes a cookie of the response."""
        credentials = self._credentials(request)
        if credentials.token is None and credentials.session is not None and request.method not in SAFE:
            # Browsers add the cookie to requests that another website causes, too (CSRF).
            self._check_own_page(request)
        grant = await self._authenticator.authenticate(credentials)
        if grant.session is not None:
            request[_NEW_COOKIE] = self._cookie(request, grant.session)
        return grant

    async def grant_of_message(self, request: web.Request, token: str) -> Grant:
        """Authenticate the token of a message, whatever else the request of its connection carried."""
        return await self._authenticator.authenticate(
            Credentials(remote=request.remote, message=token, header=lambda name: request.headers.getall(name, ()))
        )

    def on_revoked(self, grant: Grant, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when the token behind a grant is revoked. Call the returned function to stop that."""
        return self._authenticator.on_revoked(grant, callback)

    async def prepare_response(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the cookie of a new session to a response, and keep a token in its address from other servers."""
        # aiohttp has rendered the response's own cookies by now. With several gateways the first hook adds it.
        cookie = request.pop(_NEW_COOKIE, None)
        if cookie is not None:
            response.headers.add(hdrs.SET_COOKIE, cookie)
        if request.get(_TOKEN_IN_QUERY):
            response.headers["Referrer-Policy"] = "no-referrer"

    async def create_session(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /login: exchange the token in the body for a cookie that scripts of a page can't read.

        Raises:
            Forbidden: not from a page of this server, which could log somebody in as somebody else.
            Unauthorised, TokenExpired: the token is wrong.
            RateLimited: too many wrong tokens from this address.
            FrameTooLarge: the body is too long to be a token.
            BodyTimeout: the body does not arrive in time.
        """
        self._check_own_page(request)
        # Only the token of the body: a bearer token or a session beside it must not decide who logs in.
        grant = await self.grant_of_message(request, await self._read_token(request))
        response = web.Response(status=204)
        session = self._authenticator.create_session(grant)
        if session is not None:
            response.headers.add(hdrs.SET_COOKIE, self._cookie(request, session))
        return response

    async def end_session(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /logout: remove the cookie; raise Forbidden if not from a page of this server.

        The browser deletes the thumbnails that it keeps, too, before somebody else uses it.
        """
        self._check_own_page(request)
        removed = self._cookie(request, Session("", self._clock.time()))
        return web.Response(status=204, headers={hdrs.SET_COOKIE: removed, **CLEAR_CACHE})

    def _credentials(self, request: web.Request) -> Credentials:
        return Credentials(
            remote=request.remote,
            bearer=bearer_tokens(request.headers.getall(hdrs.AUTHORIZATION, ())),
            query=_query(request, allowed=self._token_in_query),
            session=request.cookies.get(self._cookie_name(request)) if hdrs.COOKIE in request.headers else None,
            header=lambda name: request.headers.getall(name, ()),
        )

    def _check_own_page(self, request: web.Request) -> None:
        if not self._addresses.from_browser_page(request):
            raise Forbidden(field="Origin", limit="a page of this server")

    def _cookie(self, request: web.Request, session: Session) -> str:
        """Return the value of Set-Cookie for a session: not readable for scripts, and not sent by other websites."""
        cookies = SimpleCookie({self._cookie_name(request): session.value})
        (cookie,) = cookies.values()
        cookie["httponly"] = True
        cookie["samesite"] = "Strict"
        cookie["secure"] = self._addresses.public(request).scheme == "https"
        cookie["max-age"] = str(int(session.expires - self._clock.time()))
        cookie["path"] = self._mount_path(request) or "/"
        return cookie.OutputString()

    def _cookie_name(self, request: web.Request) -> str:
        # Browsers share a host's cookies between its ports, so the name must tell servers on one machine apart, and
        # gateways of one server whose prefixes contain each other.
        public = self._addresses.public(request)
        name = f"{self._name}-{public.port}"
        # Other hosts of the domain can set cookies for this one, but none with this prefix (RFC 6265bis 4.1.3).
        return f"__Host-{name}" if public.scheme == "https" and not self._mount_path(request) else name

    def _mount_path(self, request: web.Request) -> str:
        """Return the public path at which the gateway is mounted, empty for the root."""
        own = str(request.app.router[f"{self._name}:ws"].url_for()).removesuffix("/ws/generate")
        return self._addresses.public(request).prefix + own

    async def _read_token(self, request: web.Request) -> str:
        try:
            async with body_in_time(self._clock):
                await request.content.readexactly(MAX_BODY + 1)
        except asyncio.IncompleteReadError as short:
            return short.partial.decode("ascii", "replace").strip()
        raise FrameTooLarge(limit=f"{MAX_BODY} bytes")


def _query(request: web.Request, *, allowed: bool) -> Sequence[str]:
    """Return the tokens in the query of a request, if they are allowed there."""
    tokens = request.query.getall(PARAMETER, ()) if allowed else ()
    if tokens:
        request[_TOKEN_IN_QUERY] = True
    return tokens
