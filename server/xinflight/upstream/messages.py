"""Responses of Xinference as typed structs, and its errors as exceptions.

Shapes are those of Xinference 4.1.0 (api/restful_api.py, api/schemas, core/progress_tracker.py). Responses with an
output are defined in the file of their kind.
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
    UpstreamOutOfMemory,
    XinflightError,
)

__all__ = [
    "AbortAnswer",
    "Aborted",
    "GenerateConfig",
    "ModelEntry",
    "ModelList",
    "OpenApi",
    "ProgressAnswer",
    "Registration",
    "Replica",
    "RouteMissing",
    "failure",
    "generation_failure",
    "parse",
]


class ModelEntry(Struct):
    """One running model of GET /v1/models."""

    id: str
    model_type: str = ""
    model_name: str = ""
    model_family: str = ""
    model_engine: str | None = None
    model_ability: list[str] = msgspec.field(default_factory=list)
    replica: int = 1
    context_length: int | None = None


class ModelList(Struct):
    """GET /v1/models."""

    data: list[ModelEntry]


class GenerateConfig(Struct):
    """Defaults of a registration; for a missing key the pipeline's own default applies. `max_area` are two sides."""

    num_inference_steps: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None
    max_area: list[int] | str | None = None
    num_frames: int | None = None
    fps: int | None = None


class Registration(Struct):
    """GET /v1/model_registrations/{model_type}/{model_name}."""

    default_generate_config: GenerateConfig | None = None


class Replica(Struct):
    """One row of GET /v1/models/{uid}/replicas.

    After a crash `model_address` is null until a new process runs, and then a different one. `created_ts` changes
    only when the model is launched again.
    """

    replica_id: int
    model_address: str | None = None
    created_ts: int = 0


class ProgressAnswer(Struct):
    """GET /v1/requests/{request_id}/progress, 0 to 1; 1.0 is the end of the steps, not of the request."""

    progress: float

    def __post_init__(self) -> None:
        self.progress = min(max(self.progress, 0.0), 1.0)


class AbortAnswer(Struct):
    """POST /v1/models/{uid}/requests/{request_id}/abort: DONE, NO_OP or NOT_FOUND."""

    msg: str = ""


class OpenApi(Struct):
    """GET /openapi.json: its paths show which features this version has."""

    paths: dict[str, msgspec.Raw]


class _ErrorBody(Struct):
    """FastAPI's error body."""

    detail: str


class Aborted(Exception):
    """The request was cancelled by an abort and has ended."""


class RouteMissing(Exception):
    """The model's class does not implement the route: the kind's other route must be used."""


RETRY_AFTER = 300.0
"""Maximum of a Retry-After in seconds: a larger one would hold a task until its timeout."""

_T = TypeVar("_T")

_PREFIX = re.compile(r"^\[address=[^\]]*\]\s*")
_DIED = re.compile(r"remote server .*closed:|actor not found")
_OUT_OF_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|insufficient memory")
"""PyTorch's texts: of CUDA, ROCm, MPS and XPU the first; of the CPU's allocator the others."""
_RECOVERING = ("connect call failed", "connection refused", "stopping state")


def parse(body: bytes, shape: type[_T]) -> _T:
    """Decode a response; raise UpstreamGarbage if it does not have the expected shape."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UpstreamGarbage(detail=str(error)) from None


def failure(status: int, body: bytes, retry_after: str | None = None) -> XinflightError:
    """Return the exception for a response other than 200. Its text goes to `detail`, which is only logged."""
    try:
        text = parse(body, _ErrorBody).detail
    except UpstreamGarbage:
        text = body[:500].decode("utf-8", "replace")
    text = _PREFIX.sub("", text)[:500] or f"HTTP {status}"
    low = text.lower()
    failed = UpstreamFailed(detail=text)
    failed.upstream_status = status
    if _is_abort(failed):
        return failed
    if status in (401, 403) or (status == 429 and "banned" in low):
        return UpstreamAuth(detail=text)
    if status in (429, 502, 503, 504) or any(word in low for word in _RECOVERING):
        return UpstreamBusy(detail=text, retry_after=_seconds(retry_after))
    if status == 404:
        return ModelNotFound(detail=text)
    if _DIED.search(low):
        return UpstreamDied(detail=text)
    return failed


def generation_failure(error: UpstreamFailed, route_missing: str | None) -> Exception:
    """Return the exception for a failed generation; the same failure of another call means nothing special.

    Aborted for an abort, RouteMissing for a text that contains `route_missing`, UpstreamOutOfMemory for one that says
    so, otherwise the error itself.
    """
    if _is_abort(error):
        return Aborted(error.detail)
    if route_missing is not None and route_missing in error.detail.lower():
        return RouteMissing(error.detail)
    if _OUT_OF_MEMORY.search(error.detail.lower()):
        return UpstreamOutOfMemory(detail=error.detail)
    return error


def _is_abort(error: UpstreamFailed) -> bool:
    low = error.detail.lower()
    return error.upstream_status == 409 or "has been aborted" in low or "has been cancelled" in low


def _seconds(retry_after: str | None) -> float | None:
    return min(float(retry_after), RETRY_AFTER) if retry_after is not None and retry_after.isdecimal() else None
