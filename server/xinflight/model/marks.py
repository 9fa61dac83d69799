"""What owners note of outputs: stars and tags, and whether they deleted them. No I/O."""

from collections.abc import Collection, Iterable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from xinflight.model.event import EventMessage, StoredMessage
from xinflight.model.task import Task
from xinflight.protocol import Cancelled, Error, Marked, OutputEvent, OutputMarks, OutputRef, Result

__all__ = ["UNDO_SECONDS", "DeletedOutput", "Marks", "marked_message", "without_output", "without_outputs"]

UNDO_SECONDS = 60.0
"""Seconds for which an output that was deleted is only hidden, so that it can be restored."""


class Marks(Struct, frozen=True, kw_only=True):
    """The marks of one output. `deleted` is when it was deleted, in Unix seconds, None if it was not."""

    index: int
    starred: bool = False
    tags: list[str] = msgspec.field(default_factory=list)
    deleted: float | None = None

    @property
    def empty(self) -> bool:
        """Tell whether nothing was noted."""
        return not self.starred and not self.tags and self.deleted is None


class DeletedOutput(Struct, frozen=True, kw_only=True):
    """An output that was deleted, and is still there. `at` is when it was deleted, in Unix seconds."""

    owner: str
    task_id: str
    uid: str
    index: int
    output_id: str
    at: float


def marked_message(task: Task, marks: Iterable[Marks], now: float) -> Marked:
    """Return the event that tells of all marks of a task. `now` is Unix seconds."""
    outputs = [
        OutputMarks(index=each.index, starred=each.starred, tags=each.tags, deleted=each.deleted is not None)
        for each in marks
        if not each.empty
    ]
    gone = [OutputMarks(index=output.index, deleted=True) for output in task.outputs if output.deleted]
    told = sorted([*outputs, *gone], key=lambda output: output.index)
    return Marked(task_id=task.task_id, timestamp=now, outputs=told)


def without_outputs(task: Task, indices: Collection[int]) -> Task:
    """Return a copy of a task of which some outputs are deleted; the task itself if there are none of them."""
    if not indices:
        return task
    outputs = [replace(output, deleted=output.deleted or output.index in indices) for output in task.outputs]
    return replace(task, outputs=outputs)


def without_output(message: EventMessage, index: int) -> StoredMessage | None:
    """Return an event that tells of an output no longer; None if it tells nothing of it as it is."""
    match message:
        case OutputEvent(index=told) if told == index:
            return OutputEvent(
                task_id=message.task_id,
                timestamp=message.timestamp,
                index=index,
                bytes=0,
                media_type=message.media_type,
                deleted=True,
            )
        case Result():
            data = replace(message.data, data=_others(message.data.data, index))
            return replace(message, data=data)
        case Cancelled() | Error():
            return replace(message, data=_others(message.data, index))
        case _:
            return None


def _others(outputs: list[OutputRef], index: int) -> list[OutputRef]:
    return [output for output in outputs if output.index != index]
