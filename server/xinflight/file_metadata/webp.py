"""Exif and XMP in WebP files (RFC 9649, section 2). No I/O."""

import struct
from collections.abc import Iterator

from xinflight.file_metadata.exif import exif_with_comment
from xinflight.file_metadata.pieces import Pieces

__all__ = ["embed_in_webp", "webp_without_parameters"]

_RIFF = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")
_HAS_EXIF, _HAS_XMP, _HAS_ALPHA = 0x08, 0x04, 0x10
_EXTENDED_BYTES = 10
"""Size of the content of VP8X: a byte of flags, three reserved ones, and the size of the canvas."""


def embed_in_webp(data: bytes, xmp: bytes, parameters: str | None) -> Pieces | None:
    """Return the pieces of a file with an XMP packet and parameters, unless it has some; None if it is damaged."""
    chunks = {kind: (start, end) for kind, start, end in _chunks(data)}
    extended = _extended(data, chunks)
    if extended is None or max(end for _, end in chunks.values()) < len(data):
        return None
    new = []
    if parameters is not None and b"EXIF" not in chunks:
        new.append(_chunk(b"EXIF", exif_with_comment(parameters)))
        extended[8] |= _HAS_EXIF
    if b"XMP " not in chunks:
        new.append(_chunk(b"XMP ", xmp))
        extended[8] |= _HAS_XMP
    rest = chunks[b"VP8X"][1] if b"VP8X" in chunks else _RIFF.size
    return _whole([bytes(extended), memoryview(data)[rest:], *new])


def webp_without_parameters(data: bytes) -> Pieces | None:
    """Return the pieces of a file but for its Exif data, None if it has none."""
    chunks = {kind: (start, end) for kind, start, end in _chunks(data)}
    if b"EXIF" not in chunks or b"VP8X" not in chunks:
        return None
    extended = bytearray(data[slice(*chunks[b"VP8X"])])
    extended[8] &= ~_HAS_EXIF
    start, end = chunks[b"EXIF"]
    view = memoryview(data)
    return _whole([bytes(extended), view[chunks[b"VP8X"][1] : start], view[end:]])


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk, with the byte that makes its size even."""
    at = _RIFF.size
    while at + _CHUNK.size <= len(data):
        kind, size = _CHUNK.unpack_from(data, at)
        end = at + _CHUNK.size + size + size % 2
        if end > len(data):
            return
        yield kind, at, end
        at = end


def _extended(data: bytes, chunks: dict[bytes, tuple[int, int]]) -> bytearray | None:
    """Return the chunk VP8X of a file, or one for a file without; None if it has no image."""
    if b"VP8X" in chunks:
        start, end = chunks[b"VP8X"]
        return bytearray(data[start:end]) if end - start == _CHUNK.size + _EXTENDED_BYTES else None
    if b"VP8L" in chunks:
        # Two sides of 14 bits, less one each, then whether there is alpha (RFC 9649 section 3.4).
        bits = int.from_bytes(data[chunks[b"VP8L"][0] + 9 :][:4], "little")
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    elif b"VP8 " in chunks:
        # Two sides of 14 bits, with two bits of scaling each (RFC 6386 section 9.1).
        sides = data[chunks[b"VP8 "][0] + 14 :][:4]
        width, height = ((int.from_bytes(side, "little") & 0x3FFF) - 1 for side in (sides[:2], sides[2:]))
        alpha = 0
    else:
        return None
    if width < 0 or height < 0:
        return None
    flags = bytes((_HAS_ALPHA if alpha else 0, 0, 0, 0))
    return bytearray(_chunk(b"VP8X", flags + width.to_bytes(3, "little") + height.to_bytes(3, "little")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(kind, len(content)) + content + bytes(len(content) % 2)


def _whole(pieces: Pieces) -> Pieces:
    """Return the pieces of a file with these chunks."""
    return [_RIFF.pack(b"RIFF", 4 + sum(len(piece) for piece in pieces), b"WEBP"), *pieces]
