"""Images from text (measured on Xinference 4.1.0).

An abort of `/sdapi/v1/txt2img` stops the compute at the next step, and the request is answered 409 after that. An
abort of `/v1/images/generations` is answered at once while the pipeline runs on. The same seed gives the same bytes
on both.
"""

from xinflight.protocol import Params
from xinflight.upstream.kinds.file_reader import OPENAI, SDAPI, FileReader
from xinflight.upstream.kinds.images import max_bytes, openai_kwargs, sdapi_options
from xinflight.upstream.kinds.kind import GenerationRequest, Kind, Route, Timeouts
from xinflight.upstream.progress import DurationKey

__all__ = ["TEXT2IMAGE"]


def _txt2img_body(request: GenerationRequest) -> dict[str, object]:
    """Return the body for `/sdapi/v1/txt2img`."""
    return sdapi_options(request) | {"width": request.width, "height": request.height}


def _generations_body(request: GenerationRequest) -> dict[str, object]:
    """Return the body for `/v1/images/generations`; the format `url` would return a path on the model's host."""
    more = {"negative_prompt": request.negative_prompt} if request.negative_prompt else {}
    return {
        "model": request.model,
        "prompt": request.prompt,
        "n": 1,
        "size": f"{request.width}*{request.height}",
        "response_format": "b64_json",
        "kwargs": openai_kwargs(request, **more),
    }


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
        reader=lambda request: FileReader(SDAPI),
        missing="is not for txt2img",
    ),
    plain_route=Route(
        path=lambda request: "/v1/images/generations",
        true_cancel=False,
        body=_generations_body,
        reader=lambda request: FileReader(OPENAI),
    ),
    max_bytes=max_bytes,
    unknown_has_ended=True,
    max_deaths=2,
    duration_key=_duration_key,
    # Decoding and encoding took up to 1.2 s after the last step.
    timeouts=Timeouts(confirm=30.0, silence=600.0, after_steps=2.0),
)
