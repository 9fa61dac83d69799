"""Signed addresses of outputs, for clients that can't send credentials with a request for an image."""

import asyncio
import base64
import hmac
import math
import secrets
from pathlib import Path

from xinflight.auth.secret_files import url_key
from xinflight.clock import Clock

__all__ = ["LIFETIME", "UrlSigner"]

LIFETIME = 4 * 3600
"""Seconds that a signed address is valid, at the least."""
STEP = 3600
"""Seconds to whose multiples expiry is rounded up: within an hour an output has one address, so browsers cache it."""


class UrlSigner:
    """Sign the id of an output until an expiry time, with HMAC-SHA256 (RFC 2104).

    Without a `folder` the key is lost with the process, as all outputs are.
    """

    def __init__(self, folder: Path | None, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._key = secrets.token_bytes(32)

    async def open(self) -> None:
        """Read or create the key; raise StoreUnusable if that is impossible."""
        if self._folder is not None:
            self._key = await asyncio.to_thread(url_key, self._folder)

    def query(self, output_id: str) -> str:
        """Return the query part of a signed address, which is valid for LIFETIME and up to STEP more."""
        expires = math.ceil((self._clock.time() + LIFETIME) / STEP) * STEP
        return f"expires={expires}&signature={self._sign(output_id, expires)}"

    def seconds_left(self, output_id: str, expires: str, signature: str) -> float:
        """Return the seconds for which a signed address stays valid: 0 if it has expired or is not of this server."""
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12):
            return 0.0
        # Bytes of an address that aren't UTF-8 arrive as surrogates. Compared in constant time.
        given = signature.encode(errors="surrogateescape")
        if not hmac.compare_digest(given, self._sign(output_id, int(expires)).encode()):
            return 0.0
        left = int(expires) - self._clock.time()
        # An address that was signed while the clock was wrong must not be valid for years.
        return left if 0.0 < left <= LIFETIME + STEP else 0.0

    def _sign(self, output_id: str, expires: int) -> str:
        # No id has a space, so no two pairs have the same text.
        digest = hmac.digest(self._key, b"xinflight output %s %d" % (output_id.encode(), expires), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
