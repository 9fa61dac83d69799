"""Images of which only a part is made anew: where the mask is white."""

from xinflight.imaging import composite
from xinflight.upstream.kinds.images import max_bytes
from xinflight.upstream.kinds.img2img import IMG2IMG, INPAINTING_FORM, TIMEOUTS, step_count
from xinflight.upstream.kinds.kind import Inputs, Kind
from xinflight.upstream.progress import DurationKey

__all__ = ["INPAINTING"]


def _with_kept_part(inputs: Inputs, made: bytes) -> bytes:
    """Return what was made, with what the mask keeps of the start: that too went through the model's decoder."""
    assert inputs.image is not None  # a task of this kind has both
    assert inputs.mask is not None
    return composite(inputs.image, inputs.mask, made)


INPAINTING = Kind(
    name="inpainting",
    ability=lambda image: "inpainting",
    abilities=frozenset({"inpainting"}),
    fields=frozenset({"image", "mask", "strength"}),
    required=frozenset({"image", "mask", "prompt"}),
    strength=1.0,
    cancel_route=IMG2IMG,
    plain_route=INPAINTING_FORM,
    max_bytes=max_bytes,
    unknown_has_ended=True,
    max_deaths=2,
    duration_key=lambda uid, params: DurationKey(uid, "inpainting", params.size, step_count(params)),
    step_count=step_count,
    finish=_with_kept_part,
    timeouts=TIMEOUTS,
)
