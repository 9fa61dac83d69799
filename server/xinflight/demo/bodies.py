"""Request bodies of the emulated Xinference, and the errors it has for invalid ones.

Source: Xinference 4.1.0, `api/schemas/requests.py`.
"""

import re
from typing import Annotated, Any

import msgspec

from xinflight.demo.errors import HttpError

__all__ = ["GenerationsBody", "Txt2imgBody", "decode_generations", "decode_txt2img"]

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
    request_id: str | None = None


class GenerationsBody(msgspec.Struct, kw_only=True):
    """The body of `POST /v1/images/generations`."""

    model: str
    prompt: str | list[str]
    n: int | None = 1
    response_format: str | None = "url"
    size: str | None = "1024*1024"
    kwargs: str | None = None


def decode_txt2img(raw: bytes) -> Txt2imgBody:
    """Decode a txt2img body; raise HttpError 422 with the text of pydantic if it is invalid."""
    try:
        return msgspec.json.decode(raw, type=Txt2imgBody, strict=False)
    except msgspec.ValidationError as wrong:
        raise HttpError(422, _pydantic_text(wrong, "SDAPITxt2imgRequst")) from wrong
    except msgspec.DecodeError as wrong:
        raise HttpError(422, "Expecting value: line 1 column 1 (char 0)") from wrong


def decode_generations(raw: bytes) -> GenerationsBody:
    """Decode a generations body; raise the plain HttpError 500 of an uncaught exception if it is invalid."""
    try:
        return msgspec.json.decode(raw, type=GenerationsBody, strict=False)
    except msgspec.ValidationError as wrong:
        text = _pydantic_text(wrong, "TextToImageRequest")
        raise HttpError(500, f"Internal Server Error: {text}", plain=True) from wrong
    except msgspec.DecodeError as wrong:
        text = "Internal Server Error: Expecting value: line 1 column 1 (char 0)"
        raise HttpError(500, text, plain=True) from wrong


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
    elif low := re.search(r">= (\d+) - at `\$\.(\w+)", text):
        words = f"ensure this value is greater than or equal to {low[1]} "
        words += f"(type=value_error.number.not_ge; limit_value={low[1]})"
        field = low[2]
    elif "got `null`" in text:
        field, words = _field(text), "none is not an allowed value (type=type_error.none.not_allowed)"
    else:
        expected = re.search(r"Expected `(\w+)", text)
        field, words = _field(text), _TYPE_TEXTS.get(expected[1] if expected else "", text)
    return f"1 validation error for {schema}\n{field}\n  {words}"


def _field(text: str) -> str:
    at = re.search(r"at `\$\.(\w+)", text)
    return at[1] if at else "__root__"
