"""What the handlers share: the gateway of a request, who it is from, and whether it may come."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

from aiohttp import hdrs, web

from xinflight.clock import Clock
from xinflight.errors import BodyTimeout, NotAcceptable, TooManyConnections, Unauthorised
from xinflight.gateway import Gateway
from xinflight.i18n import choose_language
from xinflight.negotiation import preferred_type
from xinflight.protocol import Delete, from_texts
from xinflight.render import RenderContext
from xinflight.web.address import Addresses
from xinflight.web.auth import Identity

__all__ = ["Authenticate", "HttpContext", "body_in_time", "choose_type", "preflight_handler", "task_id_of"]

Authenticate = Callable[[web.Request, str | None], Awaitable[Identity | None]]

BODY_SECONDS = 60.0
"""Seconds that the body of a request may take, as nginx has it: most have arrived with the head."""


class HttpContext:
    """One mounted gateway: its routes' names, and the checks that every request of it passes."""

    def __init__(self, gateway: Gateway, name: str, authenticate: Authenticate, addresses: Addresses) -> None:
        self.gateway = gateway
        self.name = name
        self.authenticate = authenticate
        self.addresses = addresses

    def check(self, request: web.Request) -> None:
        """Refuse what is forbidden in words; raise HTTPForbidden with the setting that would allow it."""
        refusal = self.addresses.forbidden(request)
        if refusal is not None:
            raise web.HTTPForbidden(text=f"This {refusal.field} is not allowed here; see {refusal.limit}.\n")

    def cors(self, request: web.Request) -> dict[str, str]:
        """Return the headers that let a page of the setting `allow_origins` read an answer (Fetch section 3.3)."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin not in self.gateway.settings.allow_origins:
            return {hdrs.VARY: hdrs.ORIGIN}
        return {
            hdrs.VARY: hdrs.ORIGIN,
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
            # The same pages may open a WebSocket, which carries cookies without asking.
            hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true",
            hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Location, Link, Retry-After, Xinflight-Cursor",
        }

    def check_room(self) -> None:
        """Raise TooManyConnections when there is no room for one more answer that goes on."""
        if self.gateway.full:
            raise TooManyConnections(limit=f"{self.gateway.settings.connections} connections")

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

    def url(self, request: web.Request, route: str, **parts: str) -> str:
        """Return the absolute URL of one of our routes, as whoever asks reaches it."""
        return self.addresses.public(request).url + self.path(request, route, **parts)

    def render_context(self, request: web.Request) -> RenderContext:
        """Return whom a request's answers are written for; URLs of pictures are absolute."""
        marker = "0"
        url = self.url(request, "picture", picture_id=marker).removesuffix(marker)
        return self.gateway.render_context(self.lang(request), lambda picture_id: f"{url}{picture_id}")


def choose_type(request: web.Request, offered: tuple[str, ...]) -> str:
    """Return the media type that a request prefers of those offered; raise NotAcceptable when it wants none."""
    chosen = preferred_type(request.headers.getall(hdrs.ACCEPT, []), offered)
    if chosen is None:
        raise NotAcceptable(field="Accept", limit=", ".join(offered))
    return chosen


@asynccontextmanager
async def body_in_time(clock: Clock) -> AsyncIterator[None]:
    """Read a body inside the block; raise BodyTimeout when it does not come in time."""
    try:
        async with clock.timeout(BODY_SECONDS):
            yield
    except TimeoutError:
        raise BodyTimeout(limit=f"{BODY_SECONDS:g} s") from None


def task_id_of(request: web.Request) -> str:
    """Return the task id of a request's path; raise BadTaskId for what can't be one."""
    return from_texts({"task_id": request.match_info["task_id"]}, Delete).task_id


def preflight_handler(
    door: HttpContext, methods: Collection[str]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of OPTIONS: what a page of the setting `allow_origins` may send (Fetch section 3.3.2).

    It asks for no log-in, since browsers send none with it.
    """
    allow = ", ".join(methods)

    async def handle(request: web.Request) -> web.Response:
        door.check(request)
        headers = {hdrs.ALLOW: allow, **door.cors(request)}
        if hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in headers:
            headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = allow
            # Whatever is asked for: OpenAI's clients send a dozen of their own, and the page is trusted.
            asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
            if asked is not None:
                headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked
            headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"
        return web.Response(status=204, headers=headers)

    return handle
