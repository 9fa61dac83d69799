"""What only admins may do over HTTP. Every action is logged with who did it."""

from aiohttp import web

from xinflight.auth import audit, check_admin
from xinflight.web.context import HttpContext

__all__ = ["Admin"]


class Admin:
    """The handlers of `/api/v1/admin/`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def drain(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /admin/drain: refuse new work and let running outputs finish; a standalone server then exits.

        Idempotent. Answered at once; `/healthz` says `draining` from now on.
        """
        identity = await self._context.identity(request)
        check_admin(identity)
        audit(identity, "drain")
        self._gateway.start_drain()
        return web.Response(status=202)
