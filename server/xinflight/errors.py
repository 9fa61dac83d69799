"""What can go wrong, as one tree; every leaf has a stable code that clients may rely on.

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
    """Carry what a client needs to know of a failure.

    `field` names the message's field at fault and `limit` the bound it broke, as text. `retry_after` is in
    seconds. `detail` is for logs only: it may hold upstream text and is never sent to anyone. A class that somebody
    else derives has the code of the nearest one above it.
    """

    code: ClassVar[str] = "internal"
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
    """A frame that is no message of the protocol."""


class NotJson(BadMessage):
    """Not JSON, or not UTF-8."""

    code = "not_json"


class WrongShape(BadMessage):
    """JSON, but a field is missing or of the wrong type."""

    code = "wrong_shape"


class UnknownAction(BadMessage):
    """An `action` that this version does not have."""

    code = "unknown_action"


class FrameTooLarge(BadMessage):
    """A frame over the soft limit."""

    code = "frame_too_large"


class BinaryFrame(BadMessage):
    """A binary frame where the sub-protocol has text only."""

    code = "binary_frame"


class TextFrame(BadMessage):
    """A text frame where the sub-protocol has binary only."""

    code = "text_frame"


class UnsupportedType(BadMessage):
    """A request whose body is of a type that is not read here."""

    code = "unsupported_type"


class BodyTimeout(BadMessage):
    """A request whose body did not come in time."""

    code = "body_timeout"
    retryable = True


class NotAcceptable(BadMessage):
    """A request for a type that is not written here."""

    code = "not_acceptable"


class BadValue(XinflightError):
    """A message of the right shape with a value that can't be used."""


class OutOfBounds(BadValue):
    """A value beyond its bounds; `limit` says which."""

    code = "out_of_bounds"


class PromptMissing(BadValue):
    """No prompt, or an empty one."""

    code = "prompt_missing"


class BadTaskId(BadValue):
    """A task id of the wrong form."""

    code = "bad_task_id"


class LoraTag(BadValue):
    """A `<lora:` tag in a prompt: a LoRA is chosen by choosing the model launched with it."""

    code = "lora_tag"


class Refused(XinflightError):
    """A proper message that can't be acted on now."""


class Unauthorised(Refused):
    """Nobody that is known here."""

    code = "unauthorised"


class Forbidden(Refused):
    """Somebody who may not do this."""

    code = "forbidden"


class NotFound(Refused):
    """Nothing of one's own has this id; somebody else's is not told of."""

    code = "not_found"


class TaskIdConflict(Refused):
    """A task id that stands for other content already."""

    code = "task_id_conflict"


class TooManyTasks(Refused):
    """More unfinished tasks of an owner, or in all, than allowed."""

    code = "too_many_tasks"
    retryable = True


class TooManyConnections(Refused):
    """One more answer that goes on than there may be connections; a WebSocket is closed with 1013 instead."""

    code = "too_many_connections"
    retryable = True


class ModelNotFound(Refused):
    """A model that the upstream does not run."""

    code = "model_not_found"


class ModelUnsuitable(Refused):
    """A model that can't make pictures from text."""

    code = "model_unsuitable"


class TaskUnfinished(Refused):
    """A task that can't be deleted while it is on its way; cancel it first."""

    code = "task_unfinished"


class StorageUnavailable(Refused):
    """What must be kept can't be kept now: the disk is full, read-only or busy."""

    code = "storage_unavailable"
    retryable = True


class ShuttingDown(Refused):
    """The server is stopping."""

    code = "shutting_down"
    retryable = True


class UpstreamError(XinflightError):
    """Xinference did not make the picture. Retryable ones are tried again with a fresh request id."""


class UpstreamAuth(UpstreamError):
    """Xinference refuses our key (401, 403), or has banned our address (429)."""

    code = "upstream_auth"


class UpstreamUnreachable(UpstreamError):
    """No connection to Xinference."""

    code = "upstream_unreachable"
    retryable = True


class UpstreamBusy(UpstreamError):
    """Xinference took no more: 503, or 429 for the rate limit."""

    code = "upstream_busy"
    retryable = True


class UpstreamDied(UpstreamError):
    """The model process went away (its 500 says so), or the answer was lost on its way."""

    code = "upstream_died"
    retryable = True


class UpstreamFailed(UpstreamError):
    """Any other failure that Xinference told. `status` is that of its answer, if there was one."""

    code = "upstream_failed"

    status: int | None = None


class UpstreamGarbage(UpstreamError):
    """A 200 whose body is not what Xinference answers."""

    code = "upstream_garbage"


class TaskTimeout(XinflightError):
    """The task's timeout passed."""

    code = "timeout"


class TaskCancelled(XinflightError):
    """The task was cancelled; told only where one request stands for one task."""

    code = "cancelled"


class Internal(XinflightError):
    """A bug of ours; the log has the traceback."""

    code = "internal"


class StoreUnusable(Exception):
    """The data folder can't be used, so the server does not start; the text says what to do about it."""


def _with_codes(branch: type[XinflightError]) -> list[type[XinflightError]]:
    below = [leaf for child in branch.__subclasses__() for leaf in _with_codes(child)]
    return below or [branch]


# Taken down before anybody else can derive from them: a host's own errors are no part of the protocol.
_BY_CODE = {leaf.code: leaf for leaf in _with_codes(XinflightError)}


def leaves() -> list[type[XinflightError]]:
    """Return every class of ours that has a code, in the order of the tree above."""
    return list(_BY_CODE.values())


def by_code(code: str) -> type[XinflightError]:
    """Return the class of a code; an unknown one, which another version stored, counts as Internal."""
    return _BY_CODE.get(code, Internal)
