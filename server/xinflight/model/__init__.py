"""What is stored: tasks and their outputs. Pure data and rules, no I/O."""

from xinflight.model.media import HEADER_BYTES, MediaInfo, identify, media_type_of
from xinflight.model.task import ENDED, MOVES, Job, Task, digest, end_message, has_content, picture_message

__all__ = [
    "ENDED",
    "HEADER_BYTES",
    "MOVES",
    "Job",
    "MediaInfo",
    "Task",
    "digest",
    "end_message",
    "has_content",
    "identify",
    "media_type_of",
    "picture_message",
]
