"""One token instead of accounts: as bearer for scripts, as cookie for browsers."""

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from xinflight.auth import Identity, Token
from xinflight.web_common import COOKIE, Authenticate

__all__ = ["login_handler", "token_authenticate"]


def token_authenticate(token: Token) -> Authenticate:
    """Return the function that lets in whoever has the token."""

    async def authenticate(request: web.Request, first_message: str | None) -> Identity | None:
        scheme, _, bearer = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return token.identify(bearer.strip())
        return token.identify(request.cookies.get(COOKIE))

    return authenticate


def login_handler(token: Token) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler that turns the token of a POST's body into a cookie that scripts of a page can't read."""

    async def handle(request: web.Request) -> web.Response:
        given = (await request.content.read(256)).decode("ascii", "replace").strip()
        if token.identify(given) is None:
            raise web.HTTPUnauthorized(text="This token is not ours.\n")
        response = web.Response(status=204)
        response.set_cookie(
            COOKIE, given, httponly=True, samesite="Strict", secure=request.secure, max_age=31536000, path="/"
        )
        return response

    return handle
