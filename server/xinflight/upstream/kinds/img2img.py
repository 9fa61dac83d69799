"""What all kinds that start from an image share (measured on Xinference 4.1.0).

An abort of `/sdapi/v1/img2img` stops the compute at the next step, and the request is answered 409 after that. An
abort of `/v1/images/variations` or `/inpainting` is answered at once while the pipeline runs on. Both give the same
bytes. A start of another size than the one that is asked for would keep a replica busy for minutes, whatever is
aborted, so images are prepared before they are sent; only edit models take any size.
"""

from xinflight.errors import ModelUnsuitable
from xinflight.protocol import Params
from xinflight.upstream.kinds.file_reader import OPENAI, SDAPI, FileReader
from xinflight.upstream.kinds.images import openai_kwargs, sdapi_options
from xinflight.upstream.kinds.kind import Form, FormFile, GenerationRequest, Inputs, Route, Timeouts

__all__ = ["IMG2IMG", "INPAINTING_FORM", "TIMEOUTS", "VARIATIONS", "step_count"]

TIMEOUTS = Timeouts(confirm=30.0, silence=600.0, after_steps=2.0)


def _starts(inputs: Inputs) -> list[bytes]:
    """Return all images to start from, the first one first."""
    return [*([] if inputs.image is None else [inputs.image]), *inputs.references]


def _img2img_body(request: GenerationRequest) -> dict[str, object]:
    """Return the body for `/sdapi/v1/img2img`, in which bytes become base64.

    Without a size its default would be a square, so an edit asks for that of its start: the model takes the
    proportions from it. Without denoising_strength the pipeline's own would apply, which differs from model to model.
    """
    inputs = request.inputs
    width, height = (request.width, request.height) if request.width else inputs.size
    body = sdapi_options(request) | {"width": width, "height": height, "init_images": _starts(inputs)}
    if request.params.strength is not None:
        body["denoising_strength"] = request.params.strength
    if inputs.mask is not None:
        body["mask"] = inputs.mask
    return body


def _form(request: GenerationRequest) -> Form:
    """Return the form for `/v1/images/variations` or `/v1/images/inpainting`.

    Raises:
        ModelUnsuitable: there are several images.
    """
    starts, mask = _starts(request.inputs), request.inputs.mask
    if len(starts) > 1:
        raise ModelUnsuitable(field="images", limit="one image")
    fields = {"model": request.model, "prompt": request.prompt, "n": "1", "response_format": "b64_json"}
    if request.negative_prompt:
        fields["negative_prompt"] = request.negative_prompt
    if request.width:
        fields["size"] = f"{request.width}*{request.height}"
    more = {} if request.params.strength is None else {"strength": request.params.strength}
    fields["kwargs"] = openai_kwargs(request, **more)
    files = {"image": FormFile(media_type="image/png", data=starts[0])}
    if mask is not None:
        files["mask_image"] = FormFile(media_type="image/png", data=mask)
    return Form(fields=fields, files=files)


def step_count(params: Params) -> int | None:
    """Return how many steps run: at a strength below 1 the first ones are skipped (`get_timesteps` of diffusers).

    Of SD 1.5, 2 and SDXL all run, since the route asks their pipelines for more (model/image/sdapi.py). For them the
    count that is shown is too low; their progress is right.
    """
    if params.steps is None or params.strength is None:
        return params.steps
    return params.steps - int(max(params.steps - params.steps * params.strength, 0))


IMG2IMG = Route(
    path=lambda request: "/sdapi/v1/img2img",
    true_cancel=True,
    body=_img2img_body,
    reader=lambda request: FileReader(SDAPI),
    missing="is not for img2img",
)
VARIATIONS = Route(
    path=lambda request: "/v1/images/variations",
    true_cancel=False,
    body=_form,
    reader=lambda request: FileReader(OPENAI),
)
INPAINTING_FORM = Route(
    path=lambda request: "/v1/images/inpainting",
    true_cancel=False,
    body=_form,
    reader=lambda request: FileReader(OPENAI),
)
