"""Health checks for load balancers and process supervisors."""

import msgspec
from aiohttp import web

from xinflight.protocol import Health
from xinflight.web.context import HttpContext

__all__ = ["HealthCheck"]


class HealthCheck:
    """Report whether the gateway accepts work. Needs no credentials, and asks neither Xinference nor the disk."""

    def __init__(self, context: HttpContext) -> None:
        self._gateway = context.gateway

    async def status(self, request: web.Request) -> web.Response:
        """Handle GET /healthz: 200 while work is accepted, 503 while the server drains or can't store anything.

        A background task that failed is reported as `degraded`: it is restarted, and work is accepted meanwhile.
        """
        health = self._health()
        status = 200 if health.status in ("ok", "degraded") else 503
        return web.Response(body=msgspec.json.encode(health), status=status, content_type="application/json")

    def _health(self) -> Health:
        failing, upstream = self._gateway.supervisor.failing, self._gateway.upstream.state
        if self._gateway.draining:
            return Health(status="draining", upstream=upstream, failing=failing)
        if not self._gateway.storing:
            return Health(status="storage_unavailable", upstream=upstream, failing=failing)
        return Health(status="degraded" if failing else "ok", upstream=upstream, failing=failing)
