"""A ZIP archive that is made piece by piece, and never held as a whole. No I/O of its own.

With the standard library's `zipfile` on a file that can't seek: it then writes the size of an entry behind it
(APPNOTE 4.3.9), which every common program reads, and all that grows is its list of entries, under 1 KB each.
Packages for streams (zipstream-ng, stream-zip) do the same over the same module, or bring their own format code.
"""

import zipfile
from datetime import UTC, datetime
from typing import IO, cast

__all__ = ["Archive"]

EARLIEST = 315532800.0
"""Unix time of 1 January 1980, before which a ZIP knows no time."""


class _Sink:
    """What `zipfile` writes to: keeps the bytes until they are taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: what was written is here."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class Archive:
    """Write a ZIP; each call returns the bytes that it adds. Calls take CPU, so they belong on a thread.

    One entry is open at a time: `begin`, any number of `write`, `end`.
    """

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast(IO[bytes], self._sink), "w")
        self._entry: IO[bytes] | None = None

    def begin(self, name: str, modified: float, *, compressed: bool) -> bytes:
        """Begin an entry of unknown size; `modified` is Unix seconds. Images don't get smaller by compression."""
        moment = datetime.fromtimestamp(max(modified, EARLIEST), UTC)
        info = zipfile.ZipInfo(name, moment.timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        info.external_attr = 0o600 << 16
        # Only lists of tasks can be larger than 2 GiB; a file of an output never is.
        self._entry = self._zip.open(info, "w", force_zip64=compressed)
        return self._sink.take()

    def write(self, data: bytes) -> bytes:
        """Add to the entry that is open."""
        assert self._entry is not None  # begun
        self._entry.write(data)
        return self._sink.take()

    def end(self) -> bytes:
        """End the entry that is open."""
        assert self._entry is not None  # begun
        self._entry.close()
        self._entry = None
        return self._sink.take()

    def close(self) -> bytes:
        """Write the list of entries. Without it the archive is not valid."""
        self._zip.close()
        return self._sink.take()

    def abandon(self) -> None:
        """Let go of an archive that will not be completed."""
        # Otherwise `zipfile` would complete it when it is collected, or complain that an entry is open.
        self._zip.fp = None
