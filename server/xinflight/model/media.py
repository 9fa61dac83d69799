"""What a stored file is: media type, size in pixels and bytes, and duration. No I/O but on a given file."""

import io
from typing import IO

import imagesize
from msgspec import Struct

from xinflight.errors import UpstreamGarbage
from xinflight.model.mp4 import is_mp4, read_mp4

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
    """Return the media type that the first 16 bytes tell, or None."""
    if is_mp4(start):
        return "video/mp4"
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


def identify(source: bytes | IO[bytes]) -> MediaInfo:
    """Return what a file is, from its bytes, or from the open file itself without reading all of it.

    Takes up to some 100 ms for a hostile one, so it belongs on a thread.

    Raises:
        UpstreamGarbage: it is no JPEG, PNG, WebP or MP4, or the size of an image does not stand in its first
            HEADER_BYTES.
        OSError: the file can't be read.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(HEADER_BYTES)
    media_type = media_type_of(start[:16])
    duration = None
    if media_type is None:
        raise UpstreamGarbage(detail="the answer's file is no JPEG, PNG, WebP or MP4")
    if media_type == "video/mp4":
        film = read_mp4(file, size)
        width, height, duration = (0, 0, None) if film is None else (film.width, film.height, film.duration)
    else:
        width, height = _image_size(start)
    if width <= 0 or height <= 0:
        raise UpstreamGarbage(detail=f"the size of the answer's {media_type} can't be read")
    return MediaInfo(media_type=media_type, width=width, height=height, bytes=size, duration=duration)


def _image_size(start: bytes) -> tuple[int, int]:
    try:
        width, height = imagesize.get(io.BytesIO(start))
    except Exception as error:
        # Of several kinds, by version: ValueError and struct.error before 2, none that are documented since.
        raise UpstreamGarbage(detail=f"the answer's image can't be read: {error}") from error
    return width, height
