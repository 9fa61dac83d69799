"""What only admins may do over HTTP. Every action is logged with who did it."""

from typing import TypeVar

from aiohttp import web
from msgspec import Struct
from yarl import URL

from xinflight.auth import audit, check_admin
from xinflight.protocol import ListOwners, ListQueue, ServerStatus, UpstreamHealth, from_texts
from xinflight.render import upstream_status
from xinflight.web.bodies import PLAIN, respond
from xinflight.web.context import HttpContext, choose_type

__all__ = ["Admin"]

Query = TypeVar("Query", bound=Struct)


class Admin:
    """The handlers of `/api/v1/admin/`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def status(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /admin/status: return how Xinference and the server are, slots, and what failed lately."""
        await self._check(request)
        gateway = self._gateway
        status = ServerStatus(
            timestamp=gateway.clock.time(),
            upstream=self._upstream(self._context.lang(request)),
            pools=gateway.queue.pools(),
            failures=gateway.queue.failures(),
            connections=gateway.connections.count,
            storing=gateway.storing,
            failing=gateway.supervisor.failing,
            held=gateway.queue.held,
            draining=gateway.draining,
            drain=gateway.settings.drain,
            durable=gateway.journal.store.durable,
        )
        return respond(status)

    def _upstream(self, lang: str) -> UpstreamHealth:
        upstream = self._gateway.upstream
        told = upstream_status(upstream.state, lang)
        return UpstreamHealth(
            state=upstream.state,
            since=upstream.since,
            # Without a name and password.
            server=URL(self._gateway.settings.xinference_url).host_port_subcomponent or "",
            message=told.message,
            cure=told.cure,
            cause=upstream.cause,
        )

    async def queue(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /admin/queue: return what runs and is next of all owners, or what one has, without prompts."""
        await self._check(request)
        return respond(await self._gateway.queue.of_everybody(_query(request, ListQueue)))

    async def owners(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /admin/owners: return a page of the owners with unfinished work, by name."""
        await self._check(request)
        page = self._gateway.queue.owners(_query(request, ListOwners))
        for load in page.owners:
            load.connections = len(self._gateway.connections.of_owner(load.owner))
        return respond(page)

    async def hold(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /admin/hold: start nothing more until a release; work is accepted, and what runs goes on.

        Idempotent, and so is a release. A restart ends it.
        """
        return await self._hold(request, held=True)

    async def release(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /admin/release: let what waits take its turns again."""
        return await self._hold(request, held=False)

    async def _hold(self, request: web.Request, *, held: bool) -> web.StreamResponse:
        identity = await self._context.identity(request)
        check_admin(identity)
        audit(identity, "hold" if held else "release")
        self._gateway.queue.hold(held=held)
        return web.Response(status=204)

    async def drain(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /admin/drain: refuse new work and let running outputs finish; a standalone server then exits.

        Idempotent. Answered at once; `/readyz` returns 503 from now on.
        """
        identity = await self._context.identity(request)
        check_admin(identity)
        audit(identity, "drain")
        self._gateway.start_drain()
        return web.Response(status=202)

    async def _check(self, request: web.Request) -> None:
        """Raise Forbidden unless an admin asks, and NotAcceptable for another type than JSON."""
        check_admin(await self._context.identity(request))
        choose_type(request, (PLAIN,))


def _query(request: web.Request, kind: type[Query]) -> Query:
    """Return the query of a request; names that the kind does not have are ignored."""
    names = kind.__struct_fields__
    return from_texts({name: request.query[name] for name in names if name in request.query}, kind)
