"""Session cookies: signed, so the server stores nothing per browser, and the token can't be derived from them."""

import base64
import binascii
import hmac
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from xinflight.auth.credentials import BadToken, Proof, Session
from xinflight.auth.identity import LEAST_WEIGHT, MOST_WEIGHT, OWNER_LENGTH
from xinflight.clock import Clock
from xinflight.errors import TokenExpired

__all__ = ["LIFETIME", "Sessions"]

LIFETIME = 30 * 86400.0
"""Maximum seconds that a session is valid. It is renewed once less than half of it is left."""
MAX_SESSION = 4096
"""Characters of the longest value that is checked; browsers store no longer cookies."""


class _Payload(Struct, frozen=True, array_like=True):
    owner: Annotated[str, Meta(min_length=1, max_length=OWNER_LENGTH)]
    admin: bool
    weight: Annotated[float, Meta(ge=LEAST_WEIGHT, le=MOST_WEIGHT)]
    token_expires: float | None
    credential: str | None
    expires: float


_DECODER = msgspec.json.Decoder(_Payload)


class Sessions:
    """Sign and verify session cookies with HMAC-SHA256.

    The signature covers `purpose`: the mode of authentication. Otherwise an anonymous session would still be valid
    after the server was restarted with tokens.
    """

    def __init__(self, key: bytes, purpose: str, clock: Clock) -> None:
        self._key = key
        self._purpose = purpose.encode()
        self._clock = clock

    def create(self, proof: Proof) -> Session:
        """Return a session of LIFETIME, or until the token expires if that is earlier."""
        expires = self._clock.time() + LIFETIME
        if proof.expires is not None:
            expires = min(expires, proof.expires)
        payload = _Payload(proof.owner, proof.admin, proof.weight, proof.expires, proof.credential, expires)
        text = base64.urlsafe_b64encode(msgspec.json.encode(payload)).rstrip(b"=").decode()
        return Session(f"{text}.{self._sign(text)}", expires)

    def read(self, value: str) -> tuple[Proof, float]:
        """Return what a session proves and when it expires.

        Raises:
            BadToken: the value is not a session of this server.
            TokenExpired: it was one.
        """
        text, _, signature = value.rpartition(".")
        if len(value) > MAX_SESSION or not value.isascii() or not hmac.compare_digest(signature, self._sign(text)):
            raise BadToken("not a session of this server")
        try:
            payload = _DECODER.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, msgspec.DecodeError):
            # Correctly signed, so another version of the server wrote it.
            raise BadToken("a session of another version") from None
        if payload.expires <= self._clock.time():
            raise TokenExpired
        proof = Proof(
            owner=payload.owner,
            admin=payload.admin,
            weight=payload.weight,
            expires=payload.token_expires,
            credential=payload.credential,
        )
        return proof, payload.expires

    def renewed(self, proof: Proof, expires: float) -> Session | None:
        """Return a new session in place of one that has less than half of LIFETIME left, if that one is longer."""
        if expires - self._clock.time() >= LIFETIME / 2:
            return None
        session = self.create(proof)
        return session if session.expires > expires else None

    def _sign(self, text: str) -> str:
        # Neither a purpose nor a text in base64 contains a null byte, so no two pairs have the same signature.
        message = b"xinflight session\x00%s\x00%s" % (self._purpose, text.encode())
        return base64.urlsafe_b64encode(hmac.digest(self._key, message, "sha256")).rstrip(b"=").decode()
