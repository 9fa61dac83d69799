"""All errors, as one tree. Every leaf has a stable code that clients may rely on, and the HTTP status it maps to.

XinflightError
├── BadMessage
│   ├── NotJson              not_json
│   ├── WrongShape           wrong_shape
│   ├── UnknownAction        unknown_action
│   ├── FrameTooLarge        frame_too_large
│   ├── BinaryFrame          binary_frame
│   ├── TextFrame            text_frame
│   ├── UnsupportedType      unsupported_type
│   ├── BodyTimeout          body_timeout
│   └── NotAcceptable        not_acceptable
├── BadValue
│   ├── OutOfBounds          out_of_bounds
│   ├── PromptMissing        prompt_missing
│   ├── BadTaskId            bad_task_id
│   └── LoraTag              lora_tag
├── Refused
│   ├── Unauthorised         unauthorised
│   ├── Forbidden            forbidden
│   ├── NotFound             not_found
│   ├── TaskIdConflict       task_id_conflict
│   ├── TooManyTasks         too_many_tasks
│   ├── TooManyConnections   too_many_connections
│   ├── ModelNotFound        model_not_found
│   ├── ModelUnsuitable      model_unsuitable
│   ├── TaskUnfinished       task_unfinished
│   ├── StorageUnavailable   storage_unavailable
│   └── ShuttingDown         shutting_down
├── UpstreamError
│   ├── UpstreamAuth         upstream_auth
│   ├── UpstreamUnreachable  upstream_unreachable
│   ├── UpstreamBusy         upstream_busy
│   ├── UpstreamDied         upstream_died
│   ├── UpstreamFailed       upstream_failed
│   └── UpstreamGarbage      upstream_garbage
├── TaskTimeout              timeout
├── TaskCancelled            cancelled
└── Internal                 internal
"""

from typing import ClassVar

__all__ = [
    "BadMessage",
    "BadTaskId",
    "BadValue",
    "BinaryFrame",
    "BodyTimeout",
    "Forbidden",
    "FrameTooLarge",
    "Internal",
    "LoraTag",
    "ModelNotFound",
    "ModelUnsuitable",
    "NotAcceptable",
    "NotFound",
    "NotJson",
    "OutOfBounds",
    "PromptMissing",
    "Refused",
    "ShuttingDown",
    "StorageUnavailable",
    "StoreUnusable",
    "TaskCancelled",
    "TaskIdConflict",
    "TaskTimeout",
    "TaskUnfinished",
    "TextFrame",
    "TooManyConnections",
    "TooManyTasks",
    "Unauthorised",
    "UnknownAction",
    "UnsupportedType",
    "UpstreamAuth",
    "UpstreamBusy",
    "UpstreamDied",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamGarbage",
    "UpstreamUnreachable",
    "WrongShape",
    "XinflightError",
    "by_code",
    "leaves",
]


class XinflightError(Exception):
    """A failure, with what a client may know about it.

    `code` is sent to clients and `status` is its HTTP status; `retryable` says whether the same request may succeed
    later. `field` names the field at fault and `limit` the violated bound, as text. `retry_after` is in seconds.
    `detail` is for logs only: it may contain upstream text and is never sent to a client. A subclass defined by a
    host inherits code and status from its nearest ancestor.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        *,
        field: str | None = None,
        limit: str | None = None,
        retry_after: float | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(detail or field or type(self).__name__)
        self.field = field
        self.limit = limit
        self.retry_after = retry_after
        self.detail = detail


class BadMessage(XinflightError):
    """A frame or request that is not a message of the protocol."""


class NotJson(BadMessage):
    """The frame or body is not valid JSON in UTF-8, or not valid MessagePack."""

    code = "not_json"
    status = 400


class WrongShape(BadMessage):
    """A field is missing or has the wrong type, or fields exclude each other."""

    code = "wrong_shape"
    status = 422


class UnknownAction(BadMessage):
    """The `action` is missing or unknown to this version."""

    code = "unknown_action"
    status = 400


class FrameTooLarge(BadMessage):
    """The frame or body exceeds `limits.frame_bytes`."""

    code = "frame_too_large"
    status = 413


class BinaryFrame(BadMessage):
    """A binary frame on a sub-protocol that uses text frames only."""

    code = "binary_frame"
    status = 400


class TextFrame(BadMessage):
    """A text frame on a sub-protocol that uses binary frames only."""

    code = "text_frame"
    status = 400


class UnsupportedType(BadMessage):
    """The body's Content-Type or Content-Encoding is not supported."""

    code = "unsupported_type"
    status = 415


class BodyTimeout(BadMessage):
    """The request body did not arrive in time."""

    code = "body_timeout"
    status = 408
    retryable = True


class NotAcceptable(BadMessage):
    """None of the media types in Accept can be produced."""

    code = "not_acceptable"
    status = 406


class BadValue(XinflightError):
    """A well-formed message with an unusable value."""


class OutOfBounds(BadValue):
    """A value is out of bounds; `field` and `limit` name it and its bound."""

    code = "out_of_bounds"
    status = 422


class PromptMissing(BadValue):
    """The prompt is missing or empty."""

    code = "prompt_missing"
    status = 422


class BadTaskId(BadValue):
    """The task id is malformed."""

    code = "bad_task_id"
    status = 422


class LoraTag(BadValue):
    """The prompt contains a `<lora:` tag; choose a model launched with the LoRA instead."""

    code = "lora_tag"
    status = 422


class Refused(XinflightError):
    """A valid message that can't be carried out."""


class Unauthorised(Refused):
    """Missing or invalid credentials."""

    code = "unauthorised"
    status = 401


class Forbidden(Refused):
    """The caller is not allowed to do this."""

    code = "forbidden"
    status = 403


class NotFound(Refused):
    """Nothing with this id belongs to the caller; ids of other owners are reported as not found, too."""

    code = "not_found"
    status = 404


class TaskIdConflict(Refused):
    """The task id is already used by a request with different content."""

    code = "task_id_conflict"
    status = 409


class TooManyTasks(Refused):
    """The owner, or the server as a whole, has too many unfinished tasks."""

    code = "too_many_tasks"
    status = 429
    retryable = True


class TooManyConnections(Refused):
    """No connection is left for a streaming response; a WebSocket is closed with 1013 instead."""

    code = "too_many_connections"
    status = 503
    retryable = True


class ModelNotFound(Refused):
    """The upstream does not run this model."""

    code = "model_not_found"
    status = 404


class ModelUnsuitable(Refused):
    """The model can't generate images from text."""

    code = "model_unsuitable"
    status = 422


class TaskUnfinished(Refused):
    """An unfinished task can't be deleted; cancel it first."""

    code = "task_unfinished"
    status = 409


class StorageUnavailable(Refused):
    """The data can't be stored now: the disk is full, read-only or busy."""

    code = "storage_unavailable"
    status = 503
    retryable = True


class ShuttingDown(Refused):
    """The server is shutting down."""

    code = "shutting_down"
    status = 503
    retryable = True


class UpstreamError(XinflightError):
    """Xinference did not produce the output. Retryable errors are retried with a fresh request id."""


class UpstreamAuth(UpstreamError):
    """Xinference rejects the server's API key (401, 403) or has banned its address (429)."""

    code = "upstream_auth"
    status = 502


class UpstreamUnreachable(UpstreamError):
    """Xinference can't be reached."""

    code = "upstream_unreachable"
    status = 503
    retryable = True


class UpstreamBusy(UpstreamError):
    """Xinference accepts no more work: 503, or 429 for its rate limit."""

    code = "upstream_busy"
    status = 503
    retryable = True


class UpstreamDied(UpstreamError):
    """The model process died (its 500 says so), or the response was lost on the way."""

    code = "upstream_died"
    status = 502
    retryable = True


class UpstreamFailed(UpstreamError):
    """Xinference reported any other failure."""

    code = "upstream_failed"
    status = 502

    upstream_status: int | None = None
    """HTTP status of Xinference's response, if there was one."""


class UpstreamGarbage(UpstreamError):
    """Xinference answered 200 with a body that can't be decoded."""

    code = "upstream_garbage"
    status = 502


class TaskTimeout(XinflightError):
    """The task exceeded its timeout."""

    code = "timeout"
    status = 504


class TaskCancelled(XinflightError):
    """The task was cancelled; reported only where one request stands for one task."""

    code = "cancelled"
    status = 409


class Internal(XinflightError):
    """A bug in xinflight; the log has the traceback."""

    code = "internal"
    status = 500


class StoreUnusable(Exception):
    """The data folder is unusable and the server can't start; the message says how to fix it."""


def _with_codes(branch: type[XinflightError]) -> list[type[XinflightError]]:
    below = [leaf for child in branch.__subclasses__() for leaf in _with_codes(child)]
    return below or [branch]


# Collected at import, before a host can subclass them: its own errors must not become part of the protocol.
_BY_CODE = {leaf.code: leaf for leaf in _with_codes(XinflightError)}


def leaves() -> list[type[XinflightError]]:
    """Return every leaf class of this module, in the order of the tree above."""
    return list(_BY_CODE.values())


def by_code(code: str) -> type[XinflightError]:
    """Return the class of a code, or Internal for an unknown code, which another version may have stored."""
    return _BY_CODE.get(code, Internal)
