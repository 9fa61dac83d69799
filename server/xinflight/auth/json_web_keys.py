"""The keys that JSON Web Tokens are verified with: a JWKS file (RFC 7517)."""

from pathlib import Path

import jwt
import msgspec
from msgspec import Struct

from xinflight.errors import StoreUnusable

__all__ = ["KeySet", "read_keys"]

_HMAC = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes that a key must have at least, those of the hash (RFC 7518 section 3.2)."""
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}

_PUBLIC = {"oct": ("k",), "RSA": ("n", "e"), "EC": ("crv", "x", "y")}
"""The parameters needed to verify, by key type. Private ones are not passed on."""


class _Key(Struct, frozen=True):
    kty: str
    kid: str | None = None
    use: str | None = None
    alg: str | None = None
    k: str | None = None
    n: str | None = None
    e: str | None = None
    crv: str | None = None
    x: str | None = None
    y: str | None = None

    def public(self) -> dict[str, str]:
        """Return the parameters needed to verify; raise ValueError if one is missing."""
        parameters = {name: getattr(self, name) for name in _PUBLIC[self.kty]}
        missing = [name for name, value in parameters.items() if value is None]
        if missing:
            raise ValueError(f"it has no {missing[0]}")
        return {"kty": self.kty, **parameters}


class _File(Struct, frozen=True):
    keys: tuple[_Key, ...]


class KeySet:
    """Keys by `kid` and algorithm. Each key allows the algorithms of its type only.

    Otherwise somebody could sign with HS256 and the public RSA key as its secret (RFC 8725 section 2.1).
    """

    def __init__(self, keys: dict[tuple[str | None, str], jwt.PyJWK], count: int) -> None:
        self._keys = keys
        self.count = count
        self.algorithms = sorted({algorithm for _, algorithm in keys})

    def knows(self, kid: str | None) -> bool:
        """Return whether there is a key with this id, or for None a single key."""
        return self.count == 1 if kid is None else any(kid == known for known, _ in self._keys)

    def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Return the key for a token. One without `kid` is verified with the only key, if there is only one."""
        if kid is not None:
            return self._keys.get((kid, algorithm))
        return next((key for (_, known), key in self._keys.items() if known == algorithm and self.count == 1), None)


def read_keys(path: Path) -> KeySet:
    """Read a JWKS file. Keys for encryption and of unknown types are left out.

    Raises:
        StoreUnusable: the file can't be read or is damaged, a key is too short, or there is none for signatures.
    """
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=_File).keys
        found: dict[tuple[str | None, str], jwt.PyJWK] = {}
        count = 0
        for number, key in enumerate(listed, 1):
            try:
                usable = _usable(key)
            except (ValueError, jwt.PyJWTError) as error:
                # The text of other errors may contain the key.
                reason = error if isinstance(error, ValueError) else type(error).__name__
                raise ValueError(f"key {number} of {len(listed)}: {reason}") from None
            if any((key.kid, algorithm) in found for algorithm in usable):
                raise ValueError(f"key {number} of {len(listed)} has the kid of another one, or both have none")
            found |= {(key.kid, algorithm): verifier for algorithm, verifier in usable.items()}
            count += bool(usable)
        if not found:
            raise ValueError("it has no key for signatures of the type oct, RSA or EC")
    except (OSError, RecursionError, UnicodeError, msgspec.DecodeError, ValueError) as error:
        raise StoreUnusable(f"The keys {path} (setting jwt_keys) can't be used: {error}.") from None
    return KeySet(found, count)


def _usable(key: _Key) -> dict[str, jwt.PyJWK]:
    """Return what verifies signatures by a key, per algorithm that it allows."""
    if key.use not in (None, "sig") or key.kty not in _PUBLIC:
        return {}
    public = key.public()
    verifiers = {name: jwt.PyJWK(public, name) for name in _algorithms(key) if key.alg in (None, name)}
    for name, verifier in list(verifiers.items()):
        if key.kty == "oct" and len(verifier.key) < _HMAC[name]:
            del verifiers[name]
        elif key.kty == "RSA" and verifier.key.key_size < 2048:
            raise ValueError("an RSA key must have 2048 bits at least")
    if key.kty == "oct" and not verifiers and key.alg in (None, *_HMAC):
        name = key.alg or "HS256"
        raise ValueError(f"a key for {name} must have {_HMAC[name]} bytes at least")
    return verifiers


def _algorithms(key: _Key) -> tuple[str, ...]:
    if key.kty == "EC":
        return tuple(name for curve, name in _CURVES.items() if curve == key.crv)
    return tuple(_HMAC) if key.kty == "oct" else _RSA
