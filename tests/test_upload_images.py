"""Which files are images that can be used, by their structure alone."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_files import BAD, GOOD, animation, image_file, png, turned
from xinflight.errors import BadImage
from xinflight.model import MediaInfo
from xinflight.uploads.exif import is_turned
from xinflight.uploads.image_file import check_image

MOST = 64_000_000


def check(data: bytes, most: int = MOST) -> MediaInfo:
    return check_image(io.BytesIO(data), len(data), most)


@pytest.mark.parametrize("name", GOOD)
def test_what_an_image_is_follows_from_its_bytes(name: str) -> None:
    data, media_type = GOOD[name]
    assert check(data) == MediaInfo(media_type=media_type, width=64, height=48, bytes=len(data))


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_usable_image_is_refused(name: str) -> None:
    with pytest.raises(BadImage) as refused:
        check(BAD[name])
    assert refused.value.limit


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("svg", "a PNG, JPEG or WebP"),
        ("animated gif", "a PNG, JPEG or WebP"),
        ("animated png", "a still image"),
        ("animated webp", "a still image"),
        ("png without its end", "a whole file"),
        ("jpeg without its end", "a whole file"),
        ("webp cut in the middle", "a whole file"),
        ("png of 400 megapixels", f"1 to {MOST} pixels"),
        ("jpeg of 4295 megapixels", f"1 to {MOST} pixels"),
        ("jpeg of 12 bits", "a JPEG of 8 bits"),
        ("png of a million chunks", "at most 50000 chunks"),
    ],
)
def test_the_refusal_says_what_would_do(name: str, limit: str) -> None:
    with pytest.raises(BadImage) as refused:
        check(BAD[name])
    assert refused.value.limit == limit


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_size_is_that_of_the_image_as_it_is_shown(kind: str) -> None:
    shown = {check(turned(kind, orientation)).width for orientation in (1, 2, 3, 4)}
    assert shown == {64}
    for orientation in (5, 6, 7, 8):
        info = check(turned(kind, orientation))
        assert (info.width, info.height) == (48, 64)


def test_orientations_that_make_no_sense_turn_nothing() -> None:
    for orientation in (0, 9, 65535):
        assert check(turned("JPEG", orientation)).width == 64
    for size in range(40):
        assert not is_turned(b"MM\0*" + b"\xff" * size)
        assert not is_turned(b"MM\0*" + bytes(size))


def test_the_number_of_pixels_is_bounded_exactly() -> None:
    assert check(png(8000, 8000)).width == 8000
    with pytest.raises(BadImage):
        check(png(8000, 8001))


def test_a_canvas_of_another_size_than_the_image_is_refused() -> None:
    """The header would promise a small image, and the decoder would make a large one."""
    webp = image_file("WEBP", mode="RGBA")
    assert webp[12:16] == b"VP8X"
    small = webp[:24] + (0).to_bytes(3, "little") * 2 + webp[30:]
    with pytest.raises(BadImage):
        check(small)


def test_a_flag_alone_makes_an_animation() -> None:
    webp = bytearray(image_file("WEBP", mode="RGBA"))
    webp[20] |= 0x02
    with pytest.raises(BadImage) as refused:
        check(bytes(webp))
    assert refused.value.limit == "a still image"


def test_a_bomb_is_not_inflated() -> None:
    """A PNG of 64 pixels whose data inflates to 50 MB is only looked at from outside."""
    assert check(png(8, 8, bytes(50_000_000))).width == 8


@given(st.binary(max_size=400), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\1\0\0WEBP"]))
def test_bytes_at_random_are_refused(data: bytes, start: bytes) -> None:
    """With the beginning of a format in front, whatever follows is an image or a BadImage."""
    try:
        check(start + data)
    except BadImage:
        pass


@given(st.data())
def test_any_damage_is_an_image_or_refused(drawn: st.DataObject) -> None:
    data = bytearray(drawn.draw(st.sampled_from([data for data, _ in GOOD.values()] + [animation("WEBP")])))
    for place in drawn.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=8)):
        data[place] = drawn.draw(st.integers(0, 255))
    cut = drawn.draw(st.integers(0, len(data)))
    for damaged in (bytes(data), bytes(data[:cut])):
        try:
            assert check(damaged).width * check(damaged).height <= MOST
        except BadImage:
            pass


def test_lengths_that_lead_back_end() -> None:
    """A segment whose length is less than its own two bytes would begin before itself."""
    jpeg = image_file("JPEG")
    for length in (0, 1):
        with pytest.raises(BadImage):
            check(jpeg[:4] + struct.pack(">H", length) + jpeg[6:])


class CountedReads(io.BytesIO):
    """A file that counts how often it is read."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


def test_filling_before_markers_costs_little_however_much_it_is() -> None:
    """T.81 allows any number of FF bytes there: a file of nothing else took a second, in which little else ran."""
    jpeg = image_file("JPEG", (64, 48))
    filled = jpeg[:2] + b"\xff" * 1_000_000 + jpeg[2:]
    file = CountedReads(filled)
    assert check_image(file, len(filled), 10_000).width == 64
    assert file.reads < 5_000
    assert check_image(io.BytesIO(jpeg[:2] + b"\xff" * 511 + jpeg[2:]), len(jpeg) + 511, 10_000).height == 48
    with pytest.raises(BadImage):
        check_image(io.BytesIO(jpeg[:2] + b"\xff" * 1000), 1002, 10_000)
