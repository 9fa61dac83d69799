"""Request bodies of the emulated Xinference, and the errors it has for invalid ones.

Source: Xinference 4.1.0, `api/schemas/requests.py`.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec

from xinflight.demo.errors import HttpError

__all__ = [
    "GenerationsBody",
    "Img2imgBody",
    "Txt2imgBody",
    "VariationsBody",
    "VideoBody",
    "decode_generations",
    "decode_img2img",
    "decode_or_500",
    "decode_txt2img",
    "decode_video",
]

T = TypeVar("T")
_Pixels = Annotated[int, msgspec.Meta(ge=8)]
_Count = Annotated[int, msgspec.Meta(ge=1)]


class Txt2imgBody(msgspec.Struct, kw_only=True):
    """The body of `POST /sdapi/v1/txt2img`, as far as a text2image model uses it."""

    model: str | None = None
    prompt: str = ""
    negative_prompt: str = ""
    steps: _Count | None = None
    seed: int = -1
    batch_size: _Count = 1
    n_iter: _Count = 1
    cfg_scale: float = 7.0
    override_settings: dict[str, Any] = {}
    width: _Pixels = 512
    height: _Pixels = 512
    kwargs: str | None = None
    enable_hr: bool = False
    alwayson_scripts: dict[str, Any] = {}
    denoising_strength: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    sampler_name: str | None = None
    request_id: str | None = None


class Img2imgBody(Txt2imgBody, kw_only=True):
    """The body of `POST /sdapi/v1/img2img`. Images are base64, bare or as a data URL."""

    init_images: Annotated[list[str], msgspec.Meta(min_length=1)]
    mask: str | None = None
    inpainting_mask_invert: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0


class GenerationsBody(msgspec.Struct, kw_only=True):
    """The body of `POST /v1/images/generations`."""

    model: str
    prompt: str | list[str]
    n: int | None = 1
    response_format: str | None = "url"
    size: str | None = "1024*1024"
    kwargs: str | None = None


class VariationsBody(msgspec.Struct, kw_only=True):
    """The form of `POST /v1/images/variations`, and with a mask that of `/v1/images/inpainting`."""

    model: str
    prompt: str = ""
    negative_prompt: str = ""
    size: str | None = None
    response_format: str = "url"
    kwargs: str | None = None
    images: list[bytes]
    mask: bytes | None = None


class VideoBody(msgspec.Struct, kw_only=True):
    """The body of `POST /v1/video/generations`; kwargs are a JSON object in a string."""

    model: str
    prompt: str | list[str]
    n: int | None = 1
    kwargs: str | None = None


def decode_txt2img(raw: bytes) -> Txt2imgBody:
    """Decode a txt2img body; raise HttpError 422 with the text of pydantic if it is invalid."""
    return _decode_or_422(raw, Txt2imgBody, "SDAPITxt2imgRequst")


def decode_img2img(raw: bytes) -> Img2imgBody:
    """Decode an img2img body; raise HttpError 422 with the text of pydantic if it is invalid."""
    return _decode_or_422(raw, Img2imgBody, "SDAPIImg2imgRequst")


def decode_generations(raw: bytes) -> GenerationsBody:
    """Decode a generations body; raise the plain HttpError 500 of an uncaught exception if it is invalid."""
    return decode_or_500(raw, GenerationsBody, "TextToImageRequest")


def decode_video(raw: bytes) -> VideoBody:
    """Decode the body of a video; raise the plain HttpError 500 of an uncaught exception if it is invalid."""
    return decode_or_500(raw, VideoBody, "TextToVideoRequest")


def _decode_or_422(raw: bytes, body: type[T], schema: str) -> T:
    try:
        return msgspec.json.decode(raw, type=body, strict=False)
    except msgspec.ValidationError as wrong:
        raise HttpError(422, _pydantic_text(wrong, schema)) from wrong
    except msgspec.DecodeError as wrong:
        raise HttpError(422, "Expecting value: line 1 column 1 (char 0)") from wrong


def decode_or_500(raw: bytes, body: type[T], schema: str) -> T:
    """Decode a body; raise the plain HttpError 500 of an uncaught exception if it is invalid."""
    try:
        return msgspec.json.decode(raw, type=body, strict=False)
    except msgspec.ValidationError as wrong:
        text = _pydantic_text(wrong, schema)
        raise HttpError(500, f"Internal Server Error: {text}", plain=True) from wrong
    except msgspec.DecodeError as wrong:
        text = "Internal Server Error: Expecting value: line 1 column 1 (char 0)"
        raise HttpError(500, text, plain=True) from wrong


_BOUNDS = {
    ">=": ("greater than or equal to", "not_ge"),
    ">": ("greater than", "not_gt"),
    "<=": ("less than or equal to", "not_le"),
}
_TYPE_TEXTS = {
    "str": "str type expected (type=type_error.str)",
    "int": "value is not a valid integer (type=type_error.integer)",
    "float": "value is not a valid float (type=type_error.float)",
    "object": "value is not a valid dict (type=type_error.dict)",
    "bool": "value could not be parsed to a boolean (type=type_error.bool)",
}


def _pydantic_text(wrong: msgspec.ValidationError, schema: str) -> str:
    text = str(wrong)
    if missing := re.search(r"missing required field `(\w+)`", text):
        field, words = missing[1], "field required (type=value_error.missing)"
    elif short := re.search(r"of length >= (\d+) - at `\$\.(\w+)", text):
        words = f"ensure this value has at least {short[1]} items "
        words += f"(type=value_error.list.min_items; limit_value={short[1]})"
        field = short[2]
    elif bound := re.search(r"(>=|>|<=) ([\d.]+) - at `\$\.(\w+)", text):
        relation, name = _BOUNDS[bound[1]]
        limit = f"{float(bound[2]):g}"
        words = f"ensure this value is {relation} {limit} (type=value_error.number.{name}; limit_value={limit})"
        field = bound[3]
    elif "got `null`" in text:
        field, words = _field(text), "none is not an allowed value (type=type_error.none.not_allowed)"
    else:
        expected = re.search(r"Expected `(\w+)", text)
        field, words = _field(text), _TYPE_TEXTS.get(expected[1] if expected else "", text)
    return f"1 validation error for {schema}\n{field}\n  {words}"


def _field(text: str) -> str:
    at = re.search(r"at `\$\.(\w+)", text)
    return at[1] if at else "__root__"
