"""One secret in place of accounts."""

import hmac
import secrets
from pathlib import Path

from xinflight.auth.identity import LOCAL, Identity
from xinflight.errors import StoreUnusable

__all__ = ["Token", "kept_token"]


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
