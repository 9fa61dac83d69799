"""Log-in over HTTP: where requests carry credentials, and the session cookies of browsers."""

import asyncio
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie

from aiohttp import hdrs, web

from xinflight.auth import Authenticator, Credentials, Grant, Identity, Proof, Session, bearer_tokens
from xinflight.clock import Clock
from xinflight.errors import FrameTooLarge, Unauthorised
from xinflight.web.address import Addresses
from xinflight.web.context import body_in_time

__all__ = ["Authenticate", "HostsLogin", "Login"]

Authenticate = Callable[[web.Request, str | None], Awaitable[Identity | None]]
"""Returns who a request is from, None without valid credentials. The second argument is the token that came in a
first message or as a query parameter, else None."""

MAX_BODY = 8192
"""Bytes of a body above which it can't be a token."""

PARAMETER = "token"
"""Name of the query parameter with a token."""

_NEW_COOKIE = web.RequestKey("xinflight_new_cookie", str)


class HostsLogin:
    """The log-in of the host application: its function `authenticate`."""

    def __init__(self, authenticate: Authenticate, *, token_in_query: bool) -> None:
        self._authenticate = authenticate
        self._token_in_query = token_in_query

    async def grant(self, request: web.Request, message: str | None = None) -> Grant:
        """Return the identity that the host's function returns; raise Unauthorised if it returns None."""
        token = request.query.get(PARAMETER) if message is None and self._token_in_query else message
        identity = await self._authenticate(request, token)
        if identity is None:
            raise Unauthorised
        return Grant(identity=identity, proof=Proof(owner=identity.id))


class Login:
    """The log-in of the server: an `Authenticator`, and POST /login, which exchanges a token for a session cookie."""

    def __init__(
        self, authenticator: Authenticator, addresses: Addresses, clock: Clock, *, token_in_query: bool
    ) -> None:
        self._authenticator = authenticator
        self._addresses = addresses
        self._clock = clock
        self._token_in_query = token_in_query

    async def grant(self, request: web.Request, message: str | None = None) -> Grant:
        """Authenticate a request by all that it carries; a new session becomes a cookie of the response."""
        grant = await self._authenticator.authenticate(
            Credentials(
                remote=request.remote,
                bearer=bearer_tokens(request.headers.getall(hdrs.AUTHORIZATION, ())),
                message=message,
                query=request.query.getall(PARAMETER, ()) if self._token_in_query else (),
                session=request.cookies.get(self._cookie_name(request)),
                header=lambda name: request.headers.getall(name, ()),
            )
        )
        if grant.session is not None:
            request[_NEW_COOKIE] = self._cookie(request, grant.session)
        return grant

    async def add_cookie(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the cookie of a new session to a response whose headers are about to be sent."""
        # aiohttp has rendered the response's own cookies by now. With several gateways the first hook adds it.
        cookie = request.pop(_NEW_COOKIE, None)
        if cookie is not None:
            response.headers.add(hdrs.SET_COOKIE, cookie)

    async def create_session(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /login: exchange the token in the body for a cookie that scripts of a page can't read.

        Raises:
            Unauthorised, TokenExpired: the token is wrong.
            RateLimited: too many wrong tokens from this address.
            FrameTooLarge: the body is too long to be a token.
            BodyTimeout: the body does not arrive in time.
        """
        token = await self._read_token(request)
        # Only the token of the body: a bearer token or a session beside it must not decide who logs in.
        grant = await self._authenticator.authenticate(
            Credentials(remote=request.remote, message=token, header=lambda name: request.headers.getall(name, ()))
        )
        response = web.Response(status=204)
        session = self._authenticator.create_session(grant)
        if session is not None:
            response.headers.add(hdrs.SET_COOKIE, self._cookie(request, session))
        return response

    def _cookie(self, request: web.Request, session: Session) -> str:
        """Return the value of Set-Cookie for a session: not readable for scripts, and not sent by other websites."""
        cookies = SimpleCookie({self._cookie_name(request): session.value})
        (cookie,) = cookies.values()
        cookie["httponly"] = True
        cookie["samesite"] = "Strict"
        cookie["secure"] = self._addresses.public(request).scheme == "https"
        cookie["max-age"] = str(int(session.expires - self._clock.time()))
        cookie["path"] = "/"
        return cookie.OutputString()

    def _cookie_name(self, request: web.Request) -> str:
        # Browsers share a host's cookies between its ports, so the name must tell servers on one machine apart.
        return f"xinflight-{self._addresses.public(request).port}"

    async def _read_token(self, request: web.Request) -> str:
        try:
            async with body_in_time(self._clock):
                await request.content.readexactly(MAX_BODY + 1)
        except asyncio.IncompleteReadError as short:
            return short.partial.decode("ascii", "replace").strip()
        raise FrameTooLarge(limit=f"{MAX_BODY} bytes")
