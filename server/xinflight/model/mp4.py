"""Read size and duration of an MP4 from its boxes (ISO/IEC 14496-12). No I/O but on a given file."""

import struct
from collections.abc import Iterator
from typing import IO, Any

from msgspec import Struct

__all__ = ["Mp4Info", "is_mp4", "read_mp4"]

_BRANDS = (b"iso", b"mp4", b"avc1", b"M4V ")
"""Beginnings of the brands of films. The same container holds pictures, with brands like `avif` and `heic`."""
MAX_BOXES = 500
"""Maximum number of boxes that are looked at. Films have some 30; a hostile file of 20 MB could have two million."""


class Mp4Info(Struct, frozen=True, kw_only=True):
    """Width and height in pixels, and seconds, of the first video track. The file may leave the duration open."""

    width: int
    height: int
    duration: float | None


def is_mp4(start: bytes) -> bool:
    """Tell by the first 12 bytes whether a file is an MP4 with a film."""
    return start[4:8] == b"ftyp" and start[8:12].startswith(_BRANDS)


def read_mp4(file: IO[bytes], size: int) -> Mp4Info | None:
    """Return what a file of `size` bytes is, or None without a readable video track.

    The header may stand behind the frames, as ffmpeg writes it, so the file is seeked in; some 1 KB of it is read.
    Raises nothing but OSError, whatever the file has.
    """
    boxes = _Boxes(file)
    try:
        for kind, start, end in boxes.within(0, size):
            if kind == b"moov":
                tracks = (_track(boxes, *box) for kind, *box in boxes.within(start, end) if kind == b"trak")
                return next((track for track in tracks if track is not None), None)
    except struct.error:
        # It ends within a box.
        pass
    return None


class _Boxes:
    """Reads the boxes of a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MAX_BOXES

    def within(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield kind, start and end of the content of each box between two places (section 4.2)."""
        while start + 8 <= end and self._left:
            self._left -= 1
            length, kind = self.read(start, ">I4s")
            header = 8
            if length == 1:
                (length,) = self.read(start + 8, ">Q")
                header = 16
            elif length == 0:
                # To the end of what it is in.
                length = end - start
            if length < header or start + length > end:
                return
            yield kind, start + header, start + length
            start += length

    def read(self, at: int, form: str) -> tuple[Any, ...]:
        """Return the values at a place; raise struct.error if the file ends before."""
        self._file.seek(at)
        return struct.unpack(form, self._file.read(struct.calcsize(form)))

    def is_wide(self, at: int) -> bool:
        """Tell whether a box is of version 1, which has times of 64 bits."""
        return self.read(at, ">B") == (1,)


def _track(boxes: _Boxes, start: int, end: int) -> Mp4Info | None:
    """Return what a `trak` tells if it is a video."""
    width = height = 0
    for kind, at, until in boxes.within(start, end):
        if kind == b"tkhd":
            # 16.16 fixed point (section 8.3.2).
            sides = boxes.read(at + (88 if boxes.is_wide(at) else 76), ">II")
            width, height = (side >> 16 for side in sides)
        elif kind == b"mdia":
            duration = _video_duration(boxes, at, until)
            if duration is not None and width and height:
                return Mp4Info(width=width, height=height, duration=duration or None)
    return None


def _video_duration(boxes: _Boxes, start: int, end: int) -> float | None:
    """Return the seconds that an `mdia` tells, 0 if it leaves them open; None if it is no video."""
    duration, is_video = 0.0, False
    for kind, at, _ in boxes.within(start, end):
        if kind == b"mdhd":
            wide = boxes.is_wide(at)
            scale, length = boxes.read(at + (20 if wide else 12), ">IQ" if wide else ">II")
            # All ones: not known (section 8.4.2).
            known = scale and length != (2**64 - 1 if wide else 2**32 - 1)
            duration = length / scale if known else 0.0
        elif kind == b"hdlr":
            is_video = boxes.read(at + 8, ">4s") == (b"vide",)
    return duration if is_video else None
