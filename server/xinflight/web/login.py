"""One token in place of accounts: as a bearer token for scripts, as a session cookie for browsers."""

import asyncio

import structlog
from aiohttp import hdrs, web

from xinflight.auth import Identity, Token
from xinflight.clock import Clock
from xinflight.errors import Unauthorised
from xinflight.web.address import Addresses
from xinflight.web.context import body_in_time

__all__ = ["Login"]

log = structlog.stdlib.get_logger(__name__)

SESSION = 30 * 86400
"""Seconds that a browser stays logged in."""

MAX_BODY = 256
"""Bytes of a body above which it can't be a token."""

WRONG_PAUSE = 1.0
"""Seconds by which the response to a wrong token is delayed."""

MAX_DELAYED = 8
"""Delayed responses at a time; further wrong tokens are refused at once, so guessing fills neither memory nor log."""


class Login:
    """Authenticate requests by the token or by a session cookie, and exchange the token for such a cookie."""

    def __init__(self, token: Token, addresses: Addresses, clock: Clock) -> None:
        self._token = token
        self._addresses = addresses
        self._clock = clock
        self._delayed = 0

    async def authenticate(self, request: web.Request, first_message: str | None) -> Identity | None:
        """Return LOCAL for the bearer token or a valid session, else None."""
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return self._token.identify(bearer.strip())
        return self._token.identify_session(request.cookies.get(self._cookie_name(request)), self._clock.time())

    async def create_session(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /login: exchange the token in the body for a cookie that scripts of a page can't read.

        Raises:
            Unauthorised: the token is wrong; after WRONG_PAUSE.
            HTTPTooManyRequests: too many wrong tokens at a time.
            BodyTimeout: the body does not arrive in time.
        """
        if self._token.identify(await self._read_token(request)) is None:
            await self._delay()
            log.warning("wrong token", remote=request.remote)
            raise Unauthorised
        response = web.Response(status=204)
        response.set_cookie(
            self._cookie_name(request),
            self._token.session(int(self._clock.time()) + SESSION),
            httponly=True,
            samesite="Strict",
            secure=self._addresses.public(request).scheme == "https",
            max_age=SESSION,
            path="/",
        )
        return response

    async def _delay(self) -> None:
        if self._delayed >= MAX_DELAYED:
            raise web.HTTPTooManyRequests(text="Too many wrong tokens.\n", headers={hdrs.RETRY_AFTER: "1"})
        self._delayed += 1
        try:
            await self._clock.sleep(WRONG_PAUSE)
        finally:
            self._delayed -= 1

    def _cookie_name(self, request: web.Request) -> str:
        # Browsers share a host's cookies between its ports, so the name must tell servers on one machine apart.
        return f"xinflight-{self._addresses.public(request).port}"

    async def _read_token(self, request: web.Request) -> str | None:
        """Return the token in a body, or None if the body is too long to be one."""
        try:
            async with body_in_time(self._clock):
                await request.content.readexactly(MAX_BODY + 1)
        except asyncio.IncompleteReadError as short:
            return short.partial.decode("ascii", "replace").strip()
        return None
