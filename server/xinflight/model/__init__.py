"""What is stored: tasks, their outputs and events, shares of outputs, and uploads. Pure data and rules, no I/O."""

from xinflight.model.content import decode_content, encode_content
from xinflight.model.digest import digest, has_content
from xinflight.model.event import (
    Event,
    EventMessage,
    OwnerQueue,
    StoredMessage,
    accepted_message,
    end_message,
    failures_of,
    merge_deltas,
    output_message,
    output_ref,
)
from xinflight.model.file_names import download_name, prompt_slug, suffix_of
from xinflight.model.marks import UNDO_SECONDS, DeletedOutput, Marks, marked_message, without_output, without_outputs
from xinflight.model.media import HEADER_BYTES, MediaInfo, identify, media_type_of
from xinflight.model.share import Share
from xinflight.model.task import ENDED, MOVES, InputRole, Output, Task, TaskInput
from xinflight.model.upload import UPLOAD_SECONDS, Upload
from xinflight.model.usage import Usage, day_of

__all__ = [
    "ENDED",
    "HEADER_BYTES",
    "MOVES",
    "UNDO_SECONDS",
    "UPLOAD_SECONDS",
    "DeletedOutput",
    "Event",
    "EventMessage",
    "InputRole",
    "Marks",
    "MediaInfo",
    "Output",
    "OwnerQueue",
    "Share",
    "StoredMessage",
    "Task",
    "TaskInput",
    "Upload",
    "Usage",
    "accepted_message",
    "day_of",
    "decode_content",
    "digest",
    "download_name",
    "encode_content",
    "end_message",
    "failures_of",
    "has_content",
    "identify",
    "marked_message",
    "media_type_of",
    "merge_deltas",
    "output_message",
    "output_ref",
    "prompt_slug",
    "suffix_of",
    "without_output",
    "without_outputs",
]
