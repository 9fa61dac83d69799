"""The contract of where pictures are kept, and what a picture is. `images_<impl>.py` implement it."""

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
    """A picture that is kept: its bytes, or the file that holds them."""

    media_type: str
    data: bytes | None = None
    path: Path | None = None


class Blobs(Protocol):
    """Keep pictures under ids that can't be guessed. Ids are ours: letters, digits, - and _."""

    async def put(self, output_id: str, data: bytes) -> MediaInfo:
        """Keep a picture, whole or not at all, and return what it is.

        Raises:
            UpstreamGarbage: it is no picture.
            OSError: it can't be kept now.
        """

    async def identify(self, output_id: str) -> MediaInfo | None:
        """Return what a kept picture is, or None for an unknown id, or where something else is kept."""

    async def get(self, output_id: str) -> StoredFile | None:
        """Return a picture, or None for an unknown id."""

    async def read(self, output_id: str) -> bytes | None:
        """Return a picture's bytes, or None for an unknown id."""

    async def delete(self, output_id: str) -> None:
        """Forget a picture; an unknown id is nothing to complain of."""

    async def sweep(self, known: Collection[str], now: float) -> int:
        """Set aside every picture of our own form whose id is not known; return how many there were.

        What was set aside long before `now`, in Unix seconds, is deleted. Raises nothing: what can't be moved stays.
        """


def draw_id() -> str:
    """Return a new picture id: 144 random bits."""
    return secrets.token_urlsafe(18)
