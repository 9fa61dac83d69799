"""The file of tokens in a data folder: who has which token, without the tokens themselves."""

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from filelock import FileLock, Timeout
from msgspec import Meta, Struct

from xinflight.auth.identity import LEAST_WEIGHT, LOCAL, MOST_WEIGHT, Identity
from xinflight.auth.secret_files import give_to_owner, read_private, write_private
from xinflight.errors import StoreUnusable

__all__ = ["ADMIN", "MAX_NAME", "TokenExists", "TokenFile", "TokenRecord", "token_hash", "token_id"]

ADMIN = "admin"
"""The scope of admins."""
VERSION = 1
MAX_NAME = 64
LOCK_SECONDS = 10.0
"""Seconds that a change waits for another process to finish its own."""

_FORM = re.compile(r"xf_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class TokenExists(Exception):
    """A token with this name exists already."""


class TokenRecord(Struct, frozen=True, kw_only=True):
    """One token: its hash, and whom it belongs to. Times are Unix seconds.

    `id` is part of the token, and `ending` its last characters, by which its owner recognises it.
    """

    id: Annotated[str, Meta(pattern="^[0-9a-f]{12}$")]
    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    owner: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    ending: str
    created: float
    expires: float | None = None
    weight: Annotated[float, Meta(ge=LEAST_WEIGHT, le=MOST_WEIGHT)] = 1.0
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A file that was edited by hand is held to the rules, too.
        Identity(id=self.owner, weight=self.weight)

    @property
    def admin(self) -> bool:
        """Whether the token may act for every owner."""
        return ADMIN in self.scopes


class _Content(Struct, frozen=True, kw_only=True):
    version: int
    tokens: tuple[TokenRecord, ...]


def token_id(token: str) -> str:
    """Return the id by which a token is looked up: a part of it; for a token of an earlier version, of its hash."""
    form = _FORM.fullmatch(token)
    return form[1] if form is not None else token_hash(token)[:12]


def token_hash(token: str) -> str:
    """Return the SHA-256 of a token. It is random and long, so it needs neither a salt nor a slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenFile:
    """`tokens.json` in a data folder. Works while a server runs, and in several processes at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tokens.json"
        self._legacy = folder / "token"
        self._lock = FileLock(folder / "tokens.lock", timeout=LOCK_SECONDS, mode=0o600)

    def exists(self) -> bool:
        """Return whether there are, or were, tokens in this folder."""
        return self.path.exists() or self._legacy.exists()

    def read(self) -> tuple[TokenRecord, ...]:
        """Return all tokens, none if the file does not exist.

        Raises:
            StoreUnusable: the file can't be read or is damaged.
        """
        with self._errors_told():
            return self._read()

    def take_over(self) -> None:
        """Replace the plain token that an earlier version stored by its hash, if there is one. Every change does so.

        Raises:
            StoreUnusable: a file can't be read or written.
        """
        with self._errors_told():
            there = self._legacy.exists()
        if there:
            with self._changing():
                pass

    def add(
        self,
        name: str,
        *,
        now: float,
        owner: str | None = None,
        admin: bool = False,
        weight: float = 1.0,
        expires: float | None = None,
    ) -> tuple[str, TokenRecord]:
        """Make a token and return its text, which is not stored, and its record. The owner is `name` by default.

        Raises:
            TokenExists: there is a token of this name.
            ValueError: the name, the owner or the weight is out of bounds.
            StoreUnusable: the file can't be read or written.
        """
        if not (0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
            raise ValueError(f"the name of a token must have 1 to {MAX_NAME} printable characters")
        token = f"xf_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
        record = _record(
            token,
            name=name,
            owner=name if owner is None else owner,
            created=now,
            expires=expires,
            weight=weight,
            scopes=(ADMIN,) if admin else (),
        )
        with self._changing() as tokens:
            if any(name in (other.name, other.id) for other in tokens):
                raise TokenExists(name)
            tokens.append(record)
        return token, record

    def remove(self, name: str) -> TokenRecord | None:
        """Remove the token with this name or id and return its record, None if there is none.

        Raises:
            StoreUnusable: the file can't be read or written.
        """
        with self._changing() as tokens:
            for record in tokens:
                if name in (record.name, record.id):
                    tokens.remove(record)
                    return record
        return None

    @contextmanager
    def _changing(self) -> Iterator[list[TokenRecord]]:
        """Give the tokens to change inside the block, alone among all processes; afterwards they are stored."""
        with self._errors_told():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._lock:
                give_to_owner(Path(self._lock.lock_file))
                before = self._read()
                tokens = list(before)
                taken_over = self._add_legacy(tokens)
                yield tokens
                if tuple(tokens) != before:
                    content = _Content(version=VERSION, tokens=tuple(tokens))
                    write_private(self.path, msgspec.json.format(msgspec.json.encode(content)) + b"\n")
                if taken_over:
                    # Only now: a crash before leaves both, and nobody loses the token.
                    self._legacy.unlink()

    def _read(self) -> tuple[TokenRecord, ...]:
        content = read_private(self.path)
        if content is None:
            return ()
        decoded = msgspec.json.decode(content, type=_Content)
        if decoded.version != VERSION:
            raise ValueError(f"it has version {decoded.version}, and this server reads version {VERSION}")
        if len({record.id for record in decoded.tokens}) < len(decoded.tokens):
            raise ValueError("two tokens have the same id")
        return decoded.tokens

    def _add_legacy(self, tokens: list[TokenRecord]) -> bool:
        """Add the plain token that earlier versions stored, as that of an admin; return whether there was a file."""
        content = read_private(self._legacy)
        if content is None:
            return False
        try:
            token = content.decode("ascii").strip()
        except UnicodeError:
            raise ValueError(f"{self._legacy} is no token") from None
        # An empty file, left by a crash, would be a token that anybody can guess.
        if token and all(record.sha256 != token_hash(token) for record in tokens):
            names = {record.name for record in tokens}
            name = next(name for name in (LOCAL.id, "local-before", token_id(token)) if name not in names)
            created = self._legacy.stat().st_mtime
            tokens.append(_record(token, name=name, owner=LOCAL.id, created=created, scopes=(ADMIN,)))
        return True

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except Timeout:
            raise StoreUnusable(f"The tokens {self.path} are being changed by another process; try again.") from None
        except (OSError, RecursionError, UnicodeError, msgspec.DecodeError, ValueError) as error:
            raise StoreUnusable(
                f"The tokens {self.path} can't be read or written ({error}). Look at the permissions of the folder, "
                "restore the file, choose another folder with --data-dir, or delete it and make new tokens."
            ) from None


def _record(token: str, **fields: object) -> TokenRecord:
    known = {"id": token_id(token), "sha256": token_hash(token), "ending": token[-4:], **fields}
    return msgspec.convert(known, TokenRecord)
