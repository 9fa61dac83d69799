"""Verify JSON Web Tokens (RFC 7519) of an identity provider. PyJWT checks the signature."""

from pathlib import Path
from typing import Annotated, Any

import jwt
import msgspec
from msgspec import Meta, Struct

from xinflight.auth.credentials import BadToken, Proof
from xinflight.auth.json_web_keys import KeySet, read_keys
from xinflight.auth.signed_in import Verifier
from xinflight.auth.watched_file import WatchedFile
from xinflight.clock import Clock
from xinflight.errors import TokenExpired

__all__ = ["JsonWebTokens"]

LEEWAY = 60.0
"""Seconds by which the clock of the issuer may differ."""
MAX_TOKEN = 8192
"""Characters above which a text is not parsed."""
ADMIN_SCOPE = "xinflight:admin"
_LATEST = 253402300799.0
"""The end of the year 9999."""


class _Header(Struct, frozen=True):
    alg: str
    kid: str | None = None


class _Claims(Struct, frozen=True):
    sub: str
    exp: Annotated[float, Meta(ge=0, le=_LATEST)]
    aud: str | tuple[str, ...]
    iss: str | None = None
    nbf: float | None = None
    scope: str | tuple[str, ...] = ()
    weight: float = msgspec.field(name="xinflight:weight", default=1.0)


class JsonWebTokens(Verifier):
    """Tokens signed with one of the keys of a file, for one audience and, if given, from one issuer."""

    def __init__(self, path: Path, audience: str, issuer: str | None, clock: Clock) -> None:
        self._audience = audience
        self._issuer = issuer
        self._clock = clock
        self._keys = WatchedFile(path, lambda: read_keys(path), KeySet({}, 0), clock)
        self._signatures = jwt.PyJWS()

    async def open(self) -> None:
        """Read the keys; raise StoreUnusable if there are none."""
        await self._keys.open()

    async def run(self) -> None:
        """Watch the keys until cancelled."""
        await self._keys.run(_ignore)

    async def verify(self, token: str) -> Proof:
        """Return what a token proves; raise BadToken or TokenExpired."""
        if len(token) > MAX_TOKEN or not token.isascii():
            raise BadToken("not a JWT")
        header = _header(token)
        if not self._keys.content.knows(header.kid):
            # The issuer may have begun to use a new key within the last second.
            await self._keys.reload(_ignore)
        key = self._keys.content.find(header.kid, header.alg)
        if key is None:
            known = self._keys.content.knows(header.kid)
            raise BadToken("the key does not allow this algorithm" if known else "unknown kid")
        try:
            payload: Any = self._signatures.decode(token, key, algorithms=[header.alg])
        except jwt.PyJWTError as error:
            raise BadToken(type(error).__name__) from None
        try:
            claims = msgspec.json.decode(payload, type=_Claims)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise BadToken("sub, exp or aud are missing, or a claim has the wrong type") from None
        return self._proof(claims)

    def _proof(self, claims: _Claims) -> Proof:
        now = self._clock.time()
        if self._audience not in _listed(claims.aud):
            raise BadToken("wrong audience")
        if self._issuer is not None and claims.iss != self._issuer:
            raise BadToken("wrong issuer")
        if claims.nbf is not None and now < claims.nbf - LEEWAY:
            raise BadToken("not valid yet")
        # The leeway counts for connections and sessions, too: else those of a slow clock would end at once.
        expires = claims.exp + LEEWAY
        if now >= expires:
            raise TokenExpired
        scopes = claims.scope.split() if isinstance(claims.scope, str) else claims.scope
        return Proof(owner=claims.sub, admin=ADMIN_SCOPE in scopes, weight=claims.weight, expires=expires)


def _header(token: str) -> _Header:
    try:
        return msgspec.convert(jwt.get_unverified_header(token), _Header)
    except (jwt.PyJWTError, msgspec.ValidationError, RecursionError):
        raise BadToken("not a JWT") from None


def _listed(audience: str | tuple[str, ...]) -> tuple[str, ...]:
    return (audience,) if isinstance(audience, str) else audience


def _ignore(before: KeySet) -> None:
    """Tokens that were valid with an earlier key stay so in connections and sessions, until they expire."""
