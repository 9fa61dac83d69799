"""The contract of where the files of outputs are kept. `blobs_<impl>.py` implement it."""

import re
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from xinflight.model import MediaInfo

__all__ = ["OWN_ID", "Blobs", "StoredFile", "draw_id"]

OWN_ID = re.compile(r"[A-Za-z0-9_-]{24}")
"""The form of every id that `draw_id` gives. Only files of this form are ours to move."""


class StoredFile(Struct, frozen=True, kw_only=True):
    """A file of an output: its bytes, the path that holds them, or both."""

    media_type: str
    data: bytes | None = None
    path: Path | None = None


class Blobs(Protocol):
    """Keep files of outputs under ids that can't be guessed. Ids are ours: letters, digits, - and _."""

    @property
    def thumbnail_bytes(self) -> int:
        """Bytes of all thumbnails, which count as part of the history."""

    async def open(self) -> None:
        """Prepare the place, once the store is open and its lock held.

        Raises:
            OSError: the files of an earlier version can't be moved to where they belong now.
        """

    def close(self) -> None:
        """End what `open` or a use began; safe to call twice. Nothing may be used afterwards."""

    async def put(self, output_id: str, data: bytes) -> MediaInfo:
        """Keep a file, whole or not at all, and return its media type and size.

        Raises:
            UpstreamGarbage: its media type is not supported.
            OSError: it can't be kept now.
        """

    async def identify(self, output_id: str) -> MediaInfo | None:
        """Return media type and size of a file, or None for an unknown id or unsupported content."""

    async def get(self, output_id: str) -> StoredFile | None:
        """Return a file, or None for an unknown id."""

    async def read(self, output_id: str) -> bytes | None:
        """Return the bytes of a file, or None for an unknown id."""

    async def thumbnail(self, output_id: str) -> StoredFile | None:
        """Return the thumbnail of a file, or None while there is none."""

    async def put_thumbnail(self, output_id: str, data: bytes) -> None:
        """Keep a thumbnail, a WebP file, of an image. Keeps nothing if the image is not there any more.

        Raises OSError: it can't be kept now.
        """

    async def delete(self, output_id: str) -> None:
        """Delete a file and its thumbnail. An unknown id is not an error."""

    async def sweep(self, known: Collection[str], now: float) -> int:
        """Set aside every file whose name has the form of an id but is not known; return how many there were.

        What was set aside long before `now`, in Unix seconds, is deleted, and so are thumbnails of unknown files.
        Raises nothing: what can't be moved stays.
        """


def draw_id() -> str:
    """Return a new id of an output: 138 random bits.

    All begin with the same character. The first two name the folder of the file (`FileBlobs.path`), and in a folder
    that is there a file costs a fifth of what it costs together with a folder: 64 of them are soon there, 4,096 not.
    """
    return f"0{secrets.token_urlsafe(18)[1:]}"
