"""Response headers that limit what browsers do with a response."""

from collections.abc import Collection, Iterable
from functools import partial

from aiohttp import hdrs, web

from xinflight.request_limits import rate_limit_fields
from xinflight.web.context import QUOTAS

__all__ = ["hide_versions", "protect"]

_PROTECTION = {
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer, which makes browsers send the Origin `null`.
    "Referrer-Policy": "same-origin",
    # Other websites may embed only what a handler allows; CORS for `allow_origins` isn't affected by this header.
    "Cross-Origin-Resource-Policy": "same-origin",
}


def protect(app: web.Application, resources: Iterable[web.AbstractResource]) -> None:
    """Add the protective headers to every response of some resources, unless the handler has set them itself."""
    app.on_response_prepare.append(partial(_add_protection, frozenset(resources)))


async def _add_protection(
    resources: Collection[web.AbstractResource], request: web.Request, response: web.StreamResponse
) -> None:
    if request.match_info.route.resource in resources:
        for name, value in _PROTECTION.items():
            response.headers.setdefault(name, value)
        response.headers.update(rate_limit_fields(request.get(QUOTAS, {})))


def hide_versions(app: web.Application) -> None:
    """Remove the header that names the versions of Python and aiohttp from every response of an application."""
    app.on_response_prepare.append(_remove_server)


async def _remove_server(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall(hdrs.SERVER, None)
