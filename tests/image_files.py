"""Image files of every kind, good and bad, as people and attackers upload them."""

import io
import struct
import zlib
from typing import Any

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"


def image_file(kind: str = "PNG", size: tuple[int, int] = (64, 48), *, mode: str = "RGB", **options: Any) -> bytes:
    """Return a file of one format; the same arguments give the same bytes."""
    out = io.BytesIO()
    gradient = Image.radial_gradient("L").resize(size)
    image = gradient.convert(mode)
    if mode == "RGBA":
        image.putalpha(gradient)
    image.save(out, kind, **options)
    return out.getvalue()


def animation(kind: str) -> bytes:
    """Return an animation of two frames."""
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def turned(kind: str, orientation: int) -> bytes:
    """Return an image of 64x48 that asks to be shown in an orientation of EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return image_file(kind, exif=exif)


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, pixels: bytes = b"", *more: bytes) -> bytes:
    """Return a grey PNG of a size that its header tells, with compressed pixels of any size, and more chunks."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b""))
    return PNG + b"".join(chunks)


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
_JPEG, _PNG, _WEBP = image_file("JPEG"), image_file("PNG"), image_file("WEBP")

BAD: dict[str, bytes] = {
    "nothing": b"",
    "one byte": b"\x89",
    "text": b"hello, I am no image at all",
    "html": b"<!doctype html><script>alert(1)</script>",
    "svg": SVG,
    "gif": image_file("GIF"),
    "bmp": image_file("BMP"),
    "tiff": image_file("TIFF"),
    "ico": image_file("ICO"),
    "pdf": b"%PDF-1.7\n" + bytes(100),
    "mp4": b"\0\0\0\x20ftypisom" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
    "riff that is sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "animated gif": animation("GIF"),
    "animated png": animation("PNG"),
    "animated webp": animation("WEBP"),
    "png: signature alone": PNG,
    "png without its end": _PNG[:-12],
    "png cut in the middle": _PNG[: len(_PNG) // 2],
    "png without pixels": PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""),
    "png that does not begin with its header": PNG + chunk(b"tEXt", b"a\0b") + _PNG[8:],
    "png with two headers": png(8, 8, bytes(72), chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))),
    "png with a chunk of 4 GB": _PNG[:33] + b"\xff\xff\xff\xffIDAT" + _PNG[41:],
    "png of no width": png(0, 100),
    "png of 400 megapixels": png(20_000, 20_000),
    "png of 2^62 pixels": png(2**31 - 1, 2**31 - 1),
    "png of a million chunks": png(8, 8, bytes(72), *[chunk(b"tEXt", b"")] * 60_000),
    "jpeg: start alone": _JPEG[:3],
    "jpeg without its end": _JPEG[:-2],
    "jpeg cut in the middle": _JPEG[: len(_JPEG) // 2],
    "jpeg cut before its pixels": _JPEG[: _JPEG.index(b"\xff\xda")],
    "jpeg without a frame": _JPEG[:20] + _JPEG[_JPEG.index(b"\xff\xda") :],
    "jpeg of 4295 megapixels": _JPEG.replace(b"\x08\x00\x30\x00\x40", b"\x08\xff\xff\xff\xff"),
    "jpeg of 12 bits": _JPEG.replace(b"\x08\x00\x30\x00\x40", b"\x0c\x00\x30\x00\x40"),
    "jpeg with zeros between its segments": _JPEG[:2] + bytes(10) + _JPEG[2:],
    "webp: riff alone": _WEBP[:12],
    "webp cut in the middle": _WEBP[: len(_WEBP) // 2],
    "webp without a frame": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(10),
    "webp of two sizes": b"RIFF\xff\xff\0\0WEBP",
}
"""Files that are refused, each by its name."""

GOOD: dict[str, tuple[bytes, str]] = {
    "png": (_PNG, "image/png"),
    "grey png": (image_file(mode="L"), "image/png"),
    "png with transparency": (image_file(mode="RGBA"), "image/png"),
    "png with a palette": (image_file(mode="P"), "image/png"),
    "png of 16 bits": (image_file(mode="I;16"), "image/png"),
    "png with something behind it": (_PNG + b"something", "image/png"),
    "jpeg": (_JPEG, "image/jpeg"),
    "progressive jpeg": (image_file("JPEG", progressive=True), "image/jpeg"),
    "cmyk jpeg": (image_file("JPEG", mode="CMYK"), "image/jpeg"),
    "jpeg with something behind it": (_JPEG + bytes(1000), "image/jpeg"),
    "jpeg with fill bytes": (_JPEG[:2] + b"\xff" * 10 + _JPEG[2:], "image/jpeg"),
    "webp": (_WEBP, "image/webp"),
    "lossless webp": (image_file("WEBP", lossless=True), "image/webp"),
    "webp with transparency": (image_file("WEBP", mode="RGBA"), "image/webp"),
}
"""Files that are accepted, of 64x48 pixels each, and what they are."""
