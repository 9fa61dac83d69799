"""Parameters of the videos to draw, computed from request bodies as the pipelines of Wan compute them.

Sources: Xinference 4.1.0, `model/video/diffusers.py`; diffusers 0.39, `pipelines/wan`.
"""

import math
import operator
from functools import reduce
from typing import Any

import msgspec

from xinflight.demo.drawing_request import AnimationRequest, DrawingRequest, build_request
from xinflight.demo.model import EmulatedModel

__all__ = ["from_video"]

WIDTH, HEIGHT, FRAMES, FPS = 832, 480, 81, 10
MAX_AREA = "832*480"
MULTIPLE = 16
MAX_PIXELS = 832 * 480 * 121  # of all frames together, which are in memory at once

_OURS = {"num_inference_steps", "response_format", "fps", "seed", "request_id"}
_PIPELINE = {
    "negative_prompt",
    "height",
    "width",
    "num_frames",
    "guidance_scale",
    "guidance_scale_2",
    "max_sequence_length",
}


def from_video(
    prompt: str | list[str], count: int | None, kwargs: dict[str, Any], model: EmulatedModel, image: bytes | None
) -> list[DrawingRequest]:
    """Convert a body and its kwargs into one request per video; `image` is a file that they start from.

    Decodes the image: call it in a thread then.

    Raises:
        ValueError, TypeError, KeyError, RuntimeError: with Python's own text, as unknown kwargs go straight into the
            pipeline call.
    """
    chosen = dict(model.default_generate_config) | kwargs
    max_area = chosen.pop("max_area", MAX_AREA) if image is not None else None
    pipeline = "WanPipeline" if image is None else "WanImageToVideoPipeline"
    if unknown := sorted(chosen.keys() - _OURS - _PIPELINE):
        raise TypeError(f"{pipeline}.__call__() got an unexpected keyword argument {unknown[0]!r}")
    if image is None:
        size = (chosen.get("width", WIDTH), chosen.get("height", HEIGHT))
    else:
        size = _fitted(image, max_area)
    if size[0] % MULTIPLE or size[1] % MULTIPLE:
        raise ValueError(f"`height` and `width` have to be divisible by 16 but are {size[1]} and {size[0]}.")
    asked_frames = chosen.get("num_frames", FRAMES)
    frames = asked_frames if asked_frames % 4 == 1 else max(1, asked_frames // 4 * 4 + 1)
    if size[0] * size[1] * frames > MAX_PIXELS:
        raise RuntimeError("CUDA out of memory. Tried to allocate 64.00 GiB.")
    prompts = [prompt] if isinstance(prompt, str) else prompt
    asked = {key: value for key, value in chosen.items() if key not in ("width", "height")}
    wanted = msgspec.structs.replace(model, size_multiple=MULTIPLE)
    requests: list[DrawingRequest] = []
    for index, text in enumerate(text for text in prompts for _ in range(1 if count is None else count)):
        request = build_request(wanted, text, asked, size)
        fields = msgspec.structs.asdict(request) | {"seed": request.seed + index}
        fps = int(chosen.get("fps", FPS))
        requests.append(AnimationRequest(**fields, frames=frames, fps=fps, image=image))
    if not requests:
        raise IndexError("list index out of range")
    return requests


def _fitted(image: bytes, max_area: Any) -> tuple[int, int]:
    """Return the size with the image's aspect and about the area, each side a multiple of 16."""
    from xinflight.demo.overdrawing import upright_size

    area = [int(side) for side in max_area.split("*")] if isinstance(max_area, str) else max_area
    product = reduce(operator.mul, area, 1)
    start_width, start_height = upright_size(image)
    aspect = start_height / start_width
    width, height = round(math.sqrt(product / aspect)), round(math.sqrt(product * aspect))
    return width // MULTIPLE * MULTIPLE, height // MULTIPLE * MULTIPLE
