"""One token instead of accounts: as bearer for scripts, as a session cookie for browsers."""

import asyncio

import structlog
from aiohttp import hdrs, web

from xinflight.clock import Clock
from xinflight.errors import Unauthorised
from xinflight.web.address import Addresses
from xinflight.web.auth import Identity, Token
from xinflight.web.context import Authenticate, body_in_time
from xinflight.web.errors import Handler

__all__ = ["login_handler", "token_authenticate"]

log = structlog.stdlib.get_logger(__name__)

SESSION = 30 * 86400
"""Seconds that a browser stays logged in."""

LONGEST = 256
"""Bytes of a body above which it is no token."""

WRONG_PAUSE = 1.0
"""Seconds that the answer to a wrong token takes."""

WRONG_AT_ONCE = 8
"""Wrong tokens that are being answered; more are refused at once, so that guessing costs neither memory nor log."""


def token_authenticate(token: Token, addresses: Addresses, clock: Clock) -> Authenticate:
    """Return the function that lets in whoever has the token, or a session that was made for it."""

    async def authenticate(request: web.Request, first_message: str | None) -> Identity | None:
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return token.identify(bearer.strip())
        return token.identify_session(request.cookies.get(_cookie(addresses, request)), clock.time())

    return authenticate


def login_handler(token: Token, addresses: Addresses, clock: Clock) -> Handler:
    """Return the handler that turns the token of a POST's body into a cookie that scripts of a page can't read."""
    waiting = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal waiting
        if token.identify(await _given(request, clock)) is None:
            if waiting >= WRONG_AT_ONCE:
                raise web.HTTPTooManyRequests(text="Too many wrong tokens.\n", headers={hdrs.RETRY_AFTER: "1"})
            waiting += 1
            try:
                await clock.sleep(WRONG_PAUSE)
            finally:
                waiting -= 1
            log.warning("wrong token", remote=request.remote)
            raise Unauthorised
        response = web.Response(status=204)
        response.set_cookie(
            _cookie(addresses, request),
            token.session(int(clock.time()) + SESSION),
            httponly=True,
            samesite="Strict",
            secure=addresses.public(request).scheme == "https",
            max_age=SESSION,
            path="/",
        )
        return response

    return handle


def _cookie(addresses: Addresses, request: web.Request) -> str:
    """Return the name of the cookie: cookies belong to a host whatever the port, so the name tells servers apart."""
    return f"xinflight-{addresses.public(request).port}"


async def _given(request: web.Request, clock: Clock) -> str | None:
    """Return the token of a body, or None for a body that is too long to be one."""
    try:
        async with body_in_time(clock):
            await request.content.readexactly(LONGEST + 1)
    except asyncio.IncompleteReadError as short:
        return short.partial.decode("ascii", "replace").strip()
    return None
