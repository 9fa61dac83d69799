"""Response headers that limit what browsers do with a response, and what it tells about the server.

There is no Strict-Transport-Security: it binds a whole host name for months, with other services on other ports. That
is for whoever terminates TLS to decide, which is never this server.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import partial
from urllib.parse import quote

from aiohttp import hdrs, web

from xinflight.request_limits import rate_limit_fields
from xinflight.web.context import QUOTAS
from xinflight.web.request_ids import echo_request_id

__all__ = [
    "CLEAR_CACHE",
    "PLAYABLE",
    "PROTECTION",
    "PROTECTION_OF_PARTS",
    "VIEWABLE",
    "PartOfPage",
    "content_disposition",
    "protect",
    "protect_all",
]

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Policy for all that is no page: nothing in it may load, run or be framed, whatever a browser takes it for."""
VIEWABLE = {"Content-Security-Policy": f"{NOTHING}; style-src 'unsafe-inline'"}
"""For images: a browser that opens the address of one makes a page around it, and styles that to fit the window.
Without leave it complains of its own styles. Nothing in that page but pixels comes from here."""
PLAYABLE = {"Content-Security-Policy": f"{NOTHING}; style-src 'unsafe-inline'; media-src 'self'"}
"""For films: the page that a browser makes around one loads the film from its address, too."""
CLEAR_CACHE = {"Clear-Site-Data": '"cache"'}
"""Lets a browser delete what it keeps of this server's files (https://www.w3.org/TR/clear-site-data/)."""
PROTECTION = {
    # Pages have policies of their own.
    "Content-Security-Policy": NOTHING,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer, which makes browsers send the Origin `null`.
    "Referrer-Policy": "same-origin",
    # Other websites may embed only what a handler allows; CORS for `allow_origins` isn't affected by this header.
    "Cross-Origin-Resource-Policy": "same-origin",
    # A page that opened this one in a window has no handle of it.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
PROTECTION_OF_PARTS = {name: PROTECTION[name] for name in ("X-Content-Type-Options", "Cross-Origin-Resource-Policy")}
"""For scripts and stylesheets. The rest limits documents and workers; a browser shows these as text if it opens them,
and the page's only worker has a policy of its own. Other websites can't load them."""


class PartOfPage(web.Response):
    """A script or a stylesheet."""


def content_disposition(name: str) -> str:
    """Return the header that lets a browser save a response under a name of any script (RFC 6266, RFC 8187)."""
    plain = name if name.isascii() else unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    # What is left of a name without ASCII letters are the signs between them.
    header = f'attachment; filename="{re.sub("[-_]*_[-_]*", "_", plain)}"'
    return header if name.isascii() else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


def protect(app: web.Application, resources: Iterable[web.AbstractResource]) -> None:
    """Add the protective headers and the request id to every response of some resources, unless they are set."""
    app.on_response_prepare.append(partial(_protect_resources, frozenset(resources)))


async def _protect_resources(
    resources: Collection[web.AbstractResource], request: web.Request, response: web.StreamResponse
) -> None:
    if request.match_info.route.resource in resources:
        _add_protection(response)
        echo_request_id(request, response)
        response.headers.update(rate_limit_fields(request.get(QUOTAS, {})))


def protect_all(app: web.Application) -> None:
    """Add them to every response of an application, also where no route matches, and hide the server's versions."""
    app.on_response_prepare.append(_protect_response)


async def _protect_response(request: web.Request, response: web.StreamResponse) -> None:
    _add_protection(response)
    echo_request_id(request, response)
    response.headers.popall(hdrs.SERVER, None)


def _add_protection(response: web.StreamResponse) -> None:
    headers = response.headers
    protection = PROTECTION_OF_PARTS if isinstance(response, PartOfPage) else PROTECTION
    for name, value in protection.items():
        headers.setdefault(name, value)
