"""MP4 files from frames, with the AV1 encoder that Pillow brings (extra `demo`).

Pillow writes animated AVIF, which is the same container with the same video track (ISO/IEC 14496-12; AVIF 1.1,
section 6). Only the marks differ that tell players whether it is a picture or a film. They are changed in place, so
that no offset into the file moves.
"""

import io
import struct
from collections.abc import Iterator, Sequence

from PIL import Image, features

__all__ = ["encode_mp4"]

SPEED = 10  # of the encoder, the fastest
QUALITY = 60
TICKS = 1000  # of a frame. Pillow takes whole milliseconds, so the length of a tick is set afterwards.
BRANDS = (b"isom", b"iso6", b"av01", b"mp41")
_CONTAINERS = {b"moov", b"trak", b"edts", b"mdia"}


def encode_mp4(frames: Sequence[Image.Image], fps: int) -> bytes:
    """Return an MP4 with one AV1 track; equal frames give equal bytes on one Pillow version.

    Takes some 10 ms a frame: call it in a thread.

    Raises:
        RuntimeError: this Pillow was built without AVIF.
    """
    if not features.check("avif"):
        raise RuntimeError("the demo makes videos with a Pillow that has AVIF, as its wheels do since 11.3")
    out = io.BytesIO()
    frames[0].save(
        out,
        "AVIF",
        save_all=True,
        append_images=frames[1:],
        duration=TICKS,
        quality=QUALITY,
        speed=SPEED,
        max_threads=1,
    )
    film = bytearray(out.getvalue())
    _mark_as_film(film, fps)
    return bytes(film)


def _mark_as_film(film: bytearray, fps: int) -> None:
    boxes = list(_boxes(film, 0, len(film)))
    [duration] = [struct.unpack_from(">Q", film, start + 24)[0] for kind, start, _ in boxes if kind == b"mdhd"]
    for kind, start, end in boxes:
        match kind:
            case b"ftyp":
                # Brands beyond those that are needed repeat one: the box keeps its length.
                film[start : start + 4] = BRANDS[0]
                for index, at in enumerate(range(start + 8, end, 4)):
                    film[at : at + 4] = BRANDS[min(index, len(BRANDS) - 1)]
            case b"meta":
                film[start - 4 : start] = b"free"  # describes the first frame as a picture
            case b"hdlr":
                film[start + 8 : start + 12] = b"vide"
            case b"mvhd" | b"tkhd" | b"mdhd":
                film[start + 4 : start + 20] = bytes(16)  # the times of creation and change
                if kind != b"tkhd":
                    struct.pack_into(">I", film, start + 20, TICKS * fps)
                if kind != b"mdhd":
                    # Endless, as pictures repeat; in `tkhd` the track's number stands before it.
                    struct.pack_into(">Q", film, start + (24 if kind == b"mvhd" else 28), duration)
            case b"elst":
                film[start + 3] = 0  # once, not for ever


def _boxes(data: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of each box, also of those in `moov`."""
    while start < end:
        length, kind = struct.unpack_from(">I4s", data, start)
        yield kind, start + 8, start + length
        if kind in _CONTAINERS:
            yield from _boxes(data, start + 8, start + length)
        start += length
