"""What the server says: the parts, then the messages."""

from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from xinflight.protocol.terms import PROTOCOL_VERSION, CancelOutcome, State, Step, UpstreamState

__all__ = [
    "Accepted",
    "Ack",
    "Answer",
    "Cancelled",
    "CancelledTask",
    "Details",
    "Error",
    "Failure",
    "Limits",
    "ModelInfo",
    "Notice",
    "Ok",
    "Params",
    "Picture",
    "PictureRef",
    "Pong",
    "Progress",
    "Recovered",
    "Result",
    "ResultData",
    "ServerMessage",
    "TaskEvent",
    "TaskInfo",
    "TaskSnapshot",
    "Tasks",
    "Upstream",
    "Welcome",
]


class Params(Struct, omit_defaults=True, kw_only=True):
    """The parameters in effect. `steps` and `guidance_scale` are absent where the model's own apply."""

    prompt: str
    negative_prompt: str | None = None
    model: str | None = None
    n: int
    size: str
    steps: int | None = None
    guidance_scale: float | None = None
    seed: int
    timeout: float
    on_disconnect: str
    priority: int = 0
    response_format: str = "url"


class PictureRef(Struct, omit_defaults=True, kw_only=True):
    """A finished picture; `url` is filled in for each follower on the way out.

    `b64_json` is the picture itself for who asked for it: base64 in JSON, bytes in MessagePack.
    """

    url: str = ""
    b64_json: bytes | None = None
    index: int
    seed: int
    width: int
    height: int
    bytes: int
    media_type: str


class TaskInfo(Struct, omit_defaults=True, kw_only=True):
    """One task of the history as it stands.

    `created` and `ended` are Unix seconds; `failed` and `cancelled` are as in `result`, `code` as in `error`.
    """

    task_id: str
    state: State
    created: float
    ended: float | None = None
    params: Params
    data: list[PictureRef] = msgspec.field(default_factory=list)
    failed: list[int] = msgspec.field(default_factory=list)
    cancelled: list[int] = msgspec.field(default_factory=list)
    code: str | None = None
    metadata: Any = None
    ignored: list[str] = msgspec.field(default_factory=list)


class ResultData(Struct, kw_only=True):
    """The pictures as OpenAI-style clients expect them; `created` is Unix seconds."""

    created: int
    data: list[PictureRef]


class Failure(Struct, kw_only=True):
    """Why one picture of several failed."""

    index: int
    code: str


class Details(Struct, omit_defaults=True, kw_only=True):
    """What is known besides: which attempt this is, why the last one ended, seconds since it was sent.

    `upstream` is what the cancel of this one picture achieved.
    """

    attempt: int = 1
    retry_reason: str | None = None
    elapsed: float | None = None
    upstream: CancelOutcome | None = None


class CancelledTask(Struct, omit_defaults=True, kw_only=True):
    """What a task was when its cancel arrived."""

    task_id: str
    was: str
    index: int | None = None


class ModelInfo(Struct, omit_defaults=True, kw_only=True):
    """A model that makes pictures from text, with the defaults a `generate` gets.

    `defaults_known` is false where steps and guidance are the model's own and can't be told beforehand.
    `true_cancel` is false where a running generation can't be stopped, only given up.
    """

    id: str
    default: bool
    size: str
    steps: int | None = None
    guidance_scale: float | None = None
    defaults_known: bool
    true_cancel: bool
    replicas: int


class Upstream(Struct, kw_only=True):
    """The state of Xinference and what to do about it, in the reader's language."""

    state: UpstreamState
    message: str
    cure: str


class Limits(Struct, kw_only=True):
    """What this server accepts and keeps. Lengths in characters, sizes in pixels, times in seconds.

    Ended tasks are deleted, the oldest first, above `history_bytes` or `history_tasks`, and after
    `history_age`.
    """

    prompt_length: int
    pictures: int
    size_min: int
    size_max: int
    size_multiple: int
    steps: int
    guidance_scale: float
    timeout: float
    tasks_per_owner: int
    history_bytes: int
    history_tasks: int
    history_age: float | None
    inline_bytes: int
    frame_bytes: int
    metadata_bytes: int


# From the server


class ServerMessage(Struct, tag_field="type", omit_defaults=True, kw_only=True):
    """Anything the server says."""


class Welcome(ServerMessage, tag="welcome", kw_only=True):
    """The first frame. `heartbeat` is in seconds, `cursor` the newest position of this owner."""

    protocol: int = msgspec.field(default_factory=lambda: PROTOCOL_VERSION)
    connection_id: str
    owner: str
    epoch: str
    cursor: str
    heartbeat: float
    limits: Limits
    models: list[ModelInfo]
    upstream: Upstream


class Answer(ServerMessage, kw_only=True):
    """A direct answer: carries the `ref` it was asked with, never a `seq`."""

    ref: str | None = None


class Ack(Answer, tag="ack", kw_only=True):
    """A generation is taken; sent before anything else of it."""

    task_id: str
    connection_id: str
    message: str
    timestamp: float
    params: Params
    state: State
    ignored: list[str] = msgspec.field(default_factory=list)
    metadata: Any = None


class Ok(Answer, tag="ok", kw_only=True):
    """What each task was when its cancel arrived: a state, or `unknown`."""

    tasks: list[CancelledTask]


class Recovered(Answer, tag="recovered", kw_only=True):
    """The replay is over; from here it is live. Not `recovered`: there is a gap, and only snapshots were sent.

    `unknown` names the asked tasks that there are not.
    """

    recovered: bool
    cursor: str
    unknown: list[str] = msgspec.field(default_factory=list)


class Tasks(Answer, tag="tasks", kw_only=True):
    """A page of one's own tasks, the newest first. `next` is absent on the last page.

    Whoever resumes after `cursor` gets everything that happened since the page was made.
    """

    tasks: list[TaskInfo]
    next: str | None = None
    cursor: str


class Pong(Answer, tag="pong", kw_only=True):
    """The answer to a ping."""

    nonce: str | None = None


class Notice(ServerMessage, tag="notice", kw_only=True):
    """Word to a connection, an owner or all; `upstream` when that is what changed."""

    kind: Literal["draining", "upstream", "deleted", "host"]
    message: str
    timestamp: float
    upstream: Upstream | None = None
    models: list[ModelInfo] | None = None
    task_id: str | None = None


class TaskEvent(ServerMessage, kw_only=True):
    """A stored event of a task. `seq` is drawn by the store, `message` written for the subscriber."""

    stored: ClassVar[bool] = True
    ends: ClassVar[bool] = False

    task_id: str
    seq: int = 0
    message: str = ""
    timestamp: float


class TaskSnapshot(ServerMessage, kw_only=True):
    """How a task stands at a moment: never stored, so it has no `seq`, and a newer one may replace it."""

    stored: ClassVar[bool] = False
    ends: ClassVar[bool] = False

    task_id: str
    message: str = ""
    timestamp: float


class Accepted(TaskEvent, tag="accepted", kw_only=True):
    """The first stored event of a task."""

    params: Params
    metadata: Any = None


class Progress(TaskSnapshot, tag="progress", kw_only=True):
    """How far one picture is. `progress` is 0 to 99; `estimated_time` seconds until it is there."""

    index: int
    state: State
    progress: int
    step: Step
    step_index: int | None = None
    step_count: int | None = None
    position: int | None = None
    estimated_time: float | None = None
    source: Literal["upstream", "estimate"]
    details: Details | None = None


class Picture(TaskEvent, tag="picture", kw_only=True):
    """One picture is ready."""

    index: int
    url: str = ""
    b64_json: bytes | None = None
    seed: int
    width: int
    height: int
    bytes: int
    media_type: str


class Result(TaskEvent, tag="result", kw_only=True):
    """The end of a task with at least one picture."""

    ends: ClassVar[bool] = True

    data: ResultData
    progress: int = msgspec.field(default_factory=lambda: 100)
    status: str = msgspec.field(default_factory=lambda: "completed")
    failed: list[int] = msgspec.field(default_factory=list)
    cancelled: list[int] = msgspec.field(default_factory=list)
    failures: list[Failure] = msgspec.field(default_factory=list)
    metadata: Any = None


class Cancelled(TaskEvent, tag="cancelled", kw_only=True):
    """The end of a cancelled task. `seconds` is the time from the cancel to this end."""

    ends: ClassVar[bool] = True

    upstream: CancelOutcome
    seconds: float
    data: list[PictureRef] = msgspec.field(default_factory=list)
    metadata: Any = None


class Error(ServerMessage, tag="error", kw_only=True):
    """A refusal, or with `seq` and `state` the end of a task."""

    stored: ClassVar[bool] = True
    ends: ClassVar[bool] = True

    code: str
    message: str = ""
    timestamp: float
    ref: str | None = None
    task_id: str | None = None
    seq: int | None = None
    state: State | None = None
    step: Step | None = None
    field: str | None = None
    limit: str | None = None
    retryable: bool = msgspec.field(default_factory=lambda: False)
    retry_after: float | None = None
    details: Details | None = None
    metadata: Any = None
