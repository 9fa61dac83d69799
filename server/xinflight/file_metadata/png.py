"""Text in PNG files (W3C PNG, third edition, sections 5 and 11.3.3). No I/O."""

import struct
import zlib
from collections.abc import Iterator

from xinflight.file_metadata.pieces import Pieces

__all__ = ["embed_in_png", "png_without_parameters"]

HEADER_BYTES = 33
"""The signature and the chunk IHDR, which is always the first one."""
_PARAMETERS = b"parameters"
_XMP = b"XML:com.adobe.xmp"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PLAIN = bytes(4)
"""Between keyword and text of an iTXt: not compressed, no language, no translated keyword."""


def embed_in_png(data: bytes, xmp: bytes, parameters: str | None) -> Pieces | None:
    """Return the pieces of a file with an XMP packet and parameters, unless it has some; None if it is no whole PNG.

    They stand before the pixels, where programs look for them that read no further.
    """
    if data[12:16] != b"IHDR" or len(data) < HEADER_BYTES:
        return None
    there = {keyword for keyword, _, _ in _texts(data)}
    new = []
    if parameters is not None and _PARAMETERS not in there:
        new.append(_text(_PARAMETERS, parameters))
    if _XMP not in there:
        new.append(_chunk(b"iTXt", _XMP + b"\0" + _PLAIN + xmp))
    view = memoryview(data)
    return [view[:HEADER_BYTES], *new, view[HEADER_BYTES:]]


def png_without_parameters(data: bytes) -> Pieces | None:
    """Return the pieces of a file but for its parameters, None if it has none."""
    view = memoryview(data)
    return next(([view[:start], view[end:]] for keyword, start, end in _texts(data) if keyword == _PARAMETERS), None)


def _texts(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield keyword, start and end of each chunk of text before the pixels."""
    at = HEADER_BYTES
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        kind = data[at + 4 : at + 8]
        if kind == b"IDAT" or end > len(data):
            return
        if kind in _TEXTS:
            yield data[at + 8 : at + 8 + 80].partition(b"\0")[0], at, end
        at = end


def _text(keyword: bytes, text: str) -> bytes:
    try:
        return _chunk(b"tEXt", keyword + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", keyword + b"\0" + _PLAIN + text.encode("utf-8", "replace"))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(content)), kind, content, struct.pack(">I", zlib.crc32(kind + content))))
