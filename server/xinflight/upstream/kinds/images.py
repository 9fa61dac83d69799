"""What all kinds of images share: options that are written alike, and how large a response may be."""

import msgspec

from xinflight.upstream.kinds.kind import GenerationRequest

__all__ = ["BASE_BYTES", "max_bytes", "openai_kwargs", "sdapi_options"]

BASE_BYTES, PIXEL_BYTES = 16 * 2**20, 11
"""Maximum size of a response, plus that per pixel: 16 bits RGBA as base64, uncompressed."""


def sdapi_options(request: GenerationRequest) -> dict[str, object]:
    """Return what a body of `/sdapi/v1/...` has but the size and the images (api/schemas/requests.py).

    A missing cfg_scale would mean 7.0, and a null one is refused; null inside `kwargs` applies the model's own.
    """
    options: dict[str, object] = {
        "model": request.model,
        "prompt": request.prompt,
        "seed": request.seed,
        "request_id": request.request_id,
    }
    if request.negative_prompt:
        options["negative_prompt"] = request.negative_prompt
    if request.steps is not None:
        options["steps"] = request.steps
    if request.guidance_scale is None:
        options["kwargs"] = '{"cfg_scale":null}'
    else:
        options["cfg_scale"] = request.guidance_scale
    return options


def openai_kwargs(request: GenerationRequest, **more: object) -> str:
    """Return the pipeline's own options for a body of `/v1/images/...`: JSON in a string."""
    kwargs: dict[str, object] = {"request_id": request.request_id, "seed": request.seed, **more}
    if request.steps is not None:
        kwargs["num_inference_steps"] = request.steps
    if request.guidance_scale is not None:
        kwargs["guidance_scale"] = request.guidance_scale
    return msgspec.json.encode(kwargs).decode()


def max_bytes(request: GenerationRequest) -> int:
    """Return the maximum size of a response with an image of the requested size."""
    return BASE_BYTES + PIXEL_BYTES * request.width * request.height
