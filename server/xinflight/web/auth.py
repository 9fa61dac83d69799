"""Whose a request is, and whether it may come at all: origin, host, token. No aiohttp here.

Any website can make a browser connect to a server on loopback, and a name that its owner points to 127.0.0.1
passes for our own. So the Origin must be ours (RFC 6454, RFC 6455 section 10.2) and the Host one that we know.
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
    """Who somebody is. `id` owns tasks; `expires` is Unix seconds, None for never."""

    id: str
    admin: bool = False
    expires: float | None = None


LOCAL = Identity(id="local", admin=True)
"""Everybody, where nobody logs in."""

Authenticate = Callable[[Request, str | None], Awaitable[Identity | None]]


class Token:
    """One secret that makes whoever knows it `local`. Compared in constant time.

    A browser gets a session in its place: signed with the secret, over after a while, and no way back to the secret.
    """

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def identify(self, given: str | None) -> Identity | None:
        """Return LOCAL for the right secret, else None."""
        # Bytes of a header that are no UTF-8 arrive as surrogates.
        known = given is not None and hmac.compare_digest(
            given.encode(errors="surrogateescape"), self.secret.encode()
        )
        return LOCAL if known else None

    def session(self, expires: int) -> str:
        """Return the session that is valid until `expires`, Unix seconds."""
        return f"{expires}.{self._signature(expires)}"

    def identify_session(self, given: str | None, now: float) -> Identity | None:
        """Return who has a session that is ours and not over, else None."""
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
    """Return the token that a data folder keeps, made at the first call; only its owner may read it.

    Raises:
        StoreUnusable: the file can't be read or made.
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
    # An empty file, left by a crash or a full disk, must not become a token that anybody knows.
    if not path.exists() or not path.read_text("ascii").strip():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24), "ascii")
    return path.read_text("ascii").strip()


def is_loopback(host: str) -> bool:
    """Tell whether binding to `host` can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_allowed(host: str, allowed: Collection[str]) -> bool:
    """Tell whether a Host header may be answered: an IP address, localhost, or a name of the settings."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name == "localhost" or name.endswith(".localhost") or name in allowed:
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_allowed(origin: str | None, hosts: Collection[str], allowed: Collection[str]) -> bool:
    """Tell whether a page from `origin` may connect: no browser, one of our hosts, or one of the settings."""
    if origin is None or origin in allowed:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    # Browsers leave out the default port, some proxies do not.
    return default is not None and any(
        parts.netloc.lower().removesuffix(default) == host.lower().removesuffix(default) for host in hosts
    )
