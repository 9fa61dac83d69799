"""What the handlers share: the gateway of a request, who it is from, and whether it may come."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from xinflight.auth import Identity, host_allowed, origin_allowed
from xinflight.errors import Unauthorised
from xinflight.gateway import Gateway
from xinflight.render import Viewer
from xinflight.words import choose_language

__all__ = ["COOKIE", "Authenticate", "Door"]

COOKIE = "xinflight"
"""The cookie that a browser gets for a token; scripts send the token as bearer."""

Authenticate = Callable[[web.Request, str | None], Awaitable[Identity | None]]


class Door:
    """One mounted gateway: its routes' names, and the checks that every request of it passes."""

    def __init__(self, gateway: Gateway, name: str, authenticate: Authenticate, *, check_host: bool) -> None:
        self.gateway = gateway
        self.name = name
        self.authenticate = authenticate
        self._check_host = check_host

    def check(self, request: web.Request) -> None:
        """Refuse a request from another website, or under a name that is not ours.

        Raises:
            HTTPForbidden: with the setting that would allow it.
        """
        settings = self.gateway.settings
        if self._check_host and not host_allowed(request.host, settings.allow_hosts):
            raise web.HTTPForbidden(text="This Host is not known here; see the setting allow_hosts.\n")
        if not origin_allowed(request.headers.get("Origin"), request.host, settings.allow_origins):
            raise web.HTTPForbidden(text="This Origin is not allowed here; see the setting allow_origins.\n")

    async def identity(self, request: web.Request) -> Identity:
        """Return who a request is from; raise Unauthorised for nobody."""
        identity = await self.authenticate(request, None)
        if identity is None:
            raise Unauthorised
        return identity

    async def owner(self, request: web.Request) -> str:
        """Return whose the tasks of a request are; raise Unauthorised for nobody."""
        return (await self.identity(request)).id

    def lang(self, request: web.Request) -> str:
        """Return the language that a request asks for."""
        wanted = request.query.get("lang") or request.headers.get("Accept-Language")
        return choose_language(wanted, self.gateway.settings.lang)

    def path(self, request: web.Request, route: str, **parts: str) -> str:
        """Return the path of one of our routes, prefixes of parent applications included."""
        return str(request.app.router[f"{self.name}:{route}"].url_for(**parts))

    def viewer(self, request: web.Request) -> Viewer:
        """Return whom a request's answers are written for; URLs of pictures are absolute."""
        marker = "0"
        path = self.path(request, "picture", picture_id=marker).removesuffix(marker)
        base = self._base(request)
        return self.gateway.viewer(self.lang(request), lambda picture_id: f"{base}{path}{picture_id}")

    def _base(self, request: web.Request) -> str:
        """Return what stands before our paths for whoever asks: the setting, or what the request says."""
        settings = self.gateway.settings
        if settings.public_url is not None:
            return settings.public_url.rstrip("/")
        if request.remote in settings.trusted_proxies:
            said = request.headers
            scheme = said.get("X-Forwarded-Proto", request.scheme)
            return f"{scheme}://{said.get('X-Forwarded-Host', request.host)}{said.get('X-Forwarded-Prefix', '')}"
        return f"{request.scheme}://{request.host}"
