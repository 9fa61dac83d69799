"""Structs that messages of the server contain: parameters, outputs, tasks, models, limits."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from xinflight.protocol.fields import (
    AdjustedFields,
    CancelledIndices,
    Code,
    DeletedIndices,
    Duration,
    EstimatedTime,
    FailedIndices,
    FileSize,
    FileUrl,
    Height,
    IgnoredFields,
    Incomplete,
    InlineFile,
    MaxTokens,
    MediaType,
    MessageText,
    Metadata,
    ModelId,
    NegativePrompt,
    OutputId,
    OutputIndex,
    Penalty,
    QueuePosition,
    Reasoning,
    Seed,
    Starred,
    Strength,
    TagList,
    TaskIdText,
    TaskState,
    Temperature,
    Text,
    ThumbnailUrl,
    TopP,
    UnixSeconds,
    Width,
    XinferenceState,
)
from xinflight.protocol.terms import CancelOutcome, Kind, Step

__all__ = [
    "CancelledTask",
    "ChatDetails",
    "ChatEnd",
    "Details",
    "EffectiveParams",
    "Failure",
    "Failures",
    "FinishedOutputs",
    "Limits",
    "ModelInfo",
    "ModelList",
    "OutputRef",
    "Params",
    "QueuedOutput",
    "QueuedOutputs",
    "ResultData",
    "TaskInfo",
    "TaskList",
    "TokenUsage",
    "Upstream",
]


class Params(Struct, omit_defaults=True, kw_only=True):
    """The effective parameters of a task; which of them there are depends on its kind.

    `steps` and `guidance_scale` are absent if the model's own apply.
    """

    kind: Annotated[Kind, Meta(description="What the task does. Absent means `text2image`.")] = "text2image"
    prompt: Annotated[str, Meta(description="What the output should show, or how to change `image`.")] = ""
    negative_prompt: NegativePrompt = None
    model: Annotated[
        str | None,
        Meta(description="Id or pool of the model. Absent until one is assigned."),
    ] = None
    group: Annotated[str | None, Meta(description="Name that the task shares with others.")] = None
    image: Annotated[str | None, Meta(description="Id of the image to start from.")] = None
    images: Annotated[list[str], Meta(description="Ids of further reference images.")] = msgspec.field(
        default_factory=list
    )
    mask: Annotated[str | None, Meta(description="Id of the mask.")] = None
    strength: Strength = None
    n: Annotated[int, Meta(description="Number of outputs.")]
    size: Annotated[
        str | None, Meta(description="`WIDTHxHEIGHT` in pixels. Absent for texts, and if the model decides.")
    ] = None
    frames: Annotated[int | None, Meta(description="Video: number of frames.")] = None
    fps: Annotated[int | None, Meta(description="Video: frames per second.")] = None
    steps: Annotated[int | None, Meta(description="Absent if the model's own applies.")] = None
    guidance_scale: Annotated[float | None, Meta(description="Absent if the model's own applies.")] = None
    seed: Seed = None
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    top_p: TopP = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None
    stop: Annotated[list[str], Meta(description="Chat: texts at which the model stops.")] = msgspec.field(
        default_factory=list
    )
    timeout: Annotated[float, Meta(description="Seconds from acceptance until the task expires.")]
    on_disconnect: Annotated[
        str,
        Meta(description="`continue` or `cancel`, as in the request."),
    ]
    priority: Annotated[
        int, Meta(description="Higher priorities go first, equal priorities in order of acceptance.")
    ] = 0
    response_format: Annotated[
        str, Meta(description="`b64_json`: each `output` also contains its file, up to `limits.inline_bytes`.")
    ] = "url"
    store: Annotated[
        bool, Meta(description="False: the task and what was made are deleted once they were delivered.")
    ] = True


EffectiveParams = Annotated[Params, Meta(description="The effective parameters.")]


class TokenUsage(Struct, kw_only=True):
    """Tokens of a chat, as Xinference counts them."""

    prompt_tokens: Annotated[
        int, Meta(description="Tokens of the messages, after Xinference has shortened them.")
    ] = 0
    completion_tokens: Annotated[int, Meta(description="Tokens of the answer.")] = 0
    total_tokens: Annotated[int, Meta(description="Their sum.")] = 0


class ChatEnd(Struct, omit_defaults=True, kw_only=True):
    """How a chat ended: why it stopped, the tokens it took, and what the model wants to call."""

    finish_reason: Annotated[
        str | None, Meta(description="`stop`, `length`, `tool_calls`, or another word of the engine.")
    ] = None
    usage: Annotated[TokenUsage | None, Meta(description="Tokens, if the engine has told.")] = None
    tool_calls: Annotated[list[Any], Meta(description="Calls that the model makes, as in OpenAI's API.")] = (
        msgspec.field(default_factory=list)
    )
    truncated: Annotated[
        bool,
        Meta(
            description="True if the messages filled the context, so that Xinference has probably cut their "
            "beginning, which it does not say."
        ),
    ] = False


ChatDetails = Annotated[ChatEnd | None, Meta(description="Chat: how it ended.")]


class OutputRef(Struct, omit_defaults=True, kw_only=True):
    """A finished output: a file, or the text of a chat. `url` is filled in for each subscriber when it is sent.

    `b64_json` is the file itself, if requested: base64 in JSON, bytes in MessagePack.
    """

    url: FileUrl = ""
    thumbnail_url: ThumbnailUrl = None
    output_id: OutputId = ""
    b64_json: InlineFile = None
    index: OutputIndex
    seed: Seed = None
    width: Width = 0
    height: Height = 0
    duration: Duration = None
    bytes: FileSize
    media_type: MediaType
    text: Text = None
    reasoning: Reasoning = None
    chat: ChatDetails = None
    incomplete: Incomplete = False
    starred: Starred = False
    tags: TagList = msgspec.field(default_factory=list)


FinishedOutputs = Annotated[
    list[OutputRef],
    Meta(description="The finished outputs, ordered by index; of a chat that broke off, its text so far."),
]


class Failure(Struct, kw_only=True):
    """Why one of several images failed."""

    index: OutputIndex
    code: Code


Failures = Annotated[list[Failure], Meta(description="Index and error code of each failed image.")]


class TaskInfo(Struct, omit_defaults=True, kw_only=True):
    """The current state of one task in the history.

    `created` and `ended` are Unix seconds; `failed`, `failures` and `cancelled` are as in `result`, `code` as in
    `error`.
    """

    task_id: TaskIdText
    state: TaskState
    created: Annotated[float, Meta(description="Time of acceptance, Unix time in seconds.")]
    ended: Annotated[float | None, Meta(description="Unix time in seconds. Absent while the task is unfinished.")] = (
        None
    )
    params: EffectiveParams
    data: FinishedOutputs = msgspec.field(default_factory=list)
    failed: FailedIndices = msgspec.field(default_factory=list)
    failures: Failures = msgspec.field(default_factory=list)
    cancelled: CancelledIndices = msgspec.field(default_factory=list)
    deleted: DeletedIndices = msgspec.field(default_factory=list)
    code: Annotated[str | None, Meta(description="For a failed task: error code, as in `error`.")] = None
    paused: Annotated[bool, Meta(description="Whether its waiting images are held until an `unpause`.")] = False
    metadata: Metadata = None
    adjusted: AdjustedFields = msgspec.field(default_factory=list)
    ignored: IgnoredFields = msgspec.field(default_factory=list)


TaskList = Annotated[list[TaskInfo], Meta(description="One entry per task.")]


class ResultData(Struct, kw_only=True):
    """The images in the form that OpenAI-style clients expect. `created` is Unix time in seconds."""

    created: UnixSeconds
    data: FinishedOutputs


class Details(Struct, omit_defaults=True, kw_only=True):
    """Details of an attempt: its number, why the previous one ended, and seconds since it was sent.

    `upstream` is what the cancel of this image achieved.
    """

    attempt: Annotated[int, Meta(description="Number of this attempt. Absent means the first.")] = 1
    retry_reason: Annotated[str | None, Meta(description="Error code that ended the previous attempt.")] = None
    elapsed: Annotated[float | None, Meta(description="Seconds since the request of this attempt was sent.")] = None
    upstream: Annotated[
        CancelOutcome | None, Meta(description="For a cancelled image: what the cancel achieved.")
    ] = None


class CancelledTask(Struct, omit_defaults=True, kw_only=True):
    """A task and its state when the request about it arrived."""

    task_id: TaskIdText
    was: Annotated[str, Meta(description="State when the request arrived, or `unknown`.")]
    index: Annotated[int | None, Meta(description="Index of the image, if one was given.")] = None


class QueuedOutput(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """A waiting image. `step` is what it waits for: its turn, a model, or an `unpause`."""

    task_id: TaskIdText
    index: OutputIndex
    position: QueuePosition = None
    estimated_time: EstimatedTime = None
    step: Annotated[
        Step, Meta(description="`waiting_for_model` or `paused`. Absent means `queued`: it waits for its turn.")
    ] = Step.QUEUED


QueuedOutputs = Annotated[
    list[QueuedOutput], Meta(description="The waiting images, the next one first, at most 200. Paused ones are last.")
]


class ModelInfo(Struct, omit_defaults=True, kw_only=True):
    """A model, what it can do, and the defaults for a request that names no values.

    `defaults_known` is false if steps or guidance scale are the model's own and not known beforehand.
    `true_cancel` is false if a running generation can't be stopped, only abandoned.
    """

    id: ModelId
    kinds: Annotated[list[Kind], Meta(description="What it can do.")]
    default_for: Annotated[
        list[Kind], Meta(description="The kinds for which it is used if a request names no model.")
    ] = msgspec.field(default_factory=list)
    default: Annotated[bool, Meta(description="Whether a `generate` with nothing but a prompt uses this model.")]
    size: Annotated[str | None, Meta(description="Default for a `generate` without `size`. Absent for chat.")] = None
    frames: Annotated[int | None, Meta(description="Video: default number of frames.")] = None
    fps: Annotated[int | None, Meta(description="Video: default frames per second.")] = None
    starts_from: Annotated[
        list[Literal["text", "image"]],
        Meta(description="Video: what it can start from, a prompt alone (`text`), or an `image` and a prompt."),
    ] = msgspec.field(default_factory=list)
    steps: Annotated[int | None, Meta(description="Default for a `generate` without `steps`.")] = None
    guidance_scale: Annotated[
        float | None, Meta(description="Default for a `generate` without `guidance_scale`.")
    ] = None
    context_length: Annotated[
        int | None, Meta(description="Chat: number of tokens that messages and answer may have together, if known.")
    ] = None
    defaults_known: Annotated[
        bool, Meta(description="False if steps or guidance scale are the model's own and not known beforehand.")
    ]
    true_cancel: Annotated[bool, Meta(description="False if a running generation can't be stopped, only abandoned.")]
    replicas: Annotated[int, Meta(description="Number of replicas.")]
    slots: Annotated[int, Meta(description="Number of outputs that the model generates at once.")]


ModelList = Annotated[list[ModelInfo], Meta(description="The models, the default one first.")]


class Upstream(Struct, kw_only=True):
    """The state of Xinference and what to do about it, in the language of the subscriber."""

    state: XinferenceState
    message: MessageText
    cure: Annotated[str, Meta(description="What to do about it. Empty if the state is `ready`.")]


class Limits(Struct, omit_defaults=True, kw_only=True):
    """The limits of this server. Lengths are in characters, sizes in pixels, times in seconds.

    Ended tasks are deleted, oldest first, above `history_bytes` or `history_tasks`, and after `history_age`.
    """

    prompt_length: Annotated[int, Meta(description="Maximum length of a prompt, in characters.")]
    outputs: Annotated[int, Meta(description="Maximum number of images per task.")]
    size_min: Annotated[int, Meta(description="Minimum side length in pixels.")]
    size_max: Annotated[int, Meta(description="Maximum side length in pixels.")]
    size_multiple: Annotated[int, Meta(description="Sides must be multiples of this number of pixels.")]
    frames: Annotated[int, Meta(description="Maximum number of frames of a video.")]
    steps: Annotated[int, Meta(description="Maximum number of inference steps.")]
    guidance_scale: Annotated[float, Meta(description="Maximum guidance scale.")]
    timeout: Annotated[float, Meta(description="Maximum `timeout` of a `generate`, in seconds.")]
    tasks_per_owner: Annotated[int, Meta(description="Maximum number of unfinished tasks per owner.")]
    tasks_per_address: Annotated[
        int | None, Meta(description="Maximum number of unfinished tasks per client address. Absent: no limit.")
    ] = None
    requests_per_minute: Annotated[
        int | None,
        Meta(description="Maximum number of messages and requests per minute and owner. Absent: no limit."),
    ] = None
    requests_per_minute_per_address: Annotated[
        int | None, Meta(description="Maximum number of messages and requests per minute and client address.")
    ] = None
    connections_per_owner: Annotated[
        int | None, Meta(description="Maximum number of WebSockets and streams per owner. Absent: no limit.")
    ] = None
    connections_per_address: Annotated[
        int | None, Meta(description="Maximum number of WebSockets and streams per client address.")
    ] = None
    seconds_per_day: Annotated[
        float | None, Meta(description="Maximum compute seconds per owner and day (UTC). Absent: no limit.")
    ] = None
    pending_bytes: Annotated[
        int | None,
        Meta(description="Maximum bytes of prompts, messages and metadata of an owner's unfinished tasks."),
    ] = None
    history_bytes: Annotated[
        int, Meta(description="Maximum size of the history in bytes. Above it, the oldest ended tasks are deleted.")
    ]
    history_tasks: Annotated[
        int, Meta(description="Maximum number of ended tasks. Above it, the oldest are deleted.")
    ]
    undo_seconds: Annotated[float, Meta(description="Seconds for which an output that was deleted can be restored.")]
    history_age: Annotated[
        float | None, Meta(description="Seconds after which ended tasks are deleted. Null means never.")
    ]
    upload_bytes: Annotated[
        int | None, Meta(description="Maximum size of an upload, in bytes. Absent: images can't be uploaded here.")
    ] = None
    upload_pixels: Annotated[int | None, Meta(description="Maximum number of pixels of an upload.")] = None
    uploads_per_owner: Annotated[int | None, Meta(description="Maximum number of uploads of an owner.")] = None
    uploads_bytes: Annotated[int | None, Meta(description="Maximum bytes of all uploads of an owner.")] = None
    chat_bytes: Annotated[int, Meta(description="Maximum size of a `chat`, in bytes.")]
    chat_messages: Annotated[int, Meta(description="Maximum number of messages in a `chat`.")]
    inline_bytes: Annotated[
        int, Meta(description="Maximum size of image files sent as `b64_json` in one message, in bytes.")
    ]
    frame_bytes: Annotated[
        int, Meta(description="Maximum size of a frame or an HTTP body other than a `chat`, in bytes.")
    ]
    metadata_bytes: Annotated[int, Meta(description="Maximum size of metadata, in bytes of JSON.")]
