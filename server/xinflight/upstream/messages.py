"""What Xinference answers, as typed structs, and what its errors mean.

Shapes are those of Xinference 4.1.0 (api/restful_api.py, api/schemas, core/progress_tracker.py).
"""

import re
from typing import TypeVar

import msgspec
from msgspec import Struct

from xinflight.errors import (
    ModelNotFound,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamDied,
    UpstreamFailed,
    UpstreamGarbage,
    XinflightError,
)

__all__ = [
    "Aborted",
    "GenerateConfig",
    "GenerationsAnswer",
    "ModelEntry",
    "ModelList",
    "NotForTxt2Img",
    "OpenApi",
    "ProgressAnswer",
    "Registration",
    "Replica",
    "Txt2ImgAnswer",
    "failed_picture",
    "failure",
    "parse",
]


class ModelEntry(Struct):
    """One running model of GET /v1/models."""

    id: str
    model_type: str = ""
    model_name: str = ""
    model_engine: str | None = None
    model_ability: list[str] = msgspec.field(default_factory=list)
    replica: int = 1


class ModelList(Struct):
    """GET /v1/models."""

    data: list[ModelEntry]


class GenerateConfig(Struct):
    """A registration's defaults; keys it does not have stay with the model."""

    num_inference_steps: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None


class Registration(Struct):
    """GET /v1/model_registrations/image/{model_name}."""

    default_generate_config: GenerateConfig | None = None


class Replica(Struct):
    """One row of GET /v1/models/{uid}/replicas.

    `model_address` changes when its process is made anew after a crash and is null until then; `created_ts` changes
    only when it is launched again.
    """

    replica_id: int
    model_address: str | None = None
    created_ts: int = 0


class ProgressAnswer(Struct):
    """GET /v1/requests/{request_id}/progress, from 0 to 1; 1.0 is not the end, only the end of the steps."""

    progress: float

    def __post_init__(self) -> None:
        self.progress = min(max(self.progress, 0.0), 1.0)


class Txt2ImgAnswer(Struct):
    """POST /sdapi/v1/txt2img; the base64 is decoded on the way in."""

    images: list[bytes]


class _GeneratedImage(Struct):
    """One picture of GenerationsAnswer."""

    b64_json: bytes


class GenerationsAnswer(Struct):
    """POST /v1/images/generations with b64_json; the base64 is decoded on the way in."""

    data: list[_GeneratedImage]


class OpenApi(Struct):
    """GET /openapi.json: which paths there are tells the features."""

    paths: dict[str, msgspec.Raw]


class _ErrorBody(Struct):
    """FastAPI's error body."""

    detail: str


class Aborted(Exception):
    """The request was cancelled by our abort, and has ended."""


class NotForTxt2Img(Exception):
    """The model's class has no txt2img: the other route must be taken."""


RETRY_AFTER = 300.0
"""The most seconds of a Retry-After that are believed: one of years would keep what waits until its timeout."""

_T = TypeVar("_T")

_PREFIX = re.compile(r"^\[address=[^\]]*\]\s*")
_DIED = re.compile(r"remote server .*closed:|actor not found")
_COMING_BACK = ("connect call failed", "connection refused", "stopping state")


def parse(body: bytes, shape: type[_T]) -> _T:
    """Decode an answer; raise UpstreamGarbage when it does not have its shape."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UpstreamGarbage(detail=str(error)) from None


def failure(status: int, body: bytes, retry_after: str | None = None) -> XinflightError:
    """Say what an answer that is not 200 means. Its text goes to `detail`, which is only logged."""
    try:
        text = msgspec.json.decode(body, type=_ErrorBody).detail
    except (msgspec.DecodeError, UnicodeError):
        text = body[:500].decode("utf-8", "replace")
    text = _PREFIX.sub("", text)[:500] or f"HTTP {status}"
    low = text.lower()
    failed = UpstreamFailed(detail=text)
    failed.upstream_status = status
    if _tells_abort(failed):
        return failed
    if status in (401, 403) or (status == 429 and "banned" in low):
        return UpstreamAuth(detail=text)
    if status in (429, 502, 503, 504) or any(word in low for word in _COMING_BACK):
        return UpstreamBusy(detail=text, retry_after=_seconds(retry_after))
    if status == 404:
        return ModelNotFound(detail=text)
    if _DIED.search(low):
        return UpstreamDied(detail=text)
    return failed


def failed_picture(error: UpstreamFailed) -> Exception:
    """Say what a failure means that answered a request for a picture: of any other call it says nothing."""
    if _tells_abort(error):
        return Aborted(error.detail)
    if "is not for txt2img" in error.detail.lower():
        return NotForTxt2Img(error.detail)
    return error


def _tells_abort(error: UpstreamFailed) -> bool:
    low = error.detail.lower()
    return error.upstream_status == 409 or "has been aborted" in low or "has been cancelled" in low


def _seconds(retry_after: str | None) -> float | None:
    return min(float(retry_after), RETRY_AFTER) if retry_after is not None and retry_after.isdecimal() else None
