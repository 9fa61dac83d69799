"""A service of one's own with xinflight inside: its users, its routes, its words.

Run it with `python examples/embedded.py`; `GET /poster?prompt=...` with the header `X-User` answers a picture, and
`/images/ws/generate` is the same WebSocket that `xinflight serve` has.
"""

from aiohttp import web

import xinflight
from xinflight.protocol import Picture

GATEWAY = web.AppKey("gateway", xinflight.Gateway)


async def who(request: web.Request, token: str | None) -> xinflight.Identity | None:
    """Say whose a request is; None turns it away. Put your own log-in here: a header alone proves nothing."""
    name = request.headers.get("X-User")
    return xinflight.Identity(id=name) if name else None


async def poster(request: web.Request) -> web.Response:
    """Make one picture and answer with it."""
    user = await who(request, None)
    if user is None:
        raise web.HTTPUnauthorized
    gateway = request.app[GATEWAY]
    picture = data = None
    try:
        async for event in gateway.generate(prompt=request.query.get("prompt", ""), size="512x512", owner=user.id):
            if isinstance(event, Picture):
                picture, data = event, await gateway.read(event)
    except xinflight.XinflightError as error:
        raise web.HTTPBadRequest(text=f"{error.code} {error.field or ''}\n") from None
    await gateway.notify(user.id, "Your poster is finished")
    if picture is None or data is None:
        raise web.HTTPBadGateway(text="No picture was made.\n")
    return web.Response(body=data, content_type=picture.media_type)


def create_app(settings: xinflight.Settings) -> web.Application:
    """Put the gateway below /images, beside a route of our own."""
    app = web.Application()
    app[GATEWAY] = xinflight.setup(app, settings, prefix="/images", authenticate=who)
    app.router.add_get("/poster", poster)
    return app


if __name__ == "__main__":
    web.run_app(create_app(xinflight.Settings(xinference_url="http://localhost:9997")), host="127.0.0.1", port=8080)
