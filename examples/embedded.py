"""An aiohttp service with xinflight embedded, using its own users and routes.

Run it with `python examples/embedded.py`. `GET /poster?prompt=...` with the header `X-User` returns an image, and
`/images/ws/generate` is the same WebSocket as that of `xinflight serve`.
"""

from aiohttp import web

import xinflight
from xinflight.protocol import OutputEvent

GATEWAY = web.AppKey("gateway", xinflight.Gateway)


async def who(request: web.Request, token: str | None) -> xinflight.Identity | None:
    """Return the owner of a request, or None to reject it. Use your own log-in here: a header proves nothing."""
    name = request.headers.get("X-User")
    return xinflight.Identity(id=name) if name else None


async def poster(request: web.Request) -> web.Response:
    """Generate one image and return it."""
    user = await who(request, None)
    if user is None:
        raise web.HTTPUnauthorized
    gateway = request.app[GATEWAY]
    image = data = None
    try:
        async for event in gateway.generate(prompt=request.query.get("prompt", ""), size="512x512", owner=user.id):
            if isinstance(event, OutputEvent):
                image, data = event, await gateway.read(event)
    except xinflight.XinflightError as error:
        raise web.HTTPBadRequest(text=f"{error.code} {error.field or ''}\n") from None
    await gateway.notify(user.id, "Your poster is finished")
    if image is None or data is None:
        raise web.HTTPBadGateway(text="No image was generated.\n")
    return web.Response(body=data, content_type=image.media_type)


def create_app(settings: xinflight.Settings) -> web.Application:
    """Mount the gateway at /images, beside a route of the service."""
    app = web.Application()
    app[GATEWAY] = xinflight.setup(app, settings, prefix="/images", authenticate=who)
    app.router.add_get("/poster", poster)
    return app


if __name__ == "__main__":
    web.run_app(create_app(xinflight.Settings(xinference_url="http://localhost:9997")), host="127.0.0.1", port=8080)
