"""What one client may use at a time: requests per minute and connections, per owner and per address.

An address is that of the client behind trusted proxies; addresses of IPv6 count by their /64, which one client has
all of. Loopback has no limits per address: it is either this machine or a proxy that the settings don't name, which
stands for everybody.
"""

import ipaddress
import math
from collections import Counter
from contextlib import AbstractContextManager
from functools import lru_cache

from xinflight.clock import Clock
from xinflight.errors import RateLimited, TooManyConnections
from xinflight.rate_limit import PERIOD, Quota, RateLimit
from xinflight.settings import Settings

__all__ = ["ClientMeter", "Quotas", "RequestLimits", "address_key", "rate_limit_fields"]

Quotas = dict[str, Quota]
"""The quotas that a request was counted against, by name."""

ALL = ""
"""The key under which all connections are counted."""
REFUSED_PER_MINUTE = 300
"""Messages beyond the limit that one connection may send per minute, each answered by an error; with one more the
connection is a flood, which is closed."""


# The same ones with every request and message. Bounded; an address from a header has at most 8 KB.
@lru_cache(maxsize=1024)
def address_key(address: str | None) -> str | None:
    """Return what requests of an address are counted under, or None for loopback, and where there is no address."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return None if ip.is_loopback else str(ipaddress.ip_network((ip, 64), strict=False))
        ip = ip.ipv4_mapped
    return None if ip.is_loopback else str(ip)


class RequestLimits:
    """Count the requests and connections of all clients against the settings."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._by_owner = _limit(settings.requests_per_minute)
        self._by_address = _limit(settings.requests_per_minute_per_address)
        # All bounded by `connections`.
        self._open: Counter[str] = Counter()
        self._open_by_owner: Counter[str] = Counter()
        self._open_by_address: Counter[str] = Counter()

    def reload(self) -> None:
        """Begin to count against the settings as they are now; a limit that is the same counts on."""
        self._by_owner = _limit(self._settings.requests_per_minute, self._by_owner)
        self._by_address = _limit(self._settings.requests_per_minute_per_address, self._by_address)

    def count_address(self, address: str | None, quotas: Quotas) -> None:
        """Count a request of an address and note its quota as `address`, if it has one. Raises RateLimited."""
        key = None if self._by_address is None else address_key(address)
        if self._by_address is not None and key is not None:
            quotas["address"] = self._by_address.use(key, self._clock.monotonic())
            _check("address", quotas["address"])

    def count_owner(self, owner: str, quotas: Quotas) -> None:
        """Count a request of an owner and note its quota as `owner`, if there is one. Raises RateLimited."""
        if self._by_owner is not None:
            quotas["owner"] = self._by_owner.use(owner, self._clock.monotonic())
            _check("owner", quotas["owner"])

    def connection(self, address: str | None) -> AbstractContextManager[None]:
        """Count a connection in the block that follows; may raise TooManyConnections, also for its address alone.

        For WebSockets from the handshake on, before it is known whose they are, and for streaming responses.
        """
        _check_room(self._open, ALL, self._settings.connections, "connections")
        key = address_key(address)
        if key is None:
            return _Counted((self._open, ALL))
        _check_room(self._open_by_address, key, self._settings.connections_per_address, "connections per address")
        return _Counted((self._open, ALL), (self._open_by_address, key))

    def connection_of(self, owner: str) -> AbstractContextManager[None]:
        """Count a connection of an owner in the block that follows; may raise TooManyConnections."""
        _check_room(self._open_by_owner, owner, self._settings.connections_per_owner, "connections per owner")
        return _Counted((self._open_by_owner, owner))


def _limit(per_minute: int | None, before: RateLimit | None = None) -> RateLimit | None:
    if before is not None and before.limit == per_minute:
        return before
    return RateLimit(per_minute) if per_minute else None


def _check(name: str, quota: Quota) -> None:
    if quota.retry_after:
        raise RateLimited(limit=f"{quota.limit} per minute and {name}", retry_after=quota.retry_after)


def _check_room(count: Counter[str], key: str, most: int | None, what: str) -> None:
    if most and count[key] >= most:
        raise TooManyConnections(limit=f"{most} {what}")


class _Counted(AbstractContextManager[None]):
    """Count one more of each key inside the block. Without a limit, too: there may be one tomorrow.

    A generator with `contextmanager` would take 500 bytes of every idle connection.
    """

    __slots__ = ("_counts",)

    def __init__(self, *counts: tuple[Counter[str], str]) -> None:
        self._counts = counts

    def __enter__(self) -> None:
        for count, key in self._counts:
            count[key] += 1

    def __exit__(self, *_: object) -> None:
        for count, key in self._counts:
            count[key] -= 1
            if not count[key]:
                del count[key]


class ClientMeter:
    """Count the messages of one connection, and what it sends beyond the limits."""

    __slots__ = ("_clock", "_limits", "_owner", "_refused", "address", "flooding")

    def __init__(self, limits: RequestLimits, owner: str, address: str | None, clock: Clock) -> None:
        self._limits = limits
        self._owner = owner
        self.address = address
        self._clock = clock
        self._refused: RateLimit | None = None
        self.flooding = False
        """Whether the client sent so much beyond its limits that it should be disconnected."""

    def count(self) -> RateLimited | None:
        """Count a message; return the error for it if it is one too many."""
        try:
            self._limits.count_address(self.address, {})
            self._limits.count_owner(self._owner, {})
        except RateLimited as error:
            if self._refused is None:
                self._refused = RateLimit(REFUSED_PER_MINUTE)
            self.flooding = self._refused.use("", self._clock.monotonic()).retry_after > 0
            return error
        return None


def rate_limit_fields(quotas: Quotas) -> dict[str, str]:
    """Return the fields RateLimit and RateLimit-Policy for quotas by name.

    Structured fields as in draft-ietf-httpapi-ratelimit-headers-11; empty without quotas. `t` is the effective
    window, in which no more than `r` requests are allowed: with nothing left it ends when Retry-After does.
    """
    if not quotas:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{name}";q={quota.limit};w={PERIOD:.0f}' for name, quota in quotas.items()),
        "RateLimit": ", ".join(
            f'"{name}";r={quota.remaining};t={math.ceil(quota.window)}' for name, quota in quotas.items()
        ),
    }
