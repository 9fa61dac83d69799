"""Small files with secrets: readable by their owner only, and replaced atomically."""

import contextlib
import os
import secrets
from pathlib import Path

from xinflight.errors import StoreUnusable

__all__ = ["give_to_owner", "read_private", "session_key", "url_key", "write_private"]

KEY_BYTES = 32


def read_private(path: Path) -> bytes | None:
    """Return the content of a file, None if it does not exist. Others lose their permissions for it.

    Raises:
        OSError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                os.fchmod(file.fileno(), 0o600)
            return file.read()
    except FileNotFoundError:
        return None


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically, with mode 0600; after a crash or a power failure it is the old or the new one.

    Raises:
        OSError: the file can't be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        give_to_owner(temporary)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def give_to_owner(path: Path) -> None:
    """Give a file that root made to the owner of its folder, so that a server of that user can read it.

    Raises:
        OSError: the owner can't be changed.
    """
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)


def session_key(folder: Path) -> bytes:
    """Return the key that sessions are signed with, created on the first call.

    Raises:
        StoreUnusable: the file can't be read or created, or is damaged. It is not replaced then: with another key all
            browsers would lose their sessions, and anonymous people all that is theirs.
    """
    return _key(folder / "session.key", "sessions", "everybody has to log in again")


def url_key(folder: Path) -> bytes:
    """Return the key that addresses of outputs are signed with, created on the first call.

    Raises:
        StoreUnusable: the file can't be read or created, or is damaged.
    """
    return _key(folder / "urls.key", "signed addresses", "addresses that were given out are no longer valid")


def _key(path: Path, purpose: str, consequence: str) -> bytes:
    try:
        text = read_private(path)
        if text is None:
            key = secrets.token_bytes(KEY_BYTES)
            write_private(path, key.hex().encode() + b"\n")
            return key
        key = bytes.fromhex(text.decode("ascii"))
        if len(key) != KEY_BYTES:
            raise ValueError(f"it must have {2 * KEY_BYTES} hexadecimal digits")
    except (OSError, ValueError) as error:
        raise StoreUnusable(
            f"The key of {purpose} {path} can't be read or made ({error}). Look at its permissions, restore it, "
            f"choose another folder with --data-dir, or delete it: then {consequence}."
        ) from None
    return key
