"""Images from text (measured on Xinference 4.1.0).

An abort of `/sdapi/v1/txt2img` stops the compute at the next step, and the request is answered 409 after that. An
abort of `/v1/images/generations` is answered at once while the pipeline runs on. The same seed gives the same bytes
on both.
"""

import msgspec
from msgspec import Struct

from xinflight.errors import UpstreamGarbage
from xinflight.protocol import Params
from xinflight.upstream.kinds.kind import GenerationRequest, Kind, Route, Timeouts
from xinflight.upstream.messages import parse
from xinflight.upstream.progress import DurationKey

__all__ = ["TEXT2IMAGE"]

BASE_BYTES, PIXEL_BYTES = 16 * 2**20, 11
"""Maximum size of a response, plus that per pixel: 16 bits RGBA as base64, uncompressed."""


class _Txt2ImgAnswer(Struct):
    """POST /sdapi/v1/txt2img; msgspec decodes the base64."""

    images: list[bytes]


class _GeneratedImage(Struct):
    """One image of _GenerationsAnswer."""

    b64_json: bytes


class _GenerationsAnswer(Struct):
    """POST /v1/images/generations with b64_json; msgspec decodes the base64."""

    data: list[_GeneratedImage]


def _txt2img_body(request: GenerationRequest) -> dict[str, object]:
    """Return the body for `/sdapi/v1/txt2img` (api/schemas/requests.py).

    A missing cfg_scale would mean 7.0, and a null one is refused; null inside `kwargs` applies the model's own.
    """
    body: dict[str, object] = {
        "model": request.model,
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "seed": request.seed,
        "request_id": request.request_id,
    }
    if request.negative_prompt:
        body["negative_prompt"] = request.negative_prompt
    if request.steps is not None:
        body["steps"] = request.steps
    if request.guidance_scale is None:
        body["kwargs"] = '{"cfg_scale":null}'
    else:
        body["cfg_scale"] = request.guidance_scale
    return body


def _generations_body(request: GenerationRequest) -> dict[str, object]:
    """Return the body for `/v1/images/generations`; the format `url` would return a path on the model's host."""
    kwargs: dict[str, object] = {"request_id": request.request_id, "seed": request.seed}
    if request.negative_prompt:
        kwargs["negative_prompt"] = request.negative_prompt
    if request.steps is not None:
        kwargs["num_inference_steps"] = request.steps
    if request.guidance_scale is not None:
        kwargs["guidance_scale"] = request.guidance_scale
    return {
        "model": request.model,
        "prompt": request.prompt,
        "n": 1,
        "size": f"{request.width}*{request.height}",
        "response_format": "b64_json",
        "kwargs": msgspec.json.encode(kwargs).decode(),
    }


def _first(images: list[bytes]) -> bytes:
    if not images or not images[0]:
        raise UpstreamGarbage(detail="a response without an image")
    return images[0]


def _max_bytes(request: GenerationRequest) -> int:
    return BASE_BYTES + PIXEL_BYTES * request.width * request.height


def _duration_key(model_uid: str, params: Params) -> DurationKey:
    return DurationKey(model_uid, "text2image", params.size, params.steps)


TEXT2IMAGE = Kind(
    name="text2image",
    ability=lambda image: "text2image",
    abilities=frozenset({"text2image"}),
    cancel_route=Route(
        path=lambda request: "/sdapi/v1/txt2img",
        true_cancel=True,
        body=_txt2img_body,
        output=lambda answer: _first(parse(answer, _Txt2ImgAnswer).images),
        missing="is not for txt2img",
    ),
    plain_route=Route(
        path=lambda request: "/v1/images/generations",
        true_cancel=False,
        body=_generations_body,
        output=lambda answer: _first([image.b64_json for image in parse(answer, _GenerationsAnswer).data]),
    ),
    max_bytes=_max_bytes,
    unknown_has_ended=True,
    max_deaths=2,
    duration_key=_duration_key,
    # Decoding and encoding took up to 1.2 s after the last step.
    timeouts=Timeouts(confirm=30.0, silence=600.0, after_steps=2.0),
)
