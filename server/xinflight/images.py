"""The contract of where pictures are kept, and what a picture is. `images_<impl>.py` implement it."""

import io
from pathlib import Path
from typing import Protocol

import imagesize
from msgspec import Struct

from xinflight.errors import UpstreamGarbage

__all__ = ["Images", "Kept", "look"]

_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png", b"RIFF": "image/webp"}


class Kept(Struct, frozen=True, kw_only=True):
    """A picture that is kept: its bytes, or the file that holds them."""

    media_type: str
    data: bytes | None = None
    path: Path | None = None


class Images(Protocol):
    """Keep pictures under ids that can't be guessed."""

    async def put(self, picture_id: str, data: bytes, media_type: str) -> None:
        """Keep a picture, whole or not at all."""

    async def get(self, picture_id: str) -> Kept | None:
        """Return a picture, or None for an unknown id."""

    async def delete(self, picture_id: str) -> None:
        """Forget a picture; an unknown id is nothing to complain of."""


def look(data: bytes) -> tuple[str, int, int]:
    """Return media type, width and height in pixels of a picture; raise UpstreamGarbage when it is none."""
    media_type = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
    width, height = imagesize.get(io.BytesIO(data))
    if media_type is None or width <= 0 or height <= 0:
        raise UpstreamGarbage(detail="the answer's picture is no JPEG, PNG or WebP")
    return media_type, width, height
