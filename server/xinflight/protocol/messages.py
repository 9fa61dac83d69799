"""Messages that the server sends over the WebSocket."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from xinflight.protocol.fields import (
    AdjustedFields,
    BrokenLimit,
    CancelledIndices,
    Code,
    ConnectionId,
    Duration,
    EstimatedTime,
    EventCursor,
    FailedIndices,
    FileSize,
    FileUrl,
    Height,
    IgnoredFields,
    InlineFile,
    InvalidField,
    MediaType,
    MessageText,
    Metadata,
    NextPage,
    OutputId,
    OutputIndex,
    QueueHeld,
    QueuePaused,
    QueuePosition,
    Reasoning,
    Retryable,
    RetryAfter,
    Seed,
    TaskIdText,
    TaskState,
    Text,
    ThumbnailUrl,
    Timestamp,
    WaitingCount,
    Width,
)
from xinflight.protocol.library import OutputMarks, Preferences
from xinflight.protocol.parts import (
    CancelledTask,
    ChatDetails,
    Details,
    EffectiveParams,
    Failures,
    FinishedOutputs,
    Limits,
    ModelInfo,
    ModelList,
    QueuedOutputs,
    ResultData,
    TaskList,
    Upstream,
)
from xinflight.protocol.presets import Preset
from xinflight.protocol.terms import PROTOCOL_VERSION, CancelOutcome, State, Step

__all__ = [
    "Accepted",
    "Ack",
    "Answer",
    "Cancelled",
    "Delta",
    "Error",
    "Marked",
    "Notice",
    "Ok",
    "OutputEvent",
    "Pong",
    "PreferencesMessage",
    "PresetsMessage",
    "Progress",
    "Queue",
    "Recovered",
    "Result",
    "ServerMessage",
    "TaskEvent",
    "TaskSnapshot",
    "Tasks",
    "Welcome",
]


class ServerMessage(Struct, tag_field="type", omit_defaults=True, kw_only=True):
    """Any message of the server."""


class Welcome(ServerMessage, tag="welcome", kw_only=True):
    """The first message of a connection: limits, models, the state of Xinference, and the current cursor."""

    protocol: Annotated[int, Meta(description="Protocol version. Absent means 1.")] = msgspec.field(
        default_factory=lambda: PROTOCOL_VERSION
    )
    connection_id: ConnectionId
    owner: Annotated[str, Meta(description="The owner of the tasks of this connection.")]
    admin: Annotated[bool, Meta(description="Whether the owner may act for others. Absent means no.")] = False
    epoch: Annotated[
        str,
        Meta(description="Random id created with the server's store. A new one means that the old tasks are gone."),
    ]
    cursor: Annotated[str, Meta(description="The current position in the owner's events, `epoch:seq`.")]
    heartbeat: Annotated[float, Meta(description="Seconds between the server's pings.")]
    limits: Annotated[Limits, Meta(description="Limits of this server.")]
    models: ModelList
    upstream: Annotated[Upstream, Meta(description="State of Xinference.")]


class Answer(ServerMessage, kw_only=True):
    """The direct answer to a request. It echoes the `ref` of the request and never has a `seq`."""

    ref: Annotated[str | None, Meta(description="Echoed in the direct answer.")] = None


class Ack(Answer, tag="ack", kw_only=True):
    """A generation is accepted. Sent before any other message about the task."""

    task_id: TaskIdText
    connection_id: ConnectionId
    message: MessageText
    timestamp: Timestamp
    params: EffectiveParams
    state: TaskState
    adjusted: AdjustedFields = msgspec.field(default_factory=list)
    ignored: IgnoredFields = msgspec.field(default_factory=list)
    metadata: Metadata = None


class Ok(Answer, tag="ok", kw_only=True):
    """A request succeeded. Per task, its state when the request arrived, or `unknown`."""

    tasks: Annotated[list[CancelledTask], Meta(description="One entry per task.")]


class Recovered(Answer, tag="recovered", kw_only=True):
    """The replay is over; live events follow. If `recovered` is false, there is a gap and only snapshots were sent.

    `unknown` lists requested task ids that don't exist.
    """

    recovered: Annotated[bool, Meta(description="False if there is a gap and nothing was replayed. Use `list` then.")]
    cursor: EventCursor
    unknown: Annotated[list[str], Meta(description="Requested task ids that don't exist.")] = msgspec.field(
        default_factory=list
    )


class Tasks(Answer, tag="tasks", kw_only=True):
    """A page of the owner's tasks, newest first. `next` is absent on the last page.

    Resuming after `cursor` returns every event since the page was created.
    """

    tasks: TaskList
    next: NextPage = None
    cursor: EventCursor


class Pong(Answer, tag="pong", kw_only=True):
    """The answer to a ping."""

    nonce: Annotated[str | None, Meta(description="Echoed in the answer.")] = None


class PreferencesMessage(Answer, tag="preferences", kw_only=True):
    """The preferences of the owner. `version` rises with each change; the last change of a field counts."""

    version: Annotated[int, Meta(description="Rises with each change. 0: nothing was ever set.")]
    preferences: Annotated[Preferences, Meta(description="What is set.")]


class PresetsMessage(Answer, tag="presets", kw_only=True):
    """The presets of the owner. `version` rises with each change."""

    version: Annotated[int, Meta(description="Rises with each change. 0: there was never one.")]
    presets: Annotated[list[Preset], Meta(description="All of them, those saved first before the others.")]


class Notice(ServerMessage, tag="notice", kw_only=True):
    """Information for a connection, an owner or everyone that belongs to no task."""

    kind: Annotated[
        Literal["draining", "upstream", "deleted", "erased", "expiring", "preferences", "presets", "host"],
        Meta(description="What the notice is about."),
    ]
    message: MessageText
    timestamp: Timestamp
    upstream: Annotated[Upstream | None, Meta(description="Kind `upstream` only: as in `welcome`.")] = None
    models: Annotated[
        list[ModelInfo] | None, Meta(description="Kind `upstream` only: replaces the models of `welcome`.")
    ] = None
    task_id: Annotated[str | None, Meta(description="Kind `deleted` only: id of the deleted task.")] = None
    seconds: Annotated[
        float | None, Meta(description="Kind `expiring` only: seconds until the credentials expire.")
    ] = None
    version: Annotated[
        int | None, Meta(description="Kinds `preferences` and `presets` only: as in the messages of these names.")
    ] = None
    preferences: Annotated[Preferences | None, Meta(description="Kind `preferences` only: all that is set now.")] = (
        None
    )


class TaskEvent(ServerMessage, kw_only=True):
    """A stored event of a task. The store assigns `seq`; `message` is filled in for each subscriber when sent."""

    stored: ClassVar[bool] = True
    ends: ClassVar[bool] = False

    task_id: TaskIdText
    seq: Annotated[
        int, Meta(description="Position in the order of the owner's events. Increases; gaps have no meaning.")
    ] = 0
    message: MessageText = ""
    timestamp: Timestamp


class TaskSnapshot(ServerMessage, kw_only=True):
    """The current state of a task. It is never stored and has no `seq`; a newer snapshot may replace it."""

    stored: ClassVar[bool] = False
    ends: ClassVar[bool] = False

    task_id: TaskIdText
    message: MessageText = ""
    timestamp: Timestamp


class Accepted(TaskEvent, tag="accepted", kw_only=True):
    """The first stored event of a task."""

    params: EffectiveParams
    metadata: Metadata = None


class Progress(TaskSnapshot, tag="progress", kw_only=True):
    """Progress of one image: 0 to 99 percent, and the estimated seconds until it is finished."""

    index: OutputIndex
    state: Annotated[
        State, Meta(description="State of this image. `cancelled` and `failed` end the image, not the task.")
    ]
    progress: Annotated[
        int,
        Meta(ge=0, le=99, description="Percent. 100 comes only with the result. Never decreases within an attempt."),
    ]
    step: Annotated[Step, Meta(description="What is currently being done.")]
    step_index: Annotated[int | None, Meta(description="Number of finished inference steps, if known.")] = None
    step_count: Annotated[int | None, Meta(description="Total number of inference steps, if known.")] = None
    position: QueuePosition = None
    estimated_time: EstimatedTime = None
    source: Annotated[
        Literal["upstream", "estimate"],
        Meta(description="`upstream`: reported by the model. `estimate`: the model has not reported any yet."),
    ]
    details: Annotated[Details | None, Meta(description="Additional information.")] = None


class Queue(ServerMessage, tag="queue", kw_only=True):
    """Snapshot of the owner's waiting images that a client follows: their places and waiting times.

    Each replaces the one before. It is never stored and has no `seq`.
    """

    timestamp: Timestamp
    outputs: QueuedOutputs = msgspec.field(default_factory=list)
    waiting: WaitingCount = 0
    paused: QueuePaused = False
    held: QueueHeld = False


class OutputEvent(TaskEvent, tag="output", kw_only=True):
    """One output is finished: a file, or the text of a chat."""

    index: OutputIndex
    url: FileUrl = ""
    thumbnail_url: ThumbnailUrl = None
    output_id: OutputId = ""
    b64_json: InlineFile = None
    seed: Seed = None
    width: Width = 0
    height: Height = 0
    duration: Duration = None
    bytes: FileSize
    media_type: MediaType
    text: Text = None
    reasoning: Reasoning = None
    chat: ChatDetails = None
    deleted: Annotated[bool, Meta(description="True if it was deleted since: then it has no URL and no text.")] = (
        False
    )


class Marked(TaskEvent, tag="marked", kw_only=True):
    """Outputs of a task were starred, tagged, deleted or restored. It may follow the end of the task.

    It has all marks of the task, and takes the place of the one before, which is not replayed any more.
    """

    outputs: Annotated[
        list[OutputMarks], Meta(description="Outputs with a star or tags, and those that were deleted; no others.")
    ]


class Delta(TaskEvent, tag="delta", kw_only=True):
    """New text of a chat. Write it at `offset`: deltas may be merged, and may repeat text that is there already."""

    index: OutputIndex
    offset: Annotated[int, Meta(description="Where the text belongs, in Unicode code points from the beginning.")]
    text: Annotated[str, Meta(description="The new text.")]
    channel: Annotated[
        Literal["text", "reasoning"], Meta(description="Which text it belongs to. Absent means `text`.")
    ] = "text"


class Result(TaskEvent, tag="result", kw_only=True):
    """The end of a completed task, which has at least one image."""

    ends: ClassVar[bool] = True

    data: Annotated[ResultData, Meta(description="The images, in the form that OpenAI-style clients expect.")]
    progress: Annotated[int, Meta(description="Always 100.")] = msgspec.field(default_factory=lambda: 100)
    status: Annotated[str, Meta(description="Always `completed`.")] = msgspec.field(
        default_factory=lambda: "completed"
    )
    failed: FailedIndices = msgspec.field(default_factory=list)
    cancelled: CancelledIndices = msgspec.field(default_factory=list)
    failures: Failures = msgspec.field(default_factory=list)
    metadata: Metadata = None


class Cancelled(TaskEvent, tag="cancelled", kw_only=True):
    """The end of a cancelled task. `seconds` is the time between the cancel and this end."""

    ends: ClassVar[bool] = True

    upstream: Annotated[CancelOutcome, Meta(description="What the cancel achieved.")]
    seconds: Annotated[float, Meta(description="Seconds from the cancel to this end.")]
    data: FinishedOutputs = msgspec.field(default_factory=list)
    metadata: Metadata = None


class Error(ServerMessage, tag="error", kw_only=True):
    """A refusal, or with `seq` and `state` the end of a task."""

    stored: ClassVar[bool] = True
    ends: ClassVar[bool] = True

    code: Code
    message: MessageText = ""
    timestamp: Timestamp
    ref: Annotated[str | None, Meta(description="The `ref` of the refused message, if it could be decoded.")] = None
    task_id: Annotated[
        str | None,
        Meta(description="End: id of the task. Refusal: the id in the refused message; the task is not affected."),
    ] = None
    seq: Annotated[int | None, Meta(description="End only: position in the order of the owner's events.")] = None
    state: Annotated[State | None, Meta(description="End only: `failed` or `expired`.")] = None
    step: Annotated[Step | None, Meta(description="End only: the step in which the task failed.")] = None
    field: InvalidField = None
    limit: BrokenLimit = None
    retryable: Retryable = msgspec.field(default_factory=lambda: False)
    retry_after: RetryAfter = None
    details: Annotated[Details | None, Meta(description="Reserved.")] = None
    data: FinishedOutputs = msgspec.field(default_factory=list)
    metadata: Metadata = None
