"""Response headers that keep browsers from making more of an answer than it is."""

from collections.abc import Iterable

from aiohttp import hdrs, web

__all__ = ["hide_versions", "protect"]

_PROTECTION = {
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send the Origin `null`.
    "Referrer-Policy": "same-origin",
    # Other websites may embed only what says otherwise; those of `allow_origins` use CORS, which this does not touch.
    "Cross-Origin-Resource-Policy": "same-origin",
}


def protect(app: web.Application, resources: Iterable[web.AbstractResource]) -> None:
    """Add the headers to every answer of some resources of an application, where a handler has not set its own."""
    ours = frozenset(resources)

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        if request.match_info.route.resource in ours:
            for name, value in _PROTECTION.items():
                response.headers.setdefault(name, value)

    app.on_response_prepare.append(add)


def hide_versions(app: web.Application) -> None:
    """Leave out of every answer of an application which versions of Python and aiohttp run it."""

    async def remove(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.popall(hdrs.SERVER, None)

    app.on_response_prepare.append(remove)
