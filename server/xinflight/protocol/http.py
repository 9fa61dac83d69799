"""What is said over plain HTTP beside the messages of the WebSocket: bodies, problems, and the shapes of OpenAI."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from xinflight.protocol.messages import ModelInfo, TaskInfo
from xinflight.protocol.requests import Index
from xinflight.protocol.terms import UpstreamState

__all__ = [
    "CancelBody",
    "Health",
    "Models",
    "NoticeBody",
    "OpenAiCompleted",
    "OpenAiError",
    "OpenAiImage",
    "OpenAiImages",
    "OpenAiModel",
    "OpenAiModels",
    "OpenAiProblem",
    "Problem",
    "TaskPage",
]


class Problem(Struct, omit_defaults=True, kw_only=True):
    """The body of a refusal (RFC 9457). `code`, `field` and `limit` are those of the wire's `error`."""

    type: str = msgspec.field(default_factory=lambda: "about:blank")
    title: str
    status: int
    detail: str
    code: str
    field: str | None = None
    limit: str | None = None
    retryable: bool = msgspec.field(default_factory=lambda: False)
    retry_after: float | None = None


class TaskPage(Struct, omit_defaults=True, kw_only=True):
    """A page of tasks, the newest first. `next` goes into `?cursor=`, `cursor` into `?after=` of the events."""

    tasks: list[TaskInfo]
    next: str | None = None
    cursor: str


class Models(Struct, kw_only=True):
    """The models that make pictures from text."""

    models: list[ModelInfo]


class CancelBody(Struct, kw_only=True):
    """What of a task is cancelled: one picture, or all."""

    index: Index | None = None


class NoticeBody(Struct, kw_only=True):
    """What an admin tells an owner, or with `owner` absent everybody."""

    text: Annotated[str, Meta(min_length=1, max_length=1000)]
    owner: str | None = None


class Health(Struct, omit_defaults=True, kw_only=True):
    """Whether the server takes work, what it knows of Xinference, and which background tasks failed lately."""

    status: Literal["ok", "degraded", "storage_unavailable", "draining"]
    upstream: UpstreamState
    failing: list[str] = []


# As OpenAI's image API has it: platform.openai.com/docs/api-reference/images


class OpenAiImage(Struct, omit_defaults=True, kw_only=True):
    """One picture: its URL, or the file as base64."""

    url: str | None = None
    b64_json: bytes | None = None


class OpenAiImages(Struct, kw_only=True):
    """The answer; `created` is Unix seconds."""

    created: int
    data: list[OpenAiImage]


class OpenAiCompleted(Struct, tag_field="type", tag="image_generation.completed", kw_only=True):
    """One picture of a stream. `usage` counts nothing: pictures are not made of tokens here."""

    b64_json: bytes
    created_at: int
    size: str
    output_format: str
    quality: str = "auto"
    background: str = "auto"
    usage: dict[str, Any] = msgspec.field(
        default_factory=lambda: {
            "input_tokens": 0,
            "output_tokens": 0,
            "total_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        }
    )


class OpenAiProblem(Struct, kw_only=True):
    """What was wrong; `param` is the field at fault, `code` that of the wire."""

    message: str
    type: Literal["invalid_request_error", "server_error"]
    param: str | None
    code: str


class OpenAiError(Struct, kw_only=True):
    """The body of a refusal."""

    error: OpenAiProblem


class OpenAiModel(Struct, kw_only=True):
    """A model that makes pictures from text."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "xinference"


class OpenAiModels(Struct, kw_only=True):
    """The models that make pictures from text."""

    object: Literal["list"] = "list"
    data: list[OpenAiModel]
