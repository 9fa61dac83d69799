"""Size and duration of MP4 files, from the boxes that encoders write, and from whatever else stands there."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xinflight.demo.mp4 import encode_mp4
from xinflight.errors import UpstreamGarbage
from xinflight.model import MediaInfo, identify, media_type_of
from xinflight.model.mp4 import MAX_BOXES


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def wide_box(kind: bytes, content: bytes) -> bytes:
    """Return a box whose length has 64 bits, as that of the frames of a long film."""
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


def track(kind: bytes = b"vide", *, wide: bool = False, length: int = 52, scale: int = 16) -> bytes:
    """Return a track of 832x480, 52/16 s long, with times of 32 or 64 bits."""
    times = 32 if wide else 20  # creation, change, track, reserved, duration
    head = bytes([wide, 0, 0, 7]) + bytes(times + 16 + 36) + struct.pack(">II", 832 << 16, 480 << 16)
    media = bytes([wide, 0, 0, 0]) + bytes(16 if wide else 8) + struct.pack(">IQ" if wide else ">II", scale, length)
    handler = box(b"hdlr", bytes(8), kind, bytes(13))
    return box(b"trak", box(b"tkhd", head), box(b"edts"), box(b"mdia", box(b"mdhd", media, bytes(4)), handler))


FTYP = box(b"ftyp", b"isom", bytes(4), b"isomiso2avc1mp41")
FRAMES = box(b"mdat", b"frame" * 1000)
FFMPEG = FTYP + box(b"free") + FRAMES + box(b"moov", box(b"mvhd", bytes(100)), track())
"""As ffmpeg writes it: the header is last."""


def info(data: bytes) -> tuple[int, int, float | None]:
    found = identify(data)
    assert found.media_type == "video/mp4"
    assert found.bytes == len(data)
    return found.width, found.height, found.duration


def test_a_film() -> None:
    """With the header behind the frames, and read from an open file as from bytes."""
    expected = MediaInfo(media_type="video/mp4", width=832, height=480, duration=3.25, bytes=len(FFMPEG))
    assert identify(FFMPEG) == expected == identify(io.BytesIO(FFMPEG))


@pytest.mark.parametrize(
    "data",
    [
        FTYP + box(b"moov", track(wide=True)) + FRAMES,
        FTYP + wide_box(b"mdat", b"frames") + box(b"moov", track()),
        FTYP + box(b"moov", track(b"soun"), track()) + FRAMES,
        FTYP + box(b"moov", track()) + struct.pack(">I4s", 0, b"mdat") + b"to the end",
    ],
    ids=["times of 64 bits", "length of 64 bits", "sound first", "no length"],
)
def test_other_orders_and_versions(data: bytes) -> None:
    assert info(data) == (832, 480, 3.25)


@pytest.mark.parametrize("fields", [{"scale": 0}, {"length": 2**32 - 1}, {"length": 2**64 - 1, "wide": True}])
def test_a_duration_that_is_left_open(fields: dict[str, Any]) -> None:
    assert info(FTYP + box(b"moov", track(**fields))) == (832, 480, None)


def test_a_film_of_the_demo() -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue", "white", "black")]
    assert info(encode_mp4(frames, 10)) == (64, 48, 0.5)


@pytest.mark.parametrize(
    "data",
    [
        FTYP,
        FTYP + FRAMES,
        FTYP + box(b"moov"),
        FTYP + box(b"moov", track(b"soun")),
        FFMPEG[:-60],
        FTYP + box(b"moov", box(b"trak", box(b"tkhd", b"\x01"))),
        FTYP + struct.pack(">I4s", 7, b"free") + box(b"moov", track()),
    ],
)
def test_a_film_without_a_video_is_garbage(data: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        identify(data)


@pytest.mark.parametrize("brand", [b"avif", b"avis", b"heic", b"mif1", b"qt  "])
def test_pictures_in_the_same_container_are_no_films(brand: bytes) -> None:
    assert media_type_of(box(b"ftyp", brand, bytes(4))) is None


class CountingFile(io.BytesIO):
    """Counts the reads."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


@pytest.mark.parametrize("nested", [False, True])
def test_a_film_of_boxes_without_end_is_given_up_soon(nested: bool) -> None:
    """Two million of them, side by side or as tracks of tracks."""
    empty = box(b"free") * 1000
    boxes = box(b"moov", *[box(b"trak", box(b"mdia", empty)) for _ in range(250)]) if nested else empty * 250
    file = CountingFile(FTYP + boxes)
    with pytest.raises(UpstreamGarbage):
        identify(file)
    assert file.reads < MAX_BOXES + 10


@given(st.integers(0, len(FFMPEG) - 1), st.integers(0, 255))
def test_whatever_stands_there_it_has_a_size_or_is_garbage(at: int, value: int) -> None:
    data = bytearray(FTYP + box(b"moov", track()) + box(b"mdat", b"x"))
    data[at % len(data)] = value
    try:
        found = identify(bytes(data))
    except UpstreamGarbage:
        return
    assert found.width > 0
    assert found.height > 0
