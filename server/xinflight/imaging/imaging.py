"""What needs Pillow, which is imported at the first call: most servers never see an image to start from.

All of it takes from milliseconds to seconds and belongs on a thread.
"""

from importlib.util import find_spec

from xinflight.errors import ImagesUnsupported
from xinflight.imaging.sizes import Size

__all__ = ["check_pillow", "composite", "has_pillow", "prepare_image", "prepare_mask", "thumbnail", "upright_size"]


HAS_PILLOW = find_spec("PIL") is not None
"""Looked for once, since that reads folders."""


def has_pillow() -> bool:
    """Return whether Pillow is installed."""
    return HAS_PILLOW


def check_pillow() -> None:
    """Raise ImagesUnsupported if Pillow is not installed."""
    if not HAS_PILLOW:
        raise ImagesUnsupported(limit="pip install 'xinflight[images]'")


def thumbnail(data: bytes, side: int, *, max_pixels: int) -> bytes:
    """Return an image as a WebP in sRGB, upright, whose longer side has at most `side` pixels.

    Raises:
        BadImage: it is no JPEG, PNG or WebP, damaged, animated, or has more than `max_pixels`.
    """
    from xinflight.imaging import pixels

    return pixels.thumbnail(data, side, max_pixels)


def upright_size(data: bytes) -> Size:
    """Return width and height of an image as it is looked at, in pixels, without decoding it; raises BadImage."""
    from xinflight.imaging import pixels

    return pixels.upright_size(data)


def prepare_image(data: bytes, size: Size, *, max_pixels: int) -> bytes:
    """Return an image as a PNG in sRGB, upright, opaque, of exactly a size, with nothing in it but pixels.

    What is transparent becomes white. The middle of it that has the proportions of `size` is scaled. One that has the
    size already keeps each of its pixels.

    Raises:
        BadImage: it is no JPEG, PNG or WebP, damaged, animated, or has more than `max_pixels`.
    """
    from xinflight.imaging import pixels

    return pixels.prepare_image(data, size, max_pixels)


def prepare_mask(data: bytes, size: Size, *, image: Size, max_pixels: int) -> bytes:
    """Return a mask as a PNG, white where the image is to be repainted and black elsewhere, of exactly a size.

    That is where the mask is transparent, or if it is opaque, where it is white; what is between the two counts as
    what it is nearer to. It is scaled as the image to which it belongs, whose upright size is `image`.

    Raises:
        BadImage: as `prepare_image`, or its size is another one than that of the image, or it keeps everything.
    """
    from xinflight.imaging import pixels

    return pixels.prepare_mask(data, size, image, max_pixels)


def composite(start: bytes, mask: bytes, made: bytes) -> bytes:
    """Return a PNG of what was made where the mask is white, and of each pixel of the start where it is black.

    `start` and `mask` are prepared. What was made is scaled to their size if it has another one.

    Raises:
        UpstreamGarbage: what was made is no image.
    """
    from xinflight.imaging import pixels

    return pixels.composite(start, mask, made)
