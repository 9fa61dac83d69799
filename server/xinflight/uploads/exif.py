"""The orientation in the EXIF data of an image (CIPA DC-008, a TIFF file of its own). No I/O."""

import struct

__all__ = ["is_turned"]

_ORIENTATION = 0x0112
_TURNED = range(5, 9)
"""Orientations that exchange width and height."""
_ENTRIES = 1000


def is_turned(exif: bytes) -> bool:
    """Tell whether an image is shown turned by 90 degrees; data that can't be read turns nothing."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return False
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for number in range(min(count, _ENTRIES)):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * number)
            if tag == _ORIENTATION:
                return kind == 3 and value in _TURNED
    except struct.error:
        pass
    return False
