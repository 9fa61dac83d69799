"""Pictures, and whether the server is well: what needs no log-in."""

import mimetypes

import msgspec
from aiohttp import web

from xinflight.gateway import Gateway
from xinflight.protocol import Health
from xinflight.web.context import HttpContext
from xinflight.web.errors import Handler

__all__ = ["PICTURE_ID", "health_handler", "picture_handler"]

PICTURE_ID = "[A-Za-z0-9_-]+"
"""What a picture's id is made of; nothing else of a path may reach the file system."""


def picture_handler(door: HttpContext) -> Handler:
    """Return the handler of one picture; its id can't be guessed, so whoever has the URL may see it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        # No log-in and no look at the Origin: the address is all that it takes.
        kept = await door.gateway.blobs.get(request.match_info["picture_id"])
        if kept is None:
            raise web.HTTPNotFound(text="There is no such picture.\n")
        suffix = mimetypes.guess_extension(kept.media_type) or ""
        name = f"xinflight-{request.match_info['picture_id'][:8]}{suffix}"
        headers = {
            "Content-Type": kept.media_type,
            "Content-Disposition": f'inline; filename="{name}"',
            "Cache-Control": "private, max-age=31536000, immutable",
            "Content-Security-Policy": "default-src 'none'",
            # Any page may show a picture whose address it was given.
            "Cross-Origin-Resource-Policy": "cross-origin",
            **door.cors(request),
        }
        if kept.path is not None:
            return web.FileResponse(kept.path, headers=headers)
        return web.Response(body=kept.data, headers=headers)

    return handle


def health_handler(door: HttpContext) -> Handler:
    """Return the handler of /healthz: 200 while work is taken, 503 while the server drains or can't store anything.

    Asks nobody else, neither Xinference nor the disk. A background task that failed is told as `degraded`: it is
    started again, and work is taken meanwhile.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        health = _health(door.gateway)
        status = 200 if health.status in ("ok", "degraded") else 503
        return web.Response(body=msgspec.json.encode(health), status=status, content_type="application/json")

    return handle


def _health(gateway: Gateway) -> Health:
    failing, upstream = gateway.supervisor.failing, gateway.upstream.state
    if gateway.draining:
        return Health(status="draining", upstream=upstream, failing=failing)
    if not gateway.storing:
        return Health(status="storage_unavailable", upstream=upstream, failing=failing)
    return Health(status="degraded" if failing else "ok", upstream=upstream, failing=failing)
