"""Decoding, scaling and encoding with Pillow (extra `images`)."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ExifTags, Image, ImageCms

from xinflight.errors import BadImage, UpstreamGarbage
from xinflight.imaging.sizes import Size, covered_box

__all__ = ["composite", "prepare_image", "prepare_mask", "thumbnail", "upright_size"]

FORMATS = ("JPEG", "PNG", "WEBP")
"""What Pillow may try: it has decoders for some forty more formats, few of them looked at by anybody."""
WHITE = 128
"""The least value of 255 that counts as white, as Xinference counts it."""
GAP = 2.0
"""An image is reduced cheaply to no less than this many times its size before it is scaled well (`reducing_gap`)."""
UPSTREAM_LEVEL = 1
"""zlib's level for what is sent to Xinference and thrown away: a fifth of the time of the default."""
QUALITY = 80
"""WebP's quality of a thumbnail, at which it shows no trace of compression beside the image."""
XMP_BYTES = 4096
"""Bytes up to which a thumbnail keeps the XMP packet of its image, which says that a model made it."""
EFFORT = 2
"""WebP's `method`: three quarters of the time of the default, for files that are a tenth larger."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets an image upright, by its orientation (Exif 2.32, tag 0x0112)."""
_SIDEWAYS = (5, 6, 7, 8)


def upright_size(data: bytes) -> Size:
    """Return width and height of an image as it is looked at, without decoding it."""
    with _damage():
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    return _turned(image.size, _orientation(image, data))


def prepare_image(data: bytes, size: Size, max_pixels: int) -> bytes:
    """Return an image as a PNG in sRGB, upright, opaque and of exactly a size."""
    with _damage():
        image = _opened(data, max_pixels)
        orientation = _orientation(image, data)
        profile = image.info.get("icc_profile")
        wanted = _turned(size, orientation)
        # Decodes a JPEG at a half, a quarter or an eighth of its size where that is enough.
        image.draft(None, (round(wanted[0] * GAP), round(wanted[1] * GAP)))
        # First scaled, then turned and coloured: these copy it.
        image = _upright(_scaled(_flexible(image), wanted), orientation)
        return _as_png(_in_srgb(_opaque(image), profile), UPSTREAM_LEVEL)


def prepare_mask(data: bytes, size: Size, like: Size, max_pixels: int) -> bytes:
    """Return a mask as a PNG, white where the image is to be repainted and black elsewhere, of exactly a size."""
    with _damage():
        image = _opened(data, max_pixels)
        orientation = _orientation(image, data)
        upright = _turned(image.size, orientation)
        if upright != like:
            raise BadImage(field="mask", limit=f"the size of image: {like[0]}x{like[1]}")
        flexible = _flexible(image)
        if "A" in flexible.getbands() and flexible.getextrema()[-1] != (255, 255):
            # Inverted: transparent is to be repainted.
            grey = flexible.getchannel("A").point([255 - value for value in range(256)])
        else:
            grey = _opaque(flexible).convert("L")
        del flexible
        mask = _upright(_scaled(grey, _turned(size, orientation)), orientation)
        mask = mask.point([255 if value >= WHITE else 0 for value in range(256)])
    if mask.getextrema() == (0, 0):
        raise BadImage(field="mask", limit="something to repaint: transparent, or white")
    return _as_png(mask, UPSTREAM_LEVEL)


def composite(start: bytes, mask: bytes, made: bytes) -> bytes:
    """Return a PNG of what was made where the mask is white, and of each pixel of the start where it is black."""
    kept, white = Image.open(io.BytesIO(start)), Image.open(io.BytesIO(mask))
    try:
        painted = Image.open(io.BytesIO(made), formats=FORMATS).convert("RGB")
    except Exception as error:
        # Of any kind, as in `_damage`.
        raise UpstreamGarbage(detail=f"the answer's image can't be decoded: {error}") from error
    if painted.size != kept.size:
        painted = painted.resize(kept.size, Image.Resampling.LANCZOS)
    return _as_png(Image.composite(painted, kept, white))


def thumbnail(data: bytes, side: int, max_pixels: int) -> bytes:
    """Return an image as a WebP in sRGB, upright, whose longer side has at most `side` pixels."""
    with _damage():
        image = _opened(data, max_pixels)
        orientation = _orientation(image, data)
        profile = image.info.get("icc_profile")
        xmp = image.info.get("xmp", b"")
        scale = min(1.0, side / max(image.size))
        wanted = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image.draft(None, (round(wanted[0] * GAP), round(wanted[1] * GAP)))
        image = _upright(_scaled(_flexible(image), wanted), orientation)
        # Colours with alpha are left as they are: `_in_srgb` would make them opaque.
        coloured = image if "A" in image.getbands() else _in_srgb(image, profile)
        coloured.info.clear()
        out = io.BytesIO()
        coloured.save(out, "WEBP", quality=QUALITY, method=EFFORT, xmp=xmp if len(xmp) <= XMP_BYTES else b"")
        return out.getvalue()


@contextmanager
def _damage() -> Iterator[None]:
    """Turn whatever Pillow raises at a damaged image into BadImage: of what kind it is depends on the damage."""
    try:
        yield
    except (BadImage, MemoryError):
        raise
    except Exception as error:
        raise BadImage(detail=f"{type(error).__name__}: {error}") from error


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    """Open an image, of which only the header is read; raises BadImage, and whatever Pillow raises."""
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > max_pixels:
        raise BadImage(limit=f"{max_pixels} pixels")
    # Photographs for both eyes (MPO) have several frames, too, and the first one is a photograph.
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise BadImage(limit="not animated")
    return image


def _orientation(image: Image.Image, data: bytes) -> int:
    """Return how an image is to be turned: 1 as it is; whatever makes no sense counts as that."""
    exif = Image.Exif()
    try:
        # Not `getexif`, which decodes a PNG without any.
        exif.load(image.info.get("exif") or (_late_exif(data) if image.format == "PNG" else b""))
    except Exception:
        # Nobody but us misses it.
        return 1
    orientation = exif.get(ExifTags.Base.Orientation)
    return orientation if orientation in _TURNS else 1


def _late_exif(data: bytes) -> bytes:
    """Return the EXIF data of a PNG that stand behind the pixels, up to which Pillow reads at first."""
    at = 8
    while at + 8 <= len(data):
        start, length = at + 8, int.from_bytes(data[at : at + 4])
        if data[at + 4 : start] == b"eXIf":
            return data[start : start + length]
        at = start + length + 4
    return b""


def _turned(size: Size, orientation: int) -> Size:
    return (size[1], size[0]) if orientation in _SIDEWAYS else size


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _flexible(image: Image.Image) -> Image.Image:
    """Return an image in a mode that can be scaled well: no palette, 8 bits for each colour, alpha as a channel."""
    if image.mode.startswith("I"):
        # 16 bits of grey; a conversion would cut at 255.
        return image.point(lambda value: value * (1 / 257)).convert("L")
    if image.has_transparency_data:
        return image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
    return image.convert({"1": "L", "P": "RGB"}[image.mode]) if image.mode in ("1", "P") else image


def _scaled(image: Image.Image, size: Size) -> Image.Image:
    if image.size == size:
        return image
    box = covered_box(image.size, size)
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=GAP)


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image on white."""
    if "A" not in image.getbands():
        return image
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image in the colours of sRGB; one whose profile can't be used keeps its values."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            return image.convert("RGB")
        assert converted is not None  # it is not done in place
        return converted
    return image.convert("RGB")


def _as_png(image: Image.Image, level: int = -1) -> bytes:
    # The place where a photograph was taken, for one, is nobody's business.
    image.info.clear()
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=level)
    return out.getvalue()
