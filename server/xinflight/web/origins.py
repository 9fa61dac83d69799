"""The checks of Host and Origin. Independent of aiohttp.

Any website can make a browser connect to a server on loopback, also by a host name of its own that resolves to
127.0.0.1 (DNS rebinding). So the Origin must be the server's own (RFC 6454, RFC 6455 section 10.2), and the Host a
known name.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

__all__ = ["SAFE", "host_allowed", "is_loopback", "origin_allowed"]

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing (RFC 9110 section 9.2.1), so another website gains nothing by causing a request."""

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_loopback(host: str) -> bool:
    """Return whether a server bound to `host` can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_allowed(host: str, allowed: Collection[str]) -> bool:
    """Return whether a Host header is allowed: an IP address, localhost, or a name in the settings."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name.endswith(".localhost") or name in allowed:
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_allowed(origin: str | None, hosts: Collection[str], allowed: Collection[str]) -> bool:
    """Return whether an Origin is allowed: none (not a browser), the server's own, or one in the settings."""
    if origin is None or origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    # Browsers omit the default port, some proxies don't.
    return default is not None and any(
        parts.netloc.lower().removesuffix(default) == host.lower().removesuffix(default) for host in hosts
    )
