"""Images changed by an instruction, by models that can do nothing else (Kontext, Qwen-Image-Edit).

They take a start of any size, ignore the strength, and choose the size of the output: asked for 256x128, Kontext gave
1440x720. Several images are for models that take further references; others answer 500.
"""

from xinflight.protocol import Params
from xinflight.upstream.kinds.img2img import IMG2IMG, TIMEOUTS, VARIATIONS
from xinflight.upstream.kinds.kind import Kind
from xinflight.upstream.progress import DurationKey

__all__ = ["EDIT"]

MAX_BYTES = 64 * 2**20
"""Maximum size of a response: 6 megapixels of 16 bits RGBA as base64, uncompressed."""


def _duration_key(model_uid: str, params: Params) -> DurationKey:
    return DurationKey(model_uid, "edit", None, params.steps)


EDIT = Kind(
    name="edit",
    ability=lambda image: "edit",
    abilities=frozenset({"edit"}),
    fields=frozenset({"image", "images"}),
    required=frozenset({"image", "prompt"}),
    cancel_route=IMG2IMG,
    plain_route=VARIATIONS,
    max_bytes=lambda request: MAX_BYTES,
    unknown_has_ended=True,
    max_deaths=2,
    duration_key=_duration_key,
    chooses_size=True,
    timeouts=TIMEOUTS,
)
