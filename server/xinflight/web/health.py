"""Health checks for load balancers and process supervisors."""

import msgspec
from aiohttp import web

from xinflight.protocol import Health, UpstreamState
from xinflight.web.context import HttpContext

__all__ = ["HealthCheck"]


class HealthCheck:
    """Report how the gateway is. Needs no credentials, and asks neither Xinference nor the disk."""

    def __init__(self, context: HttpContext) -> None:
        self._gateway = context.gateway

    async def live(self, request: web.Request) -> web.Response:
        """Handle GET /healthz: 200 as long as the process responds, whatever is wrong around it.

        Never 503: a supervisor restarts what is not alive, and a restart would cut a drain short, and helps neither
        against a full disk nor against an Xinference that is away.
        """
        return _response(self._health(), 200)

    async def ready(self, request: web.Request) -> web.Response:
        """Handle GET /readyz: 200 while work is accepted, 503 while the server drains or can't store anything.

        200 also while Xinference is away: tasks are accepted and wait for it, and those that are finished are there.
        """
        health = self._health()
        return _response(health, 200 if health.status in ("ok", "degraded") else 503)

    def _health(self) -> Health:
        failing, upstream = self._gateway.supervisor.failing, self._gateway.upstream.state
        if self._gateway.draining:
            return Health(status="draining", upstream=upstream, failing=failing)
        if not self._gateway.storing:
            return Health(status="storage_unavailable", upstream=upstream, failing=failing)
        well = upstream is UpstreamState.READY and not failing
        return Health(status="ok" if well else "degraded", upstream=upstream, failing=failing)


def _response(health: Health, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(health), status=status, content_type="application/json")
