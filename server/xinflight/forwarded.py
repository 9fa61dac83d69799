"""Public address of the server, from the X-Forwarded-* headers of trusted proxies. Does not use aiohttp.

The headers are a convention without a standard: a value may be a list to which each proxy appended, so the first
entry is from the outermost proxy. Anyone can send these headers, so only those of a trusted peer are used.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from msgspec import Struct

__all__ = [
    "Network",
    "PublicAddress",
    "client_address",
    "in_networks",
    "public_address",
    "read_network",
    "read_public_url",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
# Some proxies add a port: 192.0.2.1:4711, [2001:db8::1]:4711.
_ADDRESS = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)", re.ASCII)
_PREFIX = re.compile(r"(?:/[\w.~%@:+-]+)+", re.ASCII)


class PublicAddress(Struct, frozen=True):
    """Scheme, host with port, and path prefix (empty, or `/x` without a trailing slash)."""

    scheme: str
    host: str
    prefix: str = ""

    @property
    def url(self) -> str:
        """Base URL of all routes, without a trailing slash."""
        return f"{self.scheme}://{self.host}{self.prefix}"

    @property
    def hostname(self) -> str:
        """Host without port."""
        return urlsplit(f"//{self.host}").hostname or ""

    @property
    def port(self) -> int:
        """Port, by default that of the scheme."""
        try:
            port = urlsplit(f"//{self.host}").port
        except ValueError:
            port = None
        return port or (443 if self.scheme == "https" else 80)


def read_network(text: str) -> Network:
    """Parse an address (`127.0.0.1`) or a network (`10.0.0.0/8`, `fd00::/8`); raise ValueError for anything else."""
    return ipaddress.ip_network(text, strict=False)


def read_public_url(text: str) -> PublicAddress:
    """Parse a URL that consists of scheme, host and prefix; raise ValueError for anything else."""
    parts = urlsplit(text)
    prefix = parts.path.rstrip("/")
    if (
        parts.scheme not in ("http", "https")
        or not _HOST.fullmatch(parts.netloc)
        or (prefix and not _PREFIX.fullmatch(prefix))
        or parts.query
        or parts.fragment
    ):
        raise ValueError(f"{text!r} is no URL like https://example.org/prefix")
    return PublicAddress(parts.scheme, parts.netloc, prefix)


def in_networks(address: str | None, networks: Collection[Network]) -> bool:
    """Return whether the address of a peer is in one of the networks."""
    peer = _read_address(address) if networks and address is not None else None
    return peer is not None and any(peer in network for network in networks)


# The same few with every request. Bounded; an address from a header has at most 8 KB.
@lru_cache(maxsize=1024)
def _read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse the address of a peer, or return None. A socket bound to `::` reports IPv4 peers as ::ffff:10.0.0.1."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def client_address(peer: str | None, forwarded_for: str, proxies: Collection[Network]) -> str | None:
    """Return the address of a client: the peer's, or of what trusted proxies say the last that is no proxy's.

    A proxy appends the address of its own client to X-Forwarded-For, so only the entries from the right are from
    trusted proxies; those before the first untrusted address are whatever that client sent. If an entry is no
    address, it is not known whom the proxy that wrote it served: the address of that proxy is returned.
    """
    address = peer
    for entry in reversed(forwarded_for.split(",")):
        if not in_networks(address, proxies):
            break
        match = _ADDRESS.fullmatch(entry.strip())
        named = next(filter(None, match.groups()), "") if match is not None else ""
        if _read_address(named) is None:
            break
        address = named
    return address


def public_address(headers: Mapping[str, str], seen: PublicAddress) -> PublicAddress:
    """Return the public address from the headers of a trusted proxy. Missing or invalid parts are those of `seen`."""
    scheme = _first(headers.get("X-Forwarded-Proto")).lower()
    host = _first(headers.get("X-Forwarded-Host"))
    prefix = _first(headers.get("X-Forwarded-Prefix")).rstrip("/")
    return PublicAddress(
        scheme if scheme in ("http", "https") else seen.scheme,
        host if _HOST.fullmatch(host) else seen.host,
        prefix if _PREFIX.fullmatch(prefix) else seen.prefix,
    )


def _first(header: str | None) -> str:
    return (header or "").partition(",")[0].strip()
