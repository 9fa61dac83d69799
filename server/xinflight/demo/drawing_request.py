"""Parameters of the images to draw, computed from request bodies as Xinference computes its pipeline arguments.

Sources: Xinference 4.1.0, `model/image/sdapi.py` and `model/image/stable_diffusion/core.py`.
"""

import re
import secrets
from typing import Any

import msgspec

from xinflight.demo.bodies import GenerationsBody
from xinflight.demo.model import EmulatedModel

__all__ = ["DrawingRequest", "from_generations", "from_txt2img"]

PIPELINE_STEPS = 50  # default of ZImagePipeline
PIPELINE_GUIDANCE = 5.0
MAX_PIXELS = 4096 * 4096  # a real GPU runs out of memory above this, and Pillow would, too


class DrawingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of one image. Equal requests give equal bytes. Width and height are in pixels."""

    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: float


def from_txt2img(params: dict[str, Any], model: EmulatedModel) -> list[DrawingRequest]:
    """Convert merged txt2img parameters: counts are ignored and sizes are rounded down to multiples of 8.

    Raises:
        ValueError: web UI extensions, or a size the pipeline doesn't support. Answered with 400.
    """
    if params.get("enable_hr") or params.get("alwayson_scripts"):
        raise ValueError("SD WebUI extensions require a Stable Diffusion or SDXL model")
    return [
        _build(
            model,
            params["prompt"],
            {
                "negative_prompt": params["negative_prompt"],
                "seed": params["seed"],
                "num_inference_steps": params.get("steps"),
                "guidance_scale": params.get("cfg_scale"),
            },
            (params["width"] // 8 * 8, params["height"] // 8 * 8),
        )
    ]


def from_generations(body: GenerationsBody, kwargs: dict[str, Any], model: EmulatedModel) -> list[DrawingRequest]:
    """Convert a generations body and its decoded kwargs into one request per image.

    Raises:
        ValueError, TypeError, IndexError: with Python's own text, as the real server doesn't check conversions.
    """
    if taken := kwargs.keys() & {"prompt", "n", "size", "response_format"}:
        raise TypeError(f"call() got multiple values for keyword argument {min(taken)!r}")
    # A null fails in these two lines upstream as well.
    width, height = map(int, re.split(r"[^\d]+", body.size))  # type: ignore[arg-type]
    count = int(body.n)  # type: ignore[arg-type]
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    requests = []
    for index, prompt in enumerate(prompt for prompt in prompts for _ in range(count)):
        seed = kwargs.get("seed")
        if isinstance(seed, list):
            seed = seed[index]
        elif isinstance(seed, int) and seed != -1:
            seed += index
        requests.append(_build(model, prompt, kwargs | {"seed": seed}, (width, height)))
    if not requests:
        raise IndexError("list index out of range")
    return requests


def _build(model: EmulatedModel, prompt: str, asked: dict[str, Any], size: tuple[int, int]) -> DrawingRequest:
    chosen = model.default_generate_config | {k: v for k, v in asked.items() if v is not None}
    width, height = size
    for name, length in (("Height", height), ("Width", width)):
        if length < model.size_multiple or length % model.size_multiple:
            raise ValueError(
                f"{name} must be divisible by {model.size_multiple} (got {length}). "
                f"Please adjust the {name.lower()} to a multiple of {model.size_multiple}."
            )
    if width * height > MAX_PIXELS:
        raise RuntimeError("CUDA out of memory. Tried to allocate 64.00 GiB.")
    seed = chosen.get("seed", -1)
    if not isinstance(seed, int):
        raise RuntimeError("manual_seed expected a long, but got str")
    return DrawingRequest(
        prompt=prompt,
        negative_prompt=str(chosen.get("negative_prompt", "")),
        seed=secrets.randbelow(2**32) if seed == -1 else seed,
        width=width,
        height=height,
        steps=int(chosen.get("num_inference_steps", 0)) or PIPELINE_STEPS,
        guidance=float(chosen.get("guidance_scale", PIPELINE_GUIDANCE)),
    )
