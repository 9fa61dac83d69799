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

__all__ = ["HEADER_BYTES", "OWN_ID", "ImageInfo", "Images", "Kept", "draw_id", "identify", "sniff"]

HEADER_BYTES = 256 * 1024
"""How far into a picture its size is searched for. In a JPEG it may stand behind any number of segments, and between
them the parser goes on byte by byte, so a hostile one of 20 MB would take seconds."""

OWN_ID = re.compile(r"[A-Za-z0-9_-]{24}")
"""The form of every id that `draw_id` gives. Only files of this form are ours to move."""

_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png", b"RIFF": "image/webp"}


class Kept(Struct, frozen=True, kw_only=True):
    """A picture that is kept: its bytes, or the file that holds them."""

    media_type: str
    data: bytes | None = None
    path: Path | None = None


class ImageInfo(Struct, frozen=True, kw_only=True):
    """What a picture is: width and height in pixels, `bytes` of the whole file."""

    media_type: str
    width: int
    height: int
    bytes: int


class Images(Protocol):
    """Keep pictures under ids that can't be guessed. Ids are ours: letters, digits, - and _."""

    async def put(self, picture_id: str, data: bytes) -> ImageInfo:
        """Keep a picture, whole or not at all, and return what it is.

        Raises:
            UpstreamGarbage: it is no picture.
            OSError: it can't be kept now.
        """

    async def identify(self, picture_id: str) -> ImageInfo | None:
        """Return what a kept picture is, or None for an unknown id, or where something else is kept."""

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


def identify(data: bytes, size: int | None = None) -> ImageInfo:
    """Return what a picture is; `size` is that of the whole file where `data` is only its start.

    Takes up to some 100 ms for a hostile one, so it belongs on a thread.

    Raises:
        UpstreamGarbage: it is no JPEG, PNG or WebP, or its size does not stand in its first HEADER_BYTES.
    """
    media_type = sniff(data[:16])
    width = height = -1
    if media_type is not None:
        try:
            width, height = imagesize.get(io.BytesIO(data[:HEADER_BYTES]))
        except Exception as error:
            # Of several kinds, by version: ValueError and struct.error before 2, none that are documented since.
            raise UpstreamGarbage(detail=f"the answer's picture can't be read: {error}") from error
    if media_type is None or width <= 0 or height <= 0:
        raise UpstreamGarbage(detail="the answer's picture is no JPEG, PNG or WebP")
    return ImageInfo(media_type=media_type, width=width, height=height, bytes=len(data) if size is None else size)
