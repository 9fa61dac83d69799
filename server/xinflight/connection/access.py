"""Whether a connection may go on: its credentials may expire, be renewed, or be revoked."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from xinflight.auth import Grant, Identity
from xinflight.clock import Clock, Timer
from xinflight.errors import Forbidden, TokenExpired, Unauthorised

__all__ = ["EXPIRES_SOON", "Access", "AccessHost"]

EXPIRES_SOON = 60.0
"""Seconds before the expiry at which the client is told."""
CHECK = 30.0
"""Seconds between two looks at the time of day, which may jump: a timer over the whole time would not notice."""

Authenticate = Callable[[str], Awaitable[Grant]]
OnRevoked = Callable[[Grant, Callable[[], None]], Callable[[], None]]


class AccessHost(Protocol):
    """A connection, as its access sees it. Both methods return at once."""

    def access_expires(self, seconds: float) -> None:
        """Tell the client that the credentials expire soon."""

    def access_ended(self, error: TokenExpired | Unauthorised) -> None:
        """End the connection: the credentials have expired, or were revoked."""


class Access:
    """The grant of one connection.

    `authenticate(token)` returns the grant for a token, or raises what `Authenticator.authenticate` raises;
    `on_revoked` is that of the authenticator.
    """

    __slots__ = ("_authenticate", "_clock", "_grant", "_host", "_notified", "_on_revoked", "_stop_watching", "_timer")

    def __init__(self, grant: Grant, authenticate: Authenticate, on_revoked: OnRevoked, clock: Clock) -> None:
        self._grant = grant
        self._authenticate = authenticate
        self._on_revoked = on_revoked
        self._clock = clock
        self._host: AccessHost | None = None
        self._notified = False
        self._timer: Timer | None = None
        self._stop_watching: Callable[[], None] | None = None

    @property
    def identity(self) -> Identity:
        """Who the connection belongs to. Its owner never changes."""
        return self._grant.identity

    async def renew(self, token: str) -> None:
        """Continue with another token of the same owner.

        Raises:
            Forbidden: the token belongs to another owner.
            Unauthorised, TokenExpired, RateLimited: the token is not valid, or was not checked.
        """
        grant = await self._authenticate(token)
        if grant.identity.id != self.identity.id:
            # The subscriptions and the client's cursor are the present owner's.
            raise Forbidden(field="token", limit="a token of the same owner")
        host = self._host
        self.unwatch()
        self._grant = grant
        if host is not None:
            self.watch(host)

    @contextmanager
    def watched(self, host: AccessHost) -> Iterator[None]:
        """Notify the host inside the block: EXPIRES_SOON or less before the expiry, then, and of a revocation."""
        self.watch(host)
        try:
            yield
        finally:
            self.unwatch()

    def watch(self, host: AccessHost) -> None:
        """Do what `watched` does until `unwatch`: its generator takes 500 bytes, and most connections are idle."""
        self._host = host
        self._notified = False
        self._stop_watching = self._on_revoked(self._grant, lambda: self._end(Unauthorised()))
        self._check()

    def unwatch(self) -> None:
        """Notify nobody from now on."""
        self._host = None
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """Compare the expiry with the time of day, and schedule the next check."""
        if self._host is None or self.identity.expires is None:
            return
        left = self.identity.expires - self._clock.time()
        if left <= 0:
            self._end(TokenExpired())
            return
        if left <= EXPIRES_SOON and not self._notified:
            self._notified = True
            self._host.access_expires(left)
        pause = left if left <= EXPIRES_SOON else left - EXPIRES_SOON
        self._timer = self._clock.call_later(min(pause, CHECK), self._check)

    def _end(self, error: TokenExpired | Unauthorised) -> None:
        host = self._host
        self.unwatch()
        if host is not None:
            host.access_ended(error)
