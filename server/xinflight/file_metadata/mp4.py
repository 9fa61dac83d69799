"""Labels in MP4 files (ISO/IEC 14496-12; ISO 16684-3; QuickTime's metadata; TC260-PG-20257A). No I/O.

Nothing before the frames may change its size, since the file has their places as numbers.
"""

import struct
from collections.abc import Iterator

from xinflight.file_metadata.pieces import Pieces

__all__ = ["embed_in_mp4"]

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_UTF8 = 1
_LABEL = b"AIGC"
_HEADER = struct.Struct(">I4s")
MAX_BOXES = 500
"""Maximum number of boxes that are looked at in one place; a film has some ten."""
_Box = tuple[bytes, int, int]


def embed_in_mp4(data: bytes, xmp: bytes, label: str) -> Pieces | None:
    """Return the pieces of a film with an XMP packet at its end, unless it has one; None if nothing can follow it.

    The label is also written where TC260-PG-20257A wants it, among the metadata in `moov`, if that is behind the
    frames, as ffmpeg writes it, and has no metadata that would be lost.
    """
    boxes = list(_boxes(data, 0, len(data)))
    if not boxes or boxes[-1][2] != len(data) or len(boxes) == MAX_BOXES or _is_open(data, boxes[-1]):
        return None
    if any(kind == b"uuid" and data.startswith(_XMP, start + 8) for kind, start, _ in boxes):
        return None
    packet = _box(b"uuid", _XMP, xmp)
    kind, start, end = boxes[-1]
    moov = _with_label(data, start, end, label) if kind == b"moov" else None
    view = memoryview(data)
    return [view, packet] if moov is None else [view[:start], moov, packet]


def _with_label(data: bytes, start: int, end: int, label: str) -> bytes | None:
    """Return a `moov` with a label, None if its metadata are not only the name of the encoder."""
    if int.from_bytes(data[start : start + 4]) != end - start:
        # Its header is a longer one.
        return None
    children = list(_boxes(data, start + _HEADER.size, end))
    metadata = [child for child in children if child[0] == b"udta"]
    inside = [box for _, at, until in metadata for box in _boxes(data, at + _HEADER.size, until)]
    if any(kind == b"meta" and not _names_encoder(data, at, until) for kind, at, until in inside):
        return None
    kept = (data[at:until] for kind, at, until in inside if kind != b"meta")
    others = (data[at:until] for kind, at, until in children if kind != b"udta")
    return _box(b"moov", *others, _box(b"udta", *kept, _metadata(label)))


def _metadata(label: str) -> bytes:
    """Return a `meta` with the label under its name."""
    handler = _box(b"hdlr", bytes(8), b"mdta", bytes(13))
    keys = _box(b"keys", struct.pack(">II", 0, 1), _box(b"mdta", _LABEL))
    value = _box(b"data", struct.pack(">II", _UTF8, 0), label.encode())
    # Named by its place among the keys, from 1.
    return _box(b"meta", bytes(4), handler, keys, _box(b"ilst", _box(struct.pack(">I", 1), value)))


def _names_encoder(data: bytes, start: int, end: int) -> bool:
    """Return whether a `meta` has nothing but the name of the encoder, which ffmpeg writes."""
    lists = [box for box in _boxes(data, start + 12, end) if box[0] == b"ilst"]
    items = [kind for _, at, until in lists for kind, _, _ in _boxes(data, at + _HEADER.size, until)]
    return items == [b"\xa9too"]


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    """Yield kind, start and end of each box between two places, the last one if it has no end of its own, too."""
    for _ in range(MAX_BOXES):
        if start + _HEADER.size > end:
            return
        size, kind = _HEADER.unpack_from(data, start)
        if size == 1 and start + 16 <= end:
            size = int.from_bytes(data[start + 8 : start + 16])
        elif size == 0:
            size = end - start
        if size < _HEADER.size or start + size > end:
            return
        yield kind, start, start + size
        start += size


def _is_open(data: bytes, box: _Box) -> bool:
    """Return whether a box goes on to the end of the file, whatever is added to it."""
    return data.startswith(bytes(4), box[1])


def _box(kind: bytes, *content: bytes) -> bytes:
    return b"".join((_HEADER.pack(_HEADER.size + sum(map(len, content)), kind), *content))
