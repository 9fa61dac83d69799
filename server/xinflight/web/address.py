"""The address at which a client reached the server, behind proxies too, and the checks of Host and Origin."""

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

    def public(self, request: web.Request) -> PublicAddress:
        """Return the address for URLs in the response to a request."""
        return self._public or self._reached(request)

    def client(self, request: web.Request) -> str | None:
        """Return the address of the client, behind trusted proxies too; None where there is none (a Unix socket)."""
        # Each proxy may add a header of its own: together they are one list (RFC 9110 section 5.3).
        forwarded_for = ",".join(request.headers.getall("X-Forwarded-For", ()))
        return client_address(request.remote, forwarded_for, self._proxies)

    def foreign(self, request: web.Request) -> bool:
        """Return whether a request is from a page at another address than the URLs in its response.

        Browsers may send no credentials with the images of such a page.
        """
        return not origin_allowed(request.headers.get(hdrs.ORIGIN), {self.public(request).host}, ())

    def forbidden(self, request: web.Request) -> Forbidden | None:
        """Return the error for a request from another website or to an unknown host name, or None if allowed."""
        reached = self._reached(request)
        if self._check_host and not (
            host_allowed(request.host, self._hosts) and host_allowed(reached.host, self._hosts)
        ):
            return Forbidden(field="Host", limit="the setting allow_hosts")
        # A proxy may send its own name for the server as Host (nginx does by default), so both names are accepted.
        own = {address.host.lower(): address.scheme for address in (reached, self._public) if address is not None}
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin.lower().startswith("http:"):
            # Not where the server has TLS: whoever controls the network could have put that page there.
            own = {host: scheme for host, scheme in own.items() if scheme != "https"}
        if not origin_allowed(origin, own, self._origins):
            return Forbidden(field="Origin", limit="the setting allow_origins")
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
