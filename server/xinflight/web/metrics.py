"""Metrics for Prometheus, closed to strangers."""

from aiohttp import hdrs, web

from xinflight.auth import check_admin
from xinflight.errors import Forbidden
from xinflight.forwarded import in_networks, read_network
from xinflight.metrics import Metrics
from xinflight.web.context import HttpContext
from xinflight.web.origins import is_loopback

__all__ = ["MetricsApi"]


class MetricsApi:
    """The handler of `/metrics`."""

    def __init__(self, context: HttpContext, metrics: Metrics) -> None:
        self._context = context
        self._metrics = metrics
        self._networks = [read_network(text) for text in context.gateway.settings.metrics_networks]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /metrics: return all metrics in Prometheus' text format, or in OpenMetrics if that is accepted.

        Raises:
            Unauthorised, TokenExpired, RateLimited: as for any request that needs credentials.
            Forbidden: the caller is neither an admin nor in one of `metrics_networks`.
        """
        await self._check_allowed(request)
        body, content_type = await self._metrics.expose(",".join(request.headers.getall(hdrs.ACCEPT, ())))
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"}
        return web.Response(body=body, headers=headers)

    async def _check_allowed(self, request: web.Request) -> None:
        client = self._context.addresses.known_client(request)
        if in_networks(client, self._networks):
            return
        check_admin(await self._context.identity(request))
        if self._context.login.mode == "none" and not is_loopback(client or ""):
            # Without a log-in everybody is an admin, also whoever comes through a proxy.
            raise Forbidden(field="address", limit="the setting metrics_networks")
