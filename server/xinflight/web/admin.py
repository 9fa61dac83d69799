"""What only admins may do over HTTP. Every action is logged with who did it."""

from aiohttp import web

from xinflight.auth import audit, check_admin
from xinflight.protocol import ListQueue, from_texts
from xinflight.web.bodies import PLAIN, respond
from xinflight.web.context import HttpContext, choose_type

__all__ = ["Admin"]

PAGING = ("cursor", "limit")


class Admin:
    """The handlers of `/api/v1/admin/`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def queue(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /admin/queue: return what runs and a page of what waits, of all owners, without prompts."""
        check_admin(await self._context.identity(request))
        choose_type(request, (PLAIN,))
        query = from_texts({name: request.query[name] for name in PAGING if name in request.query}, ListQueue)
        return respond(await self._gateway.queue.of_everybody(after=int(query.cursor or 0), limit=query.limit))

    async def drain(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /admin/drain: refuse new work and let running outputs finish; a standalone server then exits.

        Idempotent. Answered at once; `/readyz` returns 503 from now on.
        """
        identity = await self._context.identity(request)
        check_admin(identity)
        audit(identity, "drain")
        self._gateway.start_drain()
        return web.Response(status=202)
