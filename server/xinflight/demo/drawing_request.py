"""Parameters of the images to draw, computed from request bodies as Xinference computes its pipeline arguments.

Sources: Xinference 4.1.0, `model/image/sdapi.py` and `model/image/stable_diffusion/core.py`.
"""

import re
import secrets
from typing import Any

import msgspec

from xinflight.demo.bodies import GenerationsBody
from xinflight.demo.model import EmulatedModel

__all__ = [
    "AnimationRequest",
    "DrawingRequest",
    "OverdrawingRequest",
    "build_request",
    "from_generations",
    "from_txt2img",
    "pipeline_arguments",
    "sdapi_size",
]

PIPELINE_STEPS = 50  # default of ZImagePipeline
PIPELINE_GUIDANCE = 5.0
MAX_PIXELS = 4096 * 4096  # a real GPU runs out of memory above this, and Pillow would, too


class DrawingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of one image. Equal requests give equal bytes. Width and height are in pixels.

    With a `failure` the computation ends with this error. What is `wedged` never ends, not even by an abort.
    """

    prompt: str
    negative_prompt: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: float
    failure: str | None = None
    wedged: bool = False


class OverdrawingRequest(DrawingRequest, frozen=True, kw_only=True):
    """Parameters of an image that starts from another one: files of the start and of the mask, strength 0 to 1.

    What is white in the mask is drawn over, `inverted` what is black. Without a mask everything is. An `edit` gives
    the start the size of the output first.
    """

    image: bytes
    mask: bytes | None
    inverted: bool
    strength: float
    edit: bool


class AnimationRequest(DrawingRequest, frozen=True, kw_only=True):
    """Parameters of a video of so many frames at so many per second, which may start from an image file."""

    frames: int
    fps: int
    image: bytes | None


def from_txt2img(params: dict[str, Any], model: EmulatedModel) -> list[DrawingRequest]:
    """Convert merged txt2img parameters: counts are ignored and sizes are rounded down to multiples of 8.

    Raises:
        ValueError: web UI extensions, or a size the pipeline doesn't support. Answered with 400.
    """
    if params.get("enable_hr") or params.get("alwayson_scripts"):
        raise ValueError("SD WebUI extensions require a Stable Diffusion or SDXL model")
    return [
        build_request(model, params["prompt"], pipeline_arguments(params), sdapi_size(params)),
    ]


def pipeline_arguments(params: dict[str, Any]) -> dict[str, Any]:
    """Convert the sampling parameters of the sdapi routes to those of a pipeline."""
    return {
        "negative_prompt": params["negative_prompt"],
        "seed": params["seed"],
        "num_inference_steps": params.get("steps"),
        "guidance_scale": params.get("cfg_scale"),
    }


def sdapi_size(params: dict[str, Any]) -> tuple[int, int]:
    """Return width and height, rounded down to multiples of 8."""
    return params["width"] // 8 * 8, params["height"] // 8 * 8


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
        requests.append(build_request(model, prompt, kwargs | {"seed": seed}, (width, height)))
    if not requests:
        raise IndexError("list index out of range")
    return requests


def build_request(model: EmulatedModel, prompt: str, asked: dict[str, Any], size: tuple[int, int]) -> DrawingRequest:
    """Build the request of one image from pipeline arguments, with the model's defaults for those not given.

    Raises:
        ValueError, RuntimeError: with the text of the pipeline, for a size or a seed that it doesn't take.
    """
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
