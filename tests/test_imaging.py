"""Images to start from become what Xinference needs, whatever camera or program they came from."""

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms

from images import encoded, gradient, opened, pixel
from xinflight.errors import BadImage, UpstreamGarbage
from xinflight.imaging import composite, covered_box, fitting_size, prepare_image, prepare_mask, upright_size

MANY = 2 * 10**6
SIZE = (96, 64)
BOUNDS: dict[str, Any] = {"least": 64, "most": 2048, "multiple": 16}


def prepared(data: bytes, size: tuple[int, int] = SIZE) -> Image.Image:
    image = opened(prepare_image(data, size, max_pixels=MANY))
    assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", size, {})
    return image


def mask_of(image: Image.Image, size: tuple[int, int] = SIZE, like: tuple[int, int] = SIZE) -> Image.Image:
    mask = opened(prepare_mask(encoded(image), size, image=like, max_pixels=MANY))
    assert (mask.format, mask.mode, mask.size) == ("PNG", "L", size)
    assert {value for _, value in mask.getcolors() or []} <= {0, 255}
    return mask


def difference(one: Image.Image, other: Image.Image) -> int:
    """Return the greatest difference of two pixels, of 255."""
    return max(high for _, high in ImageChops.difference(one, other).getextrema())  # type: ignore[misc]


# Sizes


@pytest.mark.parametrize(
    ("size", "fitting"),
    [
        ((96, 64), (96, 64)),
        ((1000, 750), (1008, 752)),
        ((4000, 3000), (2048, 1536)),
        ((3000, 4000), (1536, 2048)),
        ((20, 20), (64, 64)),
        ((10, 3000), (64, 2048)),
        ((1, 1), (64, 64)),
    ],
)
def test_the_size_that_follows_from_an_image(size: tuple[int, int], fitting: tuple[int, int]) -> None:
    assert fitting_size(size, **BOUNDS) == fitting


@given(st.tuples(st.integers(1, 20000), st.integers(1, 20000)), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_every_size_is_within_the_bounds_and_every_part_within_its_image(
    size: tuple[int, int], sixteens: tuple[int, int]
) -> None:
    fitting = fitting_size(size, **BOUNDS)
    assert all(64 <= side <= 2048 and side % 16 == 0 for side in fitting)
    left, top, right, bottom = covered_box(size, (16 * sixteens[0], 16 * sixteens[1]))
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert (right - left) / (bottom - top) == pytest.approx(sixteens[0] / sixteens[1])


# Images


def test_an_image_of_the_right_size_keeps_each_pixel() -> None:
    assert prepared(encoded(gradient())).tobytes() == gradient().tobytes()


def test_the_same_image_gives_the_same_bytes() -> None:
    data = encoded(gradient((301, 207)), "JPEG")
    assert prepare_image(data, SIZE, max_pixels=MANY) == prepare_image(data, SIZE, max_pixels=MANY)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_becomes_upright(orientation: int, form: str) -> None:
    """What a camera stored on its side, mirrored or upside down looks as in any viewer."""
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x9C9C] = b"who took it"
    image = gradient((192, 128))
    data = encoded(image if stored is None else image.transpose(stored), form, exif=exif, quality=95)
    assert upright_size(data) == (192, 128)
    assert difference(prepared(data, (192, 128)), image) < 12
    # Cut and scaled, too: the middle of it.
    middle = image.crop((32, 0, 160, 128)).resize((64, 64), Image.Resampling.LANCZOS)
    assert difference(prepared(data, (64, 64)), middle) < 12


def test_a_png_is_turned_as_it_says_behind_its_pixels() -> None:
    """As the PNG specification allows; Pillow reads up to the pixels only."""
    exif = Image.Exif()
    exif[0x0112] = 6
    early = encoded(gradient(), exif=exif)
    at = early.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(early[at : at + 4])
    late = early[:at] + early[end:-12] + early[at:end] + early[-12:]
    size = upright_size(early)
    assert upright_size(late) == size == gradient().size[::-1]
    assert prepare_image(late, size, max_pixels=MANY) == prepare_image(early, size, max_pixels=MANY)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"nonsense"])
def test_a_broken_orientation_is_none(exif: bytes) -> None:
    data = encoded(gradient(), "JPEG", exif=exif, quality=95)
    assert upright_size(data) == SIZE
    assert difference(prepared(data), gradient()) < 12


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_colour_mode_of_a_png(mode: str) -> None:
    grey = gradient().convert("L")
    image = grey.point(lambda value: value * 257, "I").convert("I;16") if mode == "I;16" else grey.convert(mode)
    if mode == "I;16":
        image = Image.frombytes("I;16", SIZE, b"".join(struct.pack("<H", value * 257) for value in grey.tobytes()))
    expected = image.convert("RGB") if mode == "1" else grey.convert("RGB")
    assert difference(prepared(encoded(image)), expected) < 8
    assert difference(prepared(encoded(image), (48, 32)), expected.resize((48, 32), Image.Resampling.LANCZOS)) < 16


def test_colours_of_print() -> None:
    """A JPEG in CMYK, without a profile: white paper is white, and full cyan has no red."""
    image = Image.new("CMYK", SIZE, (0, 0, 0, 0))
    image.paste((255, 0, 0, 0), (0, 0, 48, 64))
    done = prepared(encoded(image, "JPEG", quality=95))
    assert pixel(done, 80, 30) == (255, 255, 255)
    assert pixel(done, 10, 30)[0] < 10


def test_a_colour_profile_is_applied() -> None:
    """The values of a pixel change, since those of sRGB are to look the same."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(prepared(encoded(gradient(), icc_profile=srgb)), gradient()) <= 2
    swapped = _red_is_green(srgb)
    done = prepared(encoded(Image.new("RGB", SIZE, (255, 0, 0)), icc_profile=swapped))
    red, green, _ = pixel(done, 5, 5)
    assert green > 200 > red
    # One for other colours than the image has, and one that is none: its values stay.
    for useless in (profile.tobytes(), b"x" * 200):
        assert prepared(encoded(gradient(), icc_profile=useless)).tobytes() == gradient().tobytes()


def _red_is_green(srgb: bytes) -> bytes:
    """Return the profile of sRGB with the tags of its first two primaries swapped."""
    return srgb.replace(b"rXYZ", b"tmp!").replace(b"gXYZ", b"rXYZ").replace(b"tmp!", b"gXYZ")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(mode: str) -> None:
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    image.paste((40, 40, 40, 255), (0, 0, 48, 64))
    data = encoded(image.convert(mode)) if mode != "P" else encoded(image.quantize(8))
    done = prepared(data)
    assert pixel(done, 80, 30) == (255, 255, 255)
    assert max(abs(value - 40) for value in pixel(done, 10, 30)) <= 4


def test_other_proportions_are_cut_and_never_stretched() -> None:
    """A circle stays one."""
    image = Image.new("RGB", (400, 200), "white")
    image.paste("black", (150, 50, 250, 150))
    done = prepared(encoded(image), (64, 64))
    dark = ImageChops.invert(done.convert("L")).point([255 * (value > 128) for value in range(256)]).getbbox()
    assert dark == (16, 16, 48, 48)


def test_a_large_photograph_is_not_decoded_at_its_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A JPEG can be read at an eighth of its size."""
    decoded = []
    scaled = Image.Image.resize

    def resize(image: Image.Image, *args: Any, **options: Any) -> Image.Image:
        decoded.append(image.size)
        return scaled(image, *args, **options)

    data = encoded(gradient((1600, 1200)), "JPEG")
    monkeypatch.setattr(Image.Image, "resize", resize)
    prepared(data, (64, 48))
    assert decoded[0] == (200, 150)


# What is none


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


PNG = encoded(gradient())
JPEG = encoded(gradient(), "JPEG")
WEBP = encoded(gradient(), "WEBP")
HUGE = PNG[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)) + PNG[33:]
BOMB = PNG[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 2 * 2**20)) + PNG[33:]
FRAMES = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue")]
BAD = {
    "nothing": b"",
    "text": b"not an image",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
    "gif": encoded(gradient(), "GIF"),
    "bmp": encoded(gradient(), "BMP"),
    "tiff": encoded(gradient(), "TIFF"),
    "half a png": PNG[: len(PNG) // 2],
    "half a jpeg": JPEG[: len(JPEG) // 2],
    "half a webp": WEBP[: len(WEBP) // 2],
    "only a header": PNG[:33],
    "a png damaged inside": PNG[:60] + bytes(40) + PNG[100:],
    "400 megapixels": HUGE,
    "a text that unpacks to megabytes": BOMB,
    "animated png": encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
    "animated webp": encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_usable_image_is_refused(data: bytes) -> None:
    with pytest.raises(BadImage):
        prepare_image(data, SIZE, max_pixels=MANY)
    with pytest.raises(BadImage):
        prepare_mask(data, SIZE, image=SIZE, max_pixels=MANY)


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded() -> None:
    """The file ends after its header."""
    header = PNG[:60]
    with pytest.raises(BadImage) as caught:
        prepare_image(header, SIZE, max_pixels=96 * 64 - 1)
    assert caught.value.limit == "6143 pixels"


@given(st.binary(max_size=300), st.integers(0, 2**31))
def test_damage_is_never_anything_but_damage(noise: bytes, place: int) -> None:
    """Whatever is wrong with a file, one error says so; what can be read is read."""
    for data in (PNG, JPEG, WEBP):
        at = place % len(data)
        try:
            prepared(data[:at] + noise + data[at + len(noise) :])
        except BadImage:
            pass


# Masks


def half(mode: str, background: Any, left: Any) -> Image.Image:
    image = Image.new(mode, SIZE, background)
    image.paste(left, (0, 0, 48, 64))
    return image


LEFT = half("L", 0, 255)


@pytest.mark.parametrize(
    "image",
    [
        half("L", 0, 255),
        half("RGB", "black", "white"),
        half("1", 0, 1),
        half("RGBA", "black", "white"),
        half("RGBA", (9, 9, 9, 255), (0, 0, 0, 0)),
        half("RGBA", (255, 255, 255, 255), (255, 255, 255, 0)),
        half("LA", (255, 255), (255, 0)),
        half("L", 127, 128),
        half("RGBA", (0, 0, 0, 128), (0, 0, 0, 127)),
        half("RGBA", (0, 0, 0, 128), (0, 0, 0, 127)).quantize(4),
        half("RGB", "black", "white").quantize(2),
    ],
)
def test_what_is_transparent_or_white_is_repainted(image: Image.Image) -> None:
    """The alpha counts where there is any; soft edges become hard ones, at 128."""
    assert mask_of(image).tobytes() == LEFT.tobytes()


def test_a_mask_is_cut_and_scaled_as_its_image() -> None:
    """What is marked in the one is at the same place of the other."""
    image = Image.new("RGB", (400, 200), "white")
    image.paste("black", (150, 50, 250, 150))
    mask = Image.new("L", (400, 200), 0)
    mask.paste(255, (150, 50, 250, 150))
    done = mask_of(mask, (64, 64), (400, 200))
    assert done.getbbox() == (16, 16, 48, 48)
    black = prepared(encoded(image), (64, 64)).convert("L").point([255 * (value < 128) for value in range(256)])
    assert black.tobytes() == done.tobytes()


def test_a_mask_may_cover_everything_but_not_nothing() -> None:
    assert mask_of(Image.new("L", SIZE, 255)).getextrema() == (255, 255)
    assert mask_of(Image.new("RGBA", SIZE, (0, 0, 0, 0))).getextrema() == (255, 255)
    for nothing in (
        Image.new("L", SIZE, 0),
        Image.new("RGBA", SIZE, (0, 0, 0, 255)),
        Image.new("RGBA", SIZE, (90, 90, 90, 255)),
    ):
        with pytest.raises(BadImage) as caught:
            mask_of(nothing)
        assert caught.value.field == "mask"


def test_a_mask_has_the_size_of_its_image() -> None:
    """Upright, both of them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(LEFT.transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert opened(prepare_mask(turned, SIZE, image=SIZE, max_pixels=MANY)).tobytes() == LEFT.tobytes()
    with pytest.raises(BadImage) as caught:
        prepare_mask(turned, SIZE, image=(64, 96), max_pixels=MANY)
    assert (caught.value.field, caught.value.limit) == ("mask", "the size of image: 64x96")


# Putting together


def test_only_what_the_mask_covers_changes() -> None:
    """What was made comes as a JPEG, all of whose pixels differ a little; the kept ones are those of the start."""
    start = prepare_image(encoded(gradient()), SIZE, max_pixels=MANY)
    mask = prepare_mask(encoded(LEFT), SIZE, image=SIZE, max_pixels=MANY)
    made = encoded(Image.effect_noise(SIZE, 90).convert("RGB"), "JPEG")
    done = opened(composite(start, mask, made))
    assert (done.format, done.mode, done.size) == ("PNG", "RGB", SIZE)
    assert done.crop((48, 0, 96, 64)).tobytes() == gradient().crop((48, 0, 96, 64)).tobytes()
    assert done.crop((0, 0, 48, 64)).tobytes() == opened(made).crop((0, 0, 48, 64)).tobytes()
    assert composite(start, mask, made) == composite(start, mask, made)


def test_what_was_made_in_another_size_is_scaled() -> None:
    start = prepare_image(encoded(gradient()), SIZE, max_pixels=MANY)
    mask = prepare_mask(encoded(LEFT), SIZE, image=SIZE, max_pixels=MANY)
    done = opened(composite(start, mask, encoded(Image.new("RGB", (192, 128), "red"), "JPEG", quality=95)))
    assert done.size == SIZE
    assert pixel(done, 5, 5)[0] > 240


def test_what_was_made_and_is_no_image_is_the_upstreams_fault() -> None:
    start = prepare_image(encoded(gradient()), SIZE, max_pixels=MANY)
    mask = prepare_mask(encoded(LEFT), SIZE, image=SIZE, max_pixels=MANY)
    for made in (b"", b"<html>", JPEG[: len(JPEG) // 2]):
        with pytest.raises(UpstreamGarbage):
            composite(start, mask, made)


def test_what_is_sent_has_nothing_but_pixels() -> None:
    """Not the place where a photograph was taken, nor any other text."""
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    data = encoded(gradient(), "JPEG", exif=exif, comment=b"a secret word")
    assert b"secret" in data
    done = prepare_image(data, SIZE, max_pixels=MANY)
    names = [done[at + 4 : at + 8] for at in _chunks(done)]
    assert set(names) == {b"IHDR", b"IDAT", b"IEND"}


def _chunks(png: bytes) -> list[int]:
    at, found = 8, []
    stream = io.BytesIO(png)
    while at < len(png):
        found.append(at)
        stream.seek(at)
        at += 12 + struct.unpack(">I", stream.read(4))[0]
    return found
