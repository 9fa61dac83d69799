"""Draw an image from a prompt and a seed with Pillow (extra `demo`), with a label that says so.

What is on it follows the prompt's words where they are known (mountains, sea, city, stars, flowers, colours,
in English and Chinese), else a hash of prompt and seed. Steps add detail, guidance adds colour, a negative
prompt shifts the hues: enough to see that each of them arrived.
"""

import hashlib
import io
import random
import re
from typing import TypeVar

from PIL import Image, ImageChops, ImageDraw, ImageFont

from xinflight.demo.drawing_styles import bloom, city, contours, flow, night, ridges, sea
from xinflight.demo.scene import Scene

__all__ = ["LABEL", "as_jpeg", "draw", "draw_scene", "write_label"]

LABEL = "drawn, not generated"
QUALITY = 88
CANVAS = 1536  # longest side painted, in pixels; larger images are enlarged from it to bound time and memory

T = TypeVar("T")

_STYLES = (
    (sea, r"sea|ocean|water|lake|boat|ship|beach|wave|海|湖|船|水|浪"),
    (night, r"night|star|space|moon|planet|galaxy|sky|夜|星|月|宇宙|天空"),
    (city, r"city|town|street|building|tower|skyline|城|街|楼"),
    (bloom, r"flower|rose|garden|petal|mandala|lotus|woman|girl|portrait|花|女|人像"),
    (ridges, r"mountain|hill|valley|landscape|forest|tree|sunset|dawn|山|林|树|风景|日落"),
    (flow, r"abstract|wind|hair|fur|cat|dog|horse|风|猫|狗|马|抽象"),
    (contours, r"map|paper|layer|desert|canyon|cave|纸|地图|沙漠"),
)

_HUES = (  # degrees in OKLCH
    (25, r"\bred\b|crimson|红"),
    (55, r"orange|amber|橙"),
    (95, r"yellow|gold|黄|金"),
    (145, r"green|jade|绿"),
    (195, r"teal|cyan|turquoise|青"),
    (255, r"blue|azure|蓝"),
    (305, r"purple|violet|紫"),
    (355, r"pink|magenta|粉"),
)


def draw(
    *, prompt: str, negative_prompt: str, seed: int, width: int, height: int, steps: int, guidance: float
) -> bytes:
    """Return a JPEG of `width` x `height` pixels; equal arguments give equal bytes on one Pillow version.

    Takes some tens of milliseconds of CPU for a megapixel: call it in a thread.
    """
    image = draw_scene(
        prompt=prompt,
        negative_prompt=negative_prompt,
        seed=seed,
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
    )
    write_label(image)
    return as_jpeg(image)


def draw_scene(
    *, prompt: str, negative_prompt: str, seed: int, width: int, height: int, steps: int, guidance: float
) -> Image.Image:
    """Return the image without its label."""
    rng = _generator(prompt, str(seed))
    style = _named(_STYLES, prompt) or rng.choice(_STYLES)[0]
    hue = _named(_HUES, prompt)
    if hue is None:
        hue = rng.randrange(360)
    if negative_prompt:
        hue += _generator(negative_prompt).choice((-50, -30, 30, 50))
    shrink = min(1.0, CANVAS / max(width, height))
    scene = Scene(
        rng=rng,
        width=max(8, round(width * shrink)),
        height=max(8, round(height * shrink)),
        hue=hue,
        chroma=min(1.5, 0.85 + 0.06 * max(0.0, guidance)),
        detail=min(2.0, max(0.3, (steps / 12) ** 0.5)),
    )
    style(scene)
    image = _vignetted(scene.image)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return image


def as_jpeg(image: Image.Image) -> bytes:
    """Return an image as a JPEG whose comment says what it is."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, comment=f"{LABEL}: by the demo of xinflight")
    return out.getvalue()


def _generator(*parts: str) -> random.Random:
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return random.Random(digest)  # noqa: S311 - a drawing wants repeatable chance, not secrets


def _named(table: tuple[tuple[T, str], ...], prompt: str) -> T | None:
    """Return the entry whose word comes first in the prompt."""
    found = [(match.start(), entry) for entry, words in table if (match := re.search(words, prompt, re.IGNORECASE))]
    return min(found, key=lambda hit: hit[0])[1] if found else None


def _vignetted(image: Image.Image) -> Image.Image:
    # The radial gradient is 0 in the middle and 255 in the corners, which keep 75 % of their light.
    shade = Image.radial_gradient("L").point([255 - max(0, value - 110) * 64 // 145 for value in range(256)])
    shade = shade.resize(image.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(image, Image.merge("RGB", (shade, shade, shade)))


def write_label(image: Image.Image) -> None:
    """Write into the corner of an image that it was drawn."""
    width, height = image.size
    size = max(8, min(20, min(width, height) // 54))
    text = LABEL if width >= size * 11 else LABEL.split(",")[0]
    canvas = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(size)
    at = (width - size * 0.7, height - size * 0.6)
    canvas.text((at[0] + 1, at[1] + 1), text, fill=(0, 0, 0, 120), font=font, anchor="rb")
    canvas.text(at, text, fill=(255, 255, 255, 190), font=font, anchor="rb")
