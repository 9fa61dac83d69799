"""Exif and XMP in JPEG files (ITU-T T.81, annex B; CIPA DC-008; ISO 16684-3). No I/O."""

import struct
from collections.abc import Iterator

from xinflight.file_metadata.exif import exif_with_comment
from xinflight.file_metadata.pieces import Pieces

__all__ = ["embed_in_jpeg", "jpeg_without_parameters"]

SEGMENT_BYTES = 65533
"""Maximum size of a segment's content."""
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_APP0, _APP1 = 0xE0, 0xE1
_SCAN = (0xDA, 0xD9)
"""Markers behind which there are no more segments to look at: of the pixels, and of the end."""


def embed_in_jpeg(data: bytes, xmp: bytes, parameters: str | None) -> Pieces:
    """Return the pieces of a file with an XMP packet and parameters, unless it has some.

    Parameters that are too long for a segment, of some 30,000 characters, are left out.
    """
    start, has_exif, has_xmp = 2, False, False
    for marker, at, end in _segments(data):
        if marker == _APP0 and at == start:
            # JFIF asks to be the first one.
            start = end
        has_exif = has_exif or (marker == _APP1 and data.startswith(_EXIF, at + 4))
        has_xmp = has_xmp or (marker == _APP1 and data.startswith(_XMP, at + 4))
    new: list[bytes] = []
    if parameters is not None and not has_exif:
        exif = _EXIF + exif_with_comment(parameters)
        if len(exif) <= SEGMENT_BYTES:
            new.append(_segment(exif))
    if not has_xmp:
        new.append(_segment(_XMP + xmp))
    view = memoryview(data)
    return [view[:start], *new, view[start:]]


def jpeg_without_parameters(data: bytes) -> Pieces | None:
    """Return the pieces of a file but for its Exif data, None if it has none."""
    view = memoryview(data)
    return next(
        (
            [view[:at], view[end:]]
            for marker, at, end in _segments(data)
            if marker == _APP1 and data.startswith(_EXIF, at + 4)
        ),
        None,
    )


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment before the pixels."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in _SCAN:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if end > len(data) or end < at + 4:
            return
        yield data[at + 1], at, end
        at = end


def _segment(content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, _APP1, len(content) + 2) + content
