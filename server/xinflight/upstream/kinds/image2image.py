"""Images that start from another one, which shows through as the strength allows; the prompt is optional."""

from xinflight.upstream.kinds.images import max_bytes
from xinflight.upstream.kinds.img2img import IMG2IMG, TIMEOUTS, VARIATIONS, step_count
from xinflight.upstream.kinds.kind import Kind
from xinflight.upstream.progress import DurationKey

__all__ = ["IMAGE2IMAGE"]

IMAGE2IMAGE = Kind(
    name="image2image",
    ability=lambda image: "image2image",
    abilities=frozenset({"image2image"}),
    fields=frozenset({"image", "strength"}),
    required=frozenset({"image"}),
    strength=0.6,
    cancel_route=IMG2IMG,
    plain_route=VARIATIONS,
    max_bytes=max_bytes,
    unknown_has_ended=True,
    max_deaths=2,
    duration_key=lambda uid, params: DurationKey(uid, "image2image", params.size, step_count(params)),
    step_count=step_count,
    timeouts=TIMEOUTS,
)
