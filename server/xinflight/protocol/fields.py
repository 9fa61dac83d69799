"""Types of fields that several messages have, with the texts that the specifications show for them."""

from typing import Annotated, Any

from msgspec import Meta

from xinflight.protocol.terms import State, UpstreamState

__all__ = [
    "AdjustedFields",
    "BrokenLimit",
    "CancelledIndices",
    "Code",
    "ConnectionId",
    "DeletedIndices",
    "Duration",
    "EstimatedTime",
    "EventCursor",
    "FailedIndices",
    "FileSize",
    "FileUrl",
    "Height",
    "IgnoredFields",
    "Incomplete",
    "InlineFile",
    "InvalidField",
    "MaxTokens",
    "MediaType",
    "MessageText",
    "Metadata",
    "ModelId",
    "NegativePrompt",
    "NextPage",
    "OutputId",
    "OutputIndex",
    "Penalty",
    "PixelSize",
    "QueueHeld",
    "QueuePaused",
    "QueuePosition",
    "Reasoning",
    "RetryAfter",
    "Retryable",
    "Seed",
    "Starred",
    "Strength",
    "TagList",
    "TaskIdText",
    "TaskState",
    "Temperature",
    "Text",
    "ThumbnailUrl",
    "Timestamp",
    "TopP",
    "UnixSeconds",
    "WaitingCount",
    "Width",
    "XinferenceState",
]

Metadata = Annotated[
    Any,
    Meta(description="Any JSON up to `limits.metadata_bytes`, stored with the task and echoed."),
]
MessageText = Annotated[
    str, Meta(description="Text for people. Never contains a prompt or upstream text. Programs must not parse it.")
]
Timestamp = Annotated[float, Meta(description="Unix time in seconds, with fractions.")]
UnixSeconds = Annotated[int, Meta(description="Unix time in seconds.")]
TaskIdText = Annotated[str, Meta(description="Id of the task.")]
ConnectionId = Annotated[str, Meta(description="Id of this connection, which also appears in the server's log.")]
EventCursor = Annotated[str, Meta(description="A position in the order of the owner's events, `epoch:seq`.")]
NextPage = Annotated[str | None, Meta(description="The `cursor` of the next page. Absent on the last page.")]
IgnoredFields = Annotated[list[str], Meta(description="Names of unknown fields that were ignored, at most 16.")]
AdjustedFields = Annotated[
    list[str], Meta(description="Names of fields whose values were rounded; `params` has those in effect.")
]
TaskState = Annotated[State, Meta(description="State of the task.")]
XinferenceState = Annotated[UpstreamState, Meta(description="State of Xinference.")]
ModelId = Annotated[str, Meta(description="The value for `model` in a `generate`.")]
NegativePrompt = Annotated[str | None, Meta(description="What the image should not show.")]
PixelSize = Annotated[str, Meta(description="`WIDTHxHEIGHT` in pixels.")]
Seed = Annotated[
    int | None, Meta(description="Seed to reproduce the output. Output `index` is generated with `seed + index`.")
]
Strength = Annotated[float | None, Meta(description="How much `image` is changed. 1 keeps nothing.")]
MaxTokens = Annotated[
    Annotated[int, Meta(ge=1, le=10_000_000)] | None,
    Meta(description="Chat: maximum number of tokens to generate. Default: the engine's."),
]
Temperature = Annotated[
    Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="Chat: randomness. Default: the engine's.")
]
TopP = Annotated[
    Annotated[float, Meta(gt=0, le=1)] | None, Meta(description="Chat: nucleus sampling. Default: the engine's.")
]
Penalty = Annotated[
    Annotated[float, Meta(ge=-2, le=2)] | None, Meta(description="Chat: as in OpenAI's API. Default: the engine's.")
]
OutputIndex = Annotated[int, Meta(description="Index of the output in its task, from 0.")]
OutputId = Annotated[str, Meta(description="Id of the output, for `image`, `images` and `mask` of a `generate`.")]
Duration = Annotated[float | None, Meta(description="Video: its length in seconds.")]
Text = Annotated[str | None, Meta(description="Chat: the whole text, in place of a file.")]
Reasoning = Annotated[
    str | None, Meta(description="Chat: what the model thought before, if it tells that apart from its text.")
]
Starred = Annotated[bool, Meta(description="Whether the owner starred it.")]
TagList = Annotated[list[str], Meta(description="The owner's tags of it, in the order in which they were given.")]
DeletedIndices = Annotated[list[int], Meta(description="Indices of the outputs that were deleted.")]
Incomplete = Annotated[
    bool, Meta(description="Chat: true if the text broke off, since the task failed or was cancelled.")
]
QueuePosition = Annotated[
    int | None, Meta(description="Position of a waiting image in the queue of its models. 1 is the next one.")
]
EstimatedTime = Annotated[
    float | None, Meta(description="Seconds until this image is finished, including the wait. Absent if unknown.")
]
QueuePaused = Annotated[
    bool, Meta(description="Whether the owner has paused everything, including what is submitted from now on.")
]
QueueHeld = Annotated[
    bool, Meta(description="Whether an admin holds the server: nothing of anybody is started until that ends.")
]
WaitingCount = Annotated[int, Meta(description="Number of waiting images, including those beyond the list.")]
FailedIndices = Annotated[list[int], Meta(description="Indices of the images that failed or expired.")]
CancelledIndices = Annotated[list[int], Meta(description="Indices of the images that were cancelled.")]
FileUrl = Annotated[
    str,
    Meta(description="URL of the file. Requires the credentials of its owner, or is signed, and then expires."),
]
ThumbnailUrl = Annotated[
    str | None,
    Meta(
        description="URL of a WebP of at most 512 pixels on its longer side, for which the same holds as for `url`. "
        "Absent for videos and texts, for images that are as small, and if the server can't make any: use `url` then."
    ),
]
InlineFile = Annotated[
    bytes | None, Meta(description="The file itself, if requested: base64 in JSON, bytes in MessagePack.")
]
Width = Annotated[int, Meta(description="Width in pixels. Absent for a text.")]
Height = Annotated[int, Meta(description="Height in pixels. Absent for a text.")]
FileSize = Annotated[int, Meta(description="Size in bytes.")]
MediaType = Annotated[
    str, Meta(description="`image/jpeg`, `image/png`, `image/webp`, `video/mp4`, or of a text `text/plain`.")
]
Code = Annotated[str, Meta(description="Stable error code. Handle an unknown code according to `retryable`.")]
InvalidField = Annotated[str | None, Meta(description="The field that is invalid.")]
BrokenLimit = Annotated[str | None, Meta(description="The bound that was exceeded, as text for people.")]
Retryable = Annotated[bool, Meta(description="Whether the same request may succeed later.")]
RetryAfter = Annotated[float | None, Meta(description="Seconds to wait before retrying, if known.")]
