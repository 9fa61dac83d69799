"""HTTP-only structs: request and response bodies, problem details, and the objects of OpenAI's API."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from xinflight.protocol.fields import (
    BrokenLimit,
    Code,
    InlineFile,
    InvalidField,
    MessageText,
    ModelId,
    NextPage,
    PixelSize,
    QueueHeld,
    QueuePaused,
    Retryable,
    RetryAfter,
    UnixSeconds,
    WaitingCount,
    XinferenceState,
)
from xinflight.protocol.parts import CancelledTask, ModelList, QueuedOutputs, TaskList
from xinflight.protocol.requests import Index, TaskId

__all__ = [
    "CancelBody",
    "ChangedTasks",
    "Health",
    "Models",
    "MoveBody",
    "NoticeBody",
    "OpenAiCompleted",
    "OpenAiEdited",
    "OpenAiError",
    "OpenAiImage",
    "OpenAiImages",
    "OpenAiModel",
    "OpenAiModels",
    "OpenAiProblem",
    "Problem",
    "QueueInfo",
    "TaskPage",
]


class Problem(Struct, omit_defaults=True, kw_only=True):
    """The body of an error response (RFC 9457). `code`, `field` and `limit` are as in an `error` message."""

    type: Annotated[str, Meta(description="Always `about:blank`. See `code`.")] = msgspec.field(
        default_factory=lambda: "about:blank"
    )
    title: Annotated[str, Meta(description="The status as text.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str, Meta(description="Text for people.")]
    code: Code
    field: InvalidField = None
    limit: BrokenLimit = None
    retryable: Retryable = msgspec.field(default_factory=lambda: False)
    retry_after: RetryAfter = None
    request_id: Annotated[
        str, Meta(description="The `X-Request-Id` of the response, by which the server's log lines are found.")
    ] = msgspec.field(default_factory=str)


class TaskPage(Struct, omit_defaults=True, kw_only=True):
    """A page of tasks, newest first. Use `next` as `?cursor=`, and `cursor` as `?after=` of the events."""

    tasks: TaskList
    next: NextPage = None
    cursor: Annotated[
        str, Meta(description="Resume at `/api/v1/events?after=` with this cursor to get everything after this page.")
    ]


class Models(Struct, kw_only=True):
    """The models, with what they can do."""

    models: ModelList


class CancelBody(Struct, kw_only=True):
    """The body of a cancel: one image of the task, or all of it."""

    index: Annotated[Index | None, Meta(description="Cancel only this image. Default: the whole task.")] = None


class MoveBody(Struct, kw_only=True):
    """The body of a move: exactly one of its fields."""

    before: Annotated[TaskId | None, Meta(description="Move it right before this waiting task of the same pool.")] = (
        None
    )
    to: Annotated[
        Literal["first", "last"] | None, Meta(description="Move it before or behind all others of the owner.")
    ] = None


class ChangedTasks(Struct, kw_only=True):
    """The tasks that were paused, unpaused or cancelled, with their states when the request arrived."""

    tasks: Annotated[list[CancelledTask], Meta(description="One entry per task.")]


class QueueInfo(Struct, kw_only=True):
    """The waiting images of the owner, as in a `queue` message."""

    outputs: QueuedOutputs
    waiting: WaitingCount
    paused: QueuePaused
    held: QueueHeld


class NoticeBody(Struct, kw_only=True):
    """A notice from an admin to one owner, or to everyone if `owner` is absent."""

    text: Annotated[str, Meta(min_length=1, max_length=1000, description="Text of the notice.")]
    owner: Annotated[str | None, Meta(description="Recipient. Default: all owners.")] = None


class Health(Struct, omit_defaults=True, kw_only=True):
    """Health of the server, state of Xinference, and background tasks that failed recently."""

    status: Annotated[
        Literal["ok", "degraded", "storage_unavailable", "draining"],
        Meta(
            description="Whether requests are accepted. `degraded`: they are, but Xinference is not ready or a "
            "background task failed."
        ),
    ]
    upstream: XinferenceState
    failing: Annotated[
        list[str], Meta(description="Background tasks that failed recently. Each is restarted after a pause.")
    ] = []


# OpenAI's image API: platform.openai.com/docs/api-reference/images


class OpenAiImage(Struct, omit_defaults=True, kw_only=True):
    """One image: its URL, or the file as base64."""

    url: Annotated[
        str | None,
        Meta(description="URL of the image. Signed, so it needs no credentials until it expires after some hours."),
    ] = None
    b64_json: InlineFile = None


class OpenAiImages(Struct, kw_only=True):
    """The generated images. `created` is Unix time in seconds."""

    created: UnixSeconds
    data: Annotated[list[OpenAiImage], Meta(description="The finished images, ordered by index.")]


Auto = Annotated[str, Meta(description="Always `auto`.")]


class _OpenAiStreamed(Struct, tag_field="type", kw_only=True):
    """One image of a stream. `usage` is all zeros, since no tokens are counted."""

    b64_json: Annotated[
        bytes, Meta(description="The file itself, if requested: base64 in JSON, bytes in MessagePack.")
    ]
    created_at: UnixSeconds
    size: PixelSize
    output_format: Annotated[str, Meta(description="`jpeg`, `png` or `webp`.")]
    quality: Auto = "auto"
    background: Auto = "auto"
    usage: Annotated[dict[str, Any], Meta(description="All zeros.")] = msgspec.field(
        default_factory=lambda: {
            "input_tokens": 0,
            "output_tokens": 0,
            "total_tokens": 0,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        }
    )


class OpenAiCompleted(_OpenAiStreamed, tag="image_generation.completed", kw_only=True):
    """One image of a stream of generations. `usage` is all zeros, since no tokens are counted."""


class OpenAiEdited(_OpenAiStreamed, tag="image_edit.completed", kw_only=True):
    """One image of a stream of edits. `usage` is all zeros, since no tokens are counted."""


class OpenAiProblem(Struct, kw_only=True):
    """Details of an error. `param` is the invalid field, `code` the same as in `error` messages."""

    message: MessageText
    type: Annotated[
        Literal["invalid_request_error", "rate_limit_error", "server_error"],
        Meta(
            description="Whether the client caused the error, by the request or by too many of them, or the server."
        ),
    ]
    param: InvalidField
    code: Code


class OpenAiError(Struct, kw_only=True):
    """The body of an error response."""

    error: Annotated[OpenAiProblem, Meta(description="What was wrong.")]


class OpenAiModel(Struct, kw_only=True):
    """A model."""

    id: ModelId
    object: Annotated[Literal["model"], Meta(description="Object type, as in OpenAI's API.")] = "model"
    created: Annotated[int, Meta(description="Always 0.")] = 0
    owned_by: Annotated[str, Meta(description="Always `xinference`.")] = "xinference"


class OpenAiModels(Struct, kw_only=True):
    """The models."""

    object: Annotated[Literal["list"], Meta(description="Object type, as in OpenAI's API.")] = "list"
    data: Annotated[list[OpenAiModel], Meta(description="One entry per model.")]
