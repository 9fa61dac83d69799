"""API key of the emulated Xinference, and the ban of addresses that send bad keys.

Source: Xinference 4.1.0, `api/oauth2/advanced`.
"""

from xinflight.clock import Clock
from xinflight.demo.errors import HttpError

__all__ = ["KeyGuard"]

BAD_KEYS = 10
BAD_KEY_WINDOW = 300.0
BAN_SECONDS = 3600.0


class KeyGuard:
    """Check of one API key, which bans addresses that send ten bad keys within five minutes."""

    def __init__(self, clock: Clock, key: str) -> None:
        self._clock = clock
        self._key = key
        self._failures: dict[str, list[float]] = {}
        self._banned: dict[str, float] = {}

    def check(self, address: str, authorization: str | None, scope: str) -> None:
        """Check the key of a request.

        Raises:
            HttpError: 429 for a banned address, 401 for a missing or bad key, 403 if the path requires an account.
        """
        now = self._clock.monotonic()
        if self._banned.get(address, 0.0) > now:
            raise HttpError(429, "Too many failed attempts. IP temporarily banned.")
        challenge = {"WWW-Authenticate": f'Bearer scope="{scope}"'}
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise HttpError(401, "Could not validate credentials", headers=challenge)
        if token != self._key:
            recent = [at for at in self._failures.get(address, []) if at > now - BAD_KEY_WINDOW]
            self._failures[address] = [*recent, now]
            if len(recent) + 1 >= BAD_KEYS:
                self._banned[address] = now + BAN_SECONDS
            raise HttpError(401, "Could not validate credentials", headers=challenge)
        if scope == "admin":
            detail = "API keys can only access model query and inference endpoints"
            raise HttpError(403, detail, headers=challenge)
