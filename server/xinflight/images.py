"""The contract of where pictures are kept, and what a picture is. `images_<impl>.py` implement it."""

import io
import re
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

import imagesize
from msgspec import Struct

from xinflight.errors import UpstreamGarbage

__all__ = ["OWN_ID", "Images", "Kept", "draw_id", "look", "sniff"]

OWN_ID = re.compile(r"[A-Za-z0-9_-]{24}")
"""The form of every id that `draw_id` gives. Only files of this form are ours to move."""

_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png", b"RIFF": "image/webp"}


class Kept(Struct, frozen=True, kw_only=True):
    """A picture that is kept: its bytes, or the file that holds them."""

    media_type: str
    data: bytes | None = None
    path: Path | None = None


class Images(Protocol):
    """Keep pictures under ids that can't be guessed. Ids are ours: letters, digits, - and _."""

    async def put(self, picture_id: str, data: bytes, media_type: str) -> None:
        """Keep a picture, whole or not at all; raise OSError when that can't be done now."""

    async def get(self, picture_id: str) -> Kept | None:
        """Return a picture, or None for an unknown id."""

    async def read(self, picture_id: str) -> bytes | None:
        """Return a picture's bytes, or None for an unknown id."""

    async def delete(self, picture_id: str) -> None:
        """Forget a picture; an unknown id is nothing to complain of."""

    async def sweep(self, known: Collection[str], now: float) -> int:
        """Set aside every picture of our own form whose id is not known; return how many there were.

        What was set aside long before `now`, in Unix seconds, is deleted. Raises nothing: what can't be moved stays.
        """


def draw_id() -> str:
    """Return a new picture id: 144 random bits."""
    return secrets.token_urlsafe(18)


def sniff(start: bytes) -> str | None:
    """Return the media type that the first bytes tell, or None."""
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


def look(data: bytes) -> tuple[str, int, int]:
    """Return media type, width and height in pixels of a picture; raise UpstreamGarbage when it is none."""
    media_type = sniff(data[:16])
    width, height = imagesize.get(io.BytesIO(data))
    if media_type is None or width <= 0 or height <= 0:
        raise UpstreamGarbage(detail="the answer's picture is no JPEG, PNG or WebP")
    return media_type, width, height
