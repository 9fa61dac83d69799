"""Exif data with a comment (CIPA DC-008). No I/O."""

import struct

__all__ = ["exif_with_comment"]

_HEADER = struct.Struct(">2sHI")
_ENTRY = struct.Struct(">HHI4s")
_UNDEFINED, _LONG = 7, 4
_EXIF_IFD, _EXIF_VERSION, _USER_COMMENT = 0x8769, 0x9000, 0x9286
_MAIN_AT = _HEADER.size
_EXIF_AT = _MAIN_AT + 2 + _ENTRY.size + 4
_COMMENT_AT = _EXIF_AT + 2 + 2 * _ENTRY.size + 4


def exif_with_comment(text: str) -> bytes:
    """Return Exif data, without the marker that a JPEG has before them, with nothing but a `UserComment`."""
    # UTF-16 in the byte order of the file, as most programs write and read it; the standard leaves it open.
    comment = b"UNICODE\0" + text.encode("utf-16-be", "replace")
    return b"".join(
        (
            _HEADER.pack(b"MM", 42, _MAIN_AT),
            _directory((_EXIF_IFD, _LONG, 1, struct.pack(">I", _EXIF_AT))),
            _directory(
                (_EXIF_VERSION, _UNDEFINED, 4, b"0232"),
                (_USER_COMMENT, _UNDEFINED, len(comment), struct.pack(">I", _COMMENT_AT)),
            ),
            comment,
        )
    )


def _directory(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return a directory of entries, their tags in order, behind which there is none."""
    return struct.pack(">H", len(entries)) + b"".join(_ENTRY.pack(*entry) for entry in entries) + bytes(4)
