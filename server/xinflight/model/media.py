"""What a stored file is: its media type and its size in pixels and bytes, read from its first bytes. No I/O."""

import io

import imagesize
from msgspec import Struct

from xinflight.errors import UpstreamGarbage

__all__ = ["HEADER_BYTES", "MediaInfo", "identify", "media_type_of"]

HEADER_BYTES = 256 * 1024
"""How far into an image its size is searched for. In a JPEG it may stand behind any number of segments, and between
them the parser goes on byte by byte, so a hostile one of 20 MB would take seconds."""

_MAGIC = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png", b"RIFF": "image/webp"}


class MediaInfo(Struct, frozen=True, kw_only=True):
    """What a file is: width and height in pixels, `bytes` of the whole file, the seconds that a video lasts."""

    media_type: str
    width: int
    height: int
    bytes: int
    duration: float | None = None


def media_type_of(start: bytes) -> str | None:
    """Return the media type that the first bytes tell, or None."""
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


def identify(data: bytes, size: int | None = None) -> MediaInfo:
    """Return what an image is; `size` is that of the whole file where `data` is only its start.

    Takes up to some 100 ms for a hostile one, so it belongs on a thread.

    Raises:
        UpstreamGarbage: it is no JPEG, PNG or WebP, or its size does not stand in its first HEADER_BYTES.
    """
    media_type = media_type_of(data[:16])
    width = height = -1
    if media_type is not None:
        try:
            width, height = imagesize.get(io.BytesIO(data[:HEADER_BYTES]))
        except Exception as error:
            # Of several kinds, by version: ValueError and struct.error before 2, none that are documented since.
            raise UpstreamGarbage(detail=f"the answer's image can't be read: {error}") from error
    if media_type is None or width <= 0 or height <= 0:
        raise UpstreamGarbage(detail="the answer's image is no JPEG, PNG or WebP")
    return MediaInfo(media_type=media_type, width=width, height=height, bytes=len(data) if size is None else size)
