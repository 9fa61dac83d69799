"""Images that start from another one, with Pillow (extra `demo`): reading the start and the mask, and drawing over.

Source: Xinference 4.1.0, `model/image/sdapi.py` and `model/image/utils.py`; what a wrong size does is measured.
"""

import base64
import binascii
import io
import re
from typing import Any

import msgspec
from PIL import ExifTags, Image, ImageOps

from xinflight.demo.bodies import VariationsBody
from xinflight.demo.drawing import as_jpeg, draw_scene, write_label
from xinflight.demo.drawing_request import (
    DrawingRequest,
    OverdrawingRequest,
    build_request,
    pipeline_arguments,
    sdapi_size,
)
from xinflight.demo.model import EmulatedModel

__all__ = ["draw_over", "from_img2img", "from_variations", "opened_rgb", "upright_size"]

STRENGTH, INPAINTING_STRENGTH = 0.6, 1.0  # defaults of ZImageImg2ImgPipeline and ZImageInpaintPipeline
WEDGING_PIXELS = 1600 * 1600  # a start of this size that isn't the output's: minutes of work that no abort ends
EDIT_PIXELS = 1024 * 1024  # area of the output of FLUX.1-Kontext, whatever size is asked for
WHITE = 128  # what is at least this light in a mask is drawn over


def from_img2img(params: dict[str, Any], model: EmulatedModel) -> list[DrawingRequest]:
    """Convert merged img2img parameters. Decodes images: call it in a thread.

    Raises:
        ValueError: something that is no image, or an option that the pipeline doesn't have. Answered with 400.
        RuntimeError: a mask or several images for a model that takes none. Answered with 500.
    """
    if params.get("enable_hr") or params.get("alwayson_scripts"):
        raise ValueError("SD WebUI extensions require a Stable Diffusion or SDXL model")
    if sampler := params.get("sampler_name"):
        _refuse_sampler(sampler)
    starts = [_decoded(text) for text in params["init_images"]]
    mask = _decoded(params["mask"]) if params.get("mask") else None
    return _overdrawing(
        model,
        params["prompt"],
        pipeline_arguments(params),
        sdapi_size(params),
        params.get("denoising_strength"),
        starts,
        mask,
        inverted=bool(params.get("inpainting_mask_invert")),
    )


def from_variations(body: VariationsBody, kwargs: dict[str, Any], model: EmulatedModel) -> list[DrawingRequest]:
    """Convert a body of variations or inpainting and its decoded kwargs. Decodes images: call it in a thread.

    Raises:
        ValueError, RuntimeError: as `from_img2img`, all answered with 500.
    """
    size = upright_size(body.images[0]) if body.size is None else _size(body.size)
    asked = kwargs | {"negative_prompt": body.negative_prompt}
    return _overdrawing(model, body.prompt, asked, size, kwargs.get("strength"), body.images, body.mask)


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, re.split(r"[^\d]+", text))
    return width, height


def _overdrawing(
    model: EmulatedModel,
    prompt: str,
    asked: dict[str, Any],
    size: tuple[int, int],
    strength: float | None,
    starts: list[bytes],
    mask: bytes | None,
    *,
    inverted: bool = False,
) -> list[DrawingRequest]:
    if mask is not None and "inpainting" not in model.abilities:
        raise RuntimeError(f"{model.uid} does not support inpainting")
    if len(starts) > 1:
        raise RuntimeError(
            "The size of tensor a (1) must match the size of tensor b (2) at non-singleton dimension 0"
        )
    image = _opened(starts[0])
    if strength is None:
        strength = STRENGTH if mask is None else INPAINTING_STRENGTH
    if model.edits:
        size, strength = _edit_size(size), 1.0
    request = build_request(model, prompt, asked, size)
    width, height = _upright_size(image)
    failure = None
    if (width, height) != size and not model.edits:
        asked_side, given, dimension = (size[0], width, 3) if width != size[0] else (size[1], height, 2)
        failure = (
            f"The size of tensor a ({asked_side // 2}) must match the size of tensor b ({given // 2}) "
            f"at non-singleton dimension {dimension}"
        )
    wedged = failure is not None and width * height >= WEDGING_PIXELS
    if not wedged:
        _loaded(image)
        if mask is not None:
            _loaded(_opened(mask))
    fields = msgspec.structs.asdict(request) | {
        "steps": request.steps - int(max(request.steps - request.steps * strength, 0)),
        "failure": failure,
        "wedged": wedged,
    }
    return [
        OverdrawingRequest(
            **fields, image=starts[0], mask=mask, inverted=inverted, strength=strength, edit=model.edits
        )
    ]


def draw_over(request: OverdrawingRequest) -> bytes:
    """Return a JPEG of the start with the prompt's scene over it, as visible as the strength says."""
    start = opened_rgb(request.image)
    size = (request.width, request.height)
    if start.size != size:
        start = start.resize(size, Image.Resampling.BICUBIC)
    scene = draw_scene(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        seed=request.seed,
        width=request.width,
        height=request.height,
        steps=request.steps,
        guidance=request.guidance,
    )
    drawn = Image.blend(start, scene, 0.5 if request.edit else request.strength)
    write_label(drawn)
    if request.mask is not None:
        drawn = Image.composite(drawn, start, _binary(request.mask, size, inverted=request.inverted))
    return as_jpeg(drawn)


def opened_rgb(data: bytes) -> Image.Image:
    """Return the first frame of an image file, upright and without its alpha."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return image.convert("RGB")


def upright_size(data: bytes) -> tuple[int, int]:
    """Return width and height of an image that a video can start from. Decodes it.

    Raises:
        ValueError: it is no image, or a broken one.
        RuntimeError: it has an alpha channel, which the pipeline takes for a fourth colour.
    """
    image = _opened(data)
    _loaded(image)
    if image.mode == "RGBA":
        raise RuntimeError(
            "The size of tensor a (4) must match the size of tensor b (3) at non-singleton dimension 0"
        )
    return _upright_size(image)


def _refuse_sampler(name: str) -> None:
    """Raise the error for a sampler of a diffusion model: a model with flow matching takes none."""
    if name == "Euler":
        raise RuntimeError("EulerDiscreteScheduler.set_timesteps() got an unexpected keyword argument 'mu'")
    raise ValueError(f"Unknown sampler: {name}")


def _binary(mask: bytes, size: tuple[int, int], *, inverted: bool) -> Image.Image:
    # The alpha is ignored as upstream: a transparent hole in a black image is no mask.
    grey = Image.open(io.BytesIO(mask)).convert("L")
    if inverted:
        grey = ImageOps.invert(grey)
    return grey.resize(size).point([255 if value >= WHITE else 0 for value in range(256)])


def _decoded(text: str) -> bytes:
    if text.startswith("data:image/"):
        text = text.partition(",")[2]
    # Upstream fetches public addresses. The demo fetches nothing, so an address is no image here.
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise ValueError("Invalid encoded image") from wrong


def _opened(data: bytes) -> Image.Image:
    """Open an image, of which only the header is read."""
    try:
        return Image.open(io.BytesIO(data))
    except Exception as wrong:
        raise ValueError("Invalid image data") from wrong


def _upright_size(image: Image.Image) -> tuple[int, int]:
    # Other formats would be decoded for it.
    turned = image.format == "JPEG" and image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return (image.height, image.width) if turned else image.size


def _loaded(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as wrong:
        raise ValueError("Invalid image data") from wrong


def _edit_size(asked: tuple[int, int]) -> tuple[int, int]:
    aspect = asked[0] / asked[1]
    return int((EDIT_PIXELS * aspect) ** 0.5) // 16 * 16, int((EDIT_PIXELS / aspect) ** 0.5) // 16 * 16
