"""Images for tests, as files."""

import io
from typing import Any

from PIL import Image

__all__ = ["encoded", "gradient", "opened", "pixel"]


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """Return the file of an image."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """Return the image of a file, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def gradient(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return an image of which no two corners are alike: red rises to the right, green downwards."""
    rising = Image.linear_gradient("L")
    green = rising.resize(size)
    red = rising.transpose(Image.Transpose.ROTATE_90).resize(size)
    return Image.merge("RGB", (red, green, Image.new("L", size, 90)))


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    """Return the bands of a pixel."""
    value = image.getpixel((x, y))
    assert value is not None
    return value if isinstance(value, tuple) else (int(value),)
