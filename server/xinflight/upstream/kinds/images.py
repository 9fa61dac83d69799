"""What all kinds of images share: the answers of both APIs, and options that are written alike."""

import msgspec
from msgspec import Struct

from xinflight.errors import UpstreamGarbage
from xinflight.upstream.kinds.kind import GenerationRequest
from xinflight.upstream.messages import parse

__all__ = ["BASE_BYTES", "max_bytes", "openai_image", "openai_kwargs", "sdapi_image", "sdapi_options"]

BASE_BYTES, PIXEL_BYTES = 16 * 2**20, 11
"""Maximum size of a response, plus that per pixel: 16 bits RGBA as base64, uncompressed."""


class _SdapiAnswer(Struct):
    """POST /sdapi/v1/txt2img and img2img; msgspec decodes the base64."""

    images: list[bytes]


class _OpenAiImage(Struct):
    """One image of _OpenAiAnswer."""

    b64_json: bytes


class _OpenAiAnswer(Struct):
    """POST /v1/images/... with b64_json; msgspec decodes the base64."""

    data: list[_OpenAiImage]


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


def sdapi_image(answer: bytes) -> bytes:
    """Return the image of an answer of `/sdapi/v1/...`; raise UpstreamGarbage if there is none."""
    return _first(parse(answer, _SdapiAnswer).images)


def openai_image(answer: bytes) -> bytes:
    """Return the image of an answer of `/v1/images/...`; raise UpstreamGarbage if there is none."""
    return _first([image.b64_json for image in parse(answer, _OpenAiAnswer).data])


def _first(images: list[bytes]) -> bytes:
    if not images or not images[0]:
        raise UpstreamGarbage(detail="a response without an image")
    return images[0]


def max_bytes(request: GenerationRequest) -> int:
    """Return the maximum size of a response with an image of the requested size."""
    return BASE_BYTES + PIXEL_BYTES * request.width * request.height
