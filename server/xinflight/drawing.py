"""Draw a picture with Pillow (extra `demo`)."""

import io

from PIL import Image

__all__ = ["draw"]


def draw(
    *, prompt: str, negative_prompt: str, seed: int, width: int, height: int, steps: int, guidance: float
) -> bytes:
    """Return a JPEG of `width` x `height` pixels; equal arguments give equal bytes."""
    colour = hash((len(prompt), len(negative_prompt), seed, steps, guidance))
    out = io.BytesIO()
    Image.new("RGB", (width, height), (colour % 256, colour // 256 % 256, 90)).save(out, "JPEG", quality=88)
    return out.getvalue()
