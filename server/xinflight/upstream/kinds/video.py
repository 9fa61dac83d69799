"""Videos from text or from an image (measured on Xinference 4.1.0).

An abort answers the request at once while the pipeline runs on, and the next request then fails with it: a video is
never aborted. Its progress is 1.0 after the last step, long before the response: decoding and encoding follow, and
nothing but its id, which is in use until then, tells it from a request that has ended. The same seed gives the same
bytes.
"""

import msgspec

from xinflight.protocol import Params
from xinflight.upstream.kinds.file_reader import OPENAI, FileReader
from xinflight.upstream.kinds.kind import Form, FormFile, GenerationRequest, IdCheck, Kind, Route, Timeouts
from xinflight.upstream.progress import DurationKey

__all__ = ["VIDEO"]

BASE_BYTES, MOST_BYTES = 16 * 2**20, 256 * 2**20
"""Maximum size of a response: the first, plus a byte per pixel of all frames (a hundred times of what a film takes),
but never more than the second, since it is in memory until it is stored."""


def _path(request: GenerationRequest) -> str:
    return "/v1/video/generations" if request.inputs.image is None else "/v1/video/generations/image"


def _body(request: GenerationRequest) -> dict[str, object] | Form:
    """Return the body for either route. `kwargs` go straight into the pipeline's call: known keys only."""
    params = request.params
    kwargs: dict[str, object] = {
        "request_id": request.request_id,
        "seed": request.seed,
        "response_format": "b64_json",
        "num_frames": params.frames,
        "fps": params.fps,
    }
    if request.steps is not None:
        kwargs["num_inference_steps"] = request.steps
    if request.guidance_scale is not None:
        kwargs["guidance_scale"] = request.guidance_scale
    if request.inputs.image is not None:
        return _form(request, kwargs, request.inputs.image)
    kwargs |= {"width": request.width, "height": request.height}
    if request.negative_prompt:
        kwargs["negative_prompt"] = request.negative_prompt
    return {"model": request.model, "prompt": request.prompt, "n": 1, "kwargs": msgspec.json.encode(kwargs).decode()}


def _form(request: GenerationRequest, kwargs: dict[str, object], image: bytes) -> Form:
    """Return the form of a video that starts from an image, which has the size of the video by now.

    The pipeline ignores width and height: it computes them from the image's aspect and `max_area`.
    """
    kwargs["max_area"] = f"{request.width}*{request.height}"
    fields = {
        "model": request.model,
        "prompt": request.prompt,
        "n": "1",
        "kwargs": msgspec.json.encode(kwargs).decode(),
    }
    if request.negative_prompt:
        fields["negative_prompt"] = request.negative_prompt
    return Form(fields=fields, files={"image": FormFile(media_type="image/png", data=image)})


def _twice_prompted(request: GenerationRequest) -> dict[str, object]:
    """Return a body with two prompts, by which Xinference fails right before it asks the model."""
    kwargs = {"request_id": request.request_id, "prompt": ""}
    return {"model": request.model, "prompt": "", "kwargs": msgspec.json.encode(kwargs).decode()}


def _max_bytes(request: GenerationRequest) -> int:
    pixels = request.width * request.height * (request.params.frames or 1)
    return min(BASE_BYTES + pixels, MOST_BYTES)


def _duration_key(model_uid: str, params: Params) -> DurationKey:
    return DurationKey(model_uid, "video", params.size, params.steps, params.frames or 1)


VIDEO = Kind(
    name="video",
    ability=lambda image: "image2video" if image else "text2video",
    abilities=frozenset({"text2video", "image2video"}),
    fields=frozenset({"image", "frames", "fps"}),
    cancel_route=None,
    plain_route=Route(path=_path, true_cancel=False, body=_body, reader=lambda request: FileReader(OPENAI)),
    max_bytes=_max_bytes,
    shows_end=IdCheck(path="/v1/video/generations", body=_twice_prompted, unused="multiple values for"),
    # It may not have arrived yet, and five minutes after the last step it is forgotten.
    unknown_has_ended=False,
    max_deaths=2,
    duration_key=_duration_key,
    # Of 20 values of progress each may take minutes, and decoding as well.
    timeouts=Timeouts(confirm=30.0, silence=3600.0, after_steps=0.0),
)
