"""What kind of image a file is, from its structure alone: nothing is decoded, so a hostile file costs nothing.

A file that Xinference can't decode, or one of the wrong size, keeps a model busy for minutes, so whatever can be seen
without decoding is refused here: other formats, animations, files that were cut off, and too many pixels.
Formats: PNG (w3.org/TR/png-3), JPEG (ITU-T T.81), WebP (RFC 9649).
"""

import os
import struct
from typing import IO, NoReturn

from xinflight.errors import BadImage
from xinflight.model import MediaInfo
from xinflight.uploads.exif import is_turned

__all__ = ["START", "check_image", "check_start"]

START = 16
"""Bytes from the beginning of a file that tell its format."""
CHUNKS = 50_000
"""Chunks of a PNG or WebP that are looked at, and segments of a JPEG: 25 MB in IDAT chunks of 512 bytes."""
EXIF_BYTES = 64 * 1024
"""Bytes of EXIF data that are looked at; a JPEG can't have more in one segment."""
PIECE = 256 * 1024
FILLING = 512
"""Bytes that are read at once where a marker of a JPEG may stand."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Markers that begin a frame: all of C0 to CF but for DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def check_start(start: bytes) -> None:
    """Refuse what does not begin as an image that can be used; `start` has START bytes, or the whole file.

    Raises BadImage.
    """
    if not (start.startswith((_PNG, _JPEG)) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")):
        _refuse("a PNG, JPEG or WebP")


def check_image(file: IO[bytes], size: int, most_pixels: int) -> MediaInfo:
    """Return what an image is, with the width and height that it is shown with; `file` stands at its start.

    Blocks, for up to some 100 ms for a hostile file.

    Raises:
        BadImage: it can't be used; `limit` says what could be.
    """
    start = file.read(START)
    check_start(start)
    try:
        if start.startswith(_PNG):
            media_type, (width, height, turned) = "image/png", _png(file, size)
        elif start.startswith(_JPEG):
            media_type, (width, height, turned) = "image/jpeg", _jpeg(file)
        else:
            media_type, (width, height, turned) = "image/webp", _webp(file, size)
    except (struct.error, IndexError):
        _refuse("a whole file")
    if width < 1 or height < 1 or width * height > most_pixels:
        _refuse(f"1 to {most_pixels} pixels")
    if turned:
        width, height = height, width
    return MediaInfo(media_type=media_type, width=width, height=height, bytes=size)


_Size = tuple[int, int, bool]
"""Width and height as they are stored, and whether the image is shown turned by 90 degrees."""


def _png(file: IO[bytes], size: int) -> _Size:
    """Walk the chunks: IHDR comes first, IEND last, and acTL makes it an animation."""
    file.seek(len(_PNG))
    width = height = 0
    turned = has_data = False
    for number in range(CHUNKS):
        length, name = struct.unpack(">I4s", file.read(8))
        end = file.tell() + length + 4
        if (number == 0) != (name == b"IHDR") or end > size:
            _refuse("a whole file")
        if name == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
        elif name == b"acTL":
            _refuse("a still image")
        elif name == b"eXIf":
            turned = is_turned(file.read(min(length, EXIF_BYTES)))
        elif name == b"IDAT":
            has_data = True
        elif name == b"IEND":
            if not has_data:
                _refuse("a whole file")
            return width, height, turned
        file.seek(end)
    _refuse(f"at most {CHUNKS} chunks")


def _jpeg(file: IO[bytes]) -> _Size:
    """Walk the segments up to the data of the first scan, then search for the end of the image."""
    file.seek(2)
    size: tuple[int, int] | None = None
    turned = False
    for _ in range(CHUNKS):
        marker = _next_marker(file)
        # Standing alone: TEM, RSTn.
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue
        if marker in (0xD8, 0xD9):
            _refuse("a whole file")
        (length,) = struct.unpack(">H", file.read(2))
        if length < 2:
            _refuse("a whole file")
        end = file.tell() + length - 2
        if marker in _FRAMES:
            precision, height, width = struct.unpack(">BHH", file.read(5))
            if precision != 8 or size is not None:
                _refuse("a JPEG of 8 bits")
            size = width, height
        elif marker == 0xE1 and not turned:
            turned = is_turned(file.read(length - 2).removeprefix(b"Exif\0\0"))
        elif marker == 0xDA:
            if size is None or not _ends(file):
                _refuse("a whole file")
            return *size, turned
        file.seek(end)
    _refuse(f"at most {CHUNKS} segments")


def _next_marker(file: IO[bytes]) -> int:
    """Return the marker at which a file stands; any number of FF bytes may fill the space before it."""
    if file.read(1) != b"\xff":
        _refuse("a whole file")
    # Not byte by byte: a file may be nothing but such bytes.
    while piece := file.read(FILLING):
        rest = piece.lstrip(b"\xff")
        if rest:
            file.seek(1 - len(rest), os.SEEK_CUR)
            return rest[0]
    _refuse("a whole file")


def _ends(file: IO[bytes]) -> bool:
    """Tell whether EOI stands in the rest of a JPEG: in compressed data every FF is followed by a zero byte.

    Cameras write more behind it, so it need not be the last.
    """
    last = b""
    while piece := file.read(PIECE):
        if b"\xff\xd9" in last + piece:
            return True
        last = piece[-1:]
    return False


def _webp(file: IO[bytes], size: int) -> _Size:
    """Walk the chunks: the size stands in VP8, VP8L or for both, with a canvas, in VP8X."""
    file.seek(4)
    (length,) = struct.unpack("<I", file.read(4))
    if length + 8 > size:
        _refuse("a whole file")
    file.seek(12)
    canvas: tuple[int, int] | None = None
    frame: tuple[int, int] | None = None
    turned = False
    for _ in range(CHUNKS):
        header = file.read(8)
        if len(header) < 8 or file.tell() > length + 8:
            break
        name, chunk = struct.unpack("<4sI", header)
        end = file.tell() + chunk + chunk % 2
        if file.tell() + chunk > size:
            _refuse("a whole file")
        if name in (b"ANIM", b"ANMF"):
            _refuse("a still image")
        if name == b"VP8X":
            canvas = _canvas(file.read(10))
        elif name in (b"VP8 ", b"VP8L") and frame is None:
            frame = _frame(name, file.read(10))
        elif name == b"EXIF":
            turned = is_turned(file.read(min(chunk, EXIF_BYTES)).removeprefix(b"Exif\0\0"))
        file.seek(end)
    if frame is None or canvas not in (None, frame):
        _refuse("a whole file")
    return *frame, turned


def _canvas(data: bytes) -> tuple[int, int]:
    if data[0] & 0x02:
        _refuse("a still image")
    return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1


def _frame(name: bytes, data: bytes) -> tuple[int, int]:
    """Return the size that stands at the beginning of the data of a lossy or a lossless image."""
    if name == b"VP8 ":
        start, width, height = struct.unpack("<3x3sHH", data)
        if start != b"\x9d\x01\x2a":
            _refuse("a whole file")
        return width & 0x3FFF, height & 0x3FFF
    signature, bits = struct.unpack("<BI", data[:5])
    if signature != 0x2F:
        _refuse("a whole file")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _refuse(limit: str) -> NoReturn:
    raise BadImage(limit=limit)
