"""The address at which a client reached the server, behind proxies too, and the checks of Host and Origin."""

from functools import lru_cache
from typing import Literal

from aiohttp import hdrs, web

from xinflight.errors import Forbidden
from xinflight.forwarded import (
    PublicAddress,
    client_address,
    in_networks,
    public_address,
    read_network,
    read_public_url,
)
from xinflight.settings import Settings
from xinflight.web.origins import host_allowed, origin_allowed

__all__ = ["Addresses"]

_SETTINGS = {"Host": "allow_hosts", "Origin": "allow_origins"}
"""The setting that would allow what a header names."""


class Addresses:
    """The public address of one mounted gateway, by its settings and the headers of a request."""

    def __init__(self, settings: Settings, *, check_host: bool) -> None:
        self._check_host = check_host
        self._origins = settings.allow_origins
        self._proxies = [read_network(text) for text in settings.trusted_proxies]
        self._public = None if settings.public_url is None else read_public_url(settings.public_url)
        self._hosts = {name.lower() for name in (*settings.allow_hosts, settings.host)}
        if self._public is not None:
            self._hosts.add(self._public.hostname)
        # Clients send the same headers with every request. Bounded; each of them has at most 8 KB.
        self._refused_field = lru_cache(maxsize=256)(self._check)

    def public(self, request: web.Request) -> PublicAddress:
        """Return the address for URLs in the response to a request."""
        return self._public or self._reached(request)

    def client(self, request: web.Request) -> str | None:
        """Return the address of the client, behind trusted proxies too; None where there is none (a Unix socket)."""
        if not self._proxies:
            return request.remote
        # Each proxy may add a header of its own: together they are one list (RFC 9110 section 5.3).
        forwarded_for = ",".join(request.headers.getall("X-Forwarded-For", ()))
        return client_address(request.remote, forwarded_for, self._proxies)

    def known_client(self, request: web.Request) -> str | None:
        """Return the address of the client, or None if a proxy that is not trusted may stand between."""
        forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
        return None if forwarded and not in_networks(request.remote, self._proxies) else self.client(request)

    def foreign(self, request: web.Request) -> bool:
        """Return whether a request is from a page at another address than the URLs in its response.

        Browsers may send no credentials with the images of such a page.
        """
        return not origin_allowed(request.headers.get(hdrs.ORIGIN), {self.public(request).host}, ())

    def forbidden(self, request: web.Request) -> Forbidden | None:
        """Return the error for a request from another website or to an unknown host name, or None if allowed."""
        field = self._refused_field(request.host, self._reached(request), request.headers.get(hdrs.ORIGIN))
        return None if field is None else Forbidden(field=field, limit=f"the setting {_SETTINGS[field]}")

    def _check(self, host: str, reached: PublicAddress, origin: str | None) -> Literal["Host", "Origin"] | None:
        """Return the header for which a request is refused, or None. Depends on nothing but settings."""
        if self._check_host and not (host_allowed(host, self._hosts) and host_allowed(reached.host, self._hosts)):
            return "Host"
        # A proxy may send its own name for the server as Host (nginx does by default), so both names are accepted.
        own = {address.host.lower(): address.scheme for address in (reached, self._public) if address is not None}
        if origin is not None and origin.lower().startswith("http:"):
            # Not where the server has TLS: whoever controls the network could have put that page there.
            own = {host: scheme for host, scheme in own.items() if scheme != "https"}
        if not origin_allowed(origin, own, self._origins):
            return "Origin"
        return None

    def from_browser_page(self, request: web.Request) -> bool:
        """Return whether a browser says that a page of this server, or of `allow_origins`, sent a request.

        The request must have been checked by `forbidden`.
        """
        # Over plain HTTP, browsers send Sec-Fetch-Site to localhost only.
        return hdrs.ORIGIN in request.headers or request.headers.get("Sec-Fetch-Site") == "same-origin"

    def _reached(self, request: web.Request) -> PublicAddress:
        """Return the address in a request's own headers, or in those that a trusted proxy added."""
        seen = PublicAddress(request.scheme, request.host)
        return public_address(request.headers, seen) if in_networks(request.remote, self._proxies) else seen
