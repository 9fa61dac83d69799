"""Authentication by token, and the checks of Host and Origin. Independent of aiohttp.

Any website can make a browser connect to a server on loopback, also by a host name of its own that resolves to
127.0.0.1 (DNS rebinding). So the Origin must be the server's own (RFC 6454, RFC 6455 section 10.2), and the Host a
known name.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from xinflight.errors import StoreUnusable

__all__ = ["LOCAL", "Identity", "Token", "host_allowed", "is_loopback", "kept_token", "origin_allowed"]

Request = TypeVar("Request", contravariant=True)


_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Identity(Struct, frozen=True, kw_only=True):
    """An authenticated caller. Tasks belong to `id`; `expires` is Unix seconds, None for never."""

    id: str
    admin: bool = False
    expires: float | None = None


LOCAL = Identity(id="local", admin=True)
"""The identity of all callers where there is no log-in, or only the token."""

Authenticate = Callable[[Request, str | None], Awaitable[Identity | None]]


class Token:
    """A secret that identifies whoever knows it as `local`. Compared in constant time.

    Browsers get a session instead: a signed expiry time, from which the secret can't be derived.
    """

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def identify(self, given: str | None) -> Identity | None:
        """Return LOCAL for the correct secret, else None."""
        # Bytes of a header that aren't UTF-8 arrive as surrogates.
        known = given is not None and hmac.compare_digest(
            given.encode(errors="surrogateescape"), self.secret.encode()
        )
        return LOCAL if known else None

    def session(self, expires: int) -> str:
        """Return a session that is valid until `expires`, Unix seconds."""
        return f"{expires}.{self._signature(expires)}"

    def identify_session(self, given: str | None, now: float) -> Identity | None:
        """Return the identity of a session with a valid signature that has not expired, else None."""
        expires, _, signature = (given or "").partition(".")
        if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12):
            return None
        known = hmac.compare_digest(
            signature.encode(errors="surrogateescape"), self._signature(int(expires)).encode()
        )
        return (
            Identity(id=LOCAL.id, admin=LOCAL.admin, expires=int(expires)) if known and now < int(expires) else None
        )

    def _signature(self, expires: int) -> str:
        return hmac.new(self.secret.encode(), b"session until %d" % expires, "sha256").hexdigest()


def kept_token(folder: Path) -> Token:
    """Return the token stored in a data folder, created on the first call with mode 0600.

    Raises:
        StoreUnusable: the file can't be read or created.
    """
    path = folder / "token"
    try:
        return Token(_read_or_make(path))
    except (OSError, UnicodeError) as error:
        raise StoreUnusable(
            f"The token {path} can't be read or made ({error}). "
            "Look at its permissions, or choose another folder with --data-dir."
        ) from None


def _read_or_make(path: Path) -> str:
    # An empty file, left by a crash or a full disk, would be a token that anybody can guess.
    if not path.exists() or not path.read_text("ascii").strip():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24), "ascii")
    return path.read_text("ascii").strip()


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
