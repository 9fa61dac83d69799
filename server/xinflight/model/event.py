"""One event of a task as it is stored: a wire message without what belongs to a subscriber. No I/O."""

from typing import ClassVar

from msgspec import Struct

from xinflight.errors import by_code
from xinflight.model.task import Output, Task
from xinflight.protocol import (
    Accepted,
    Cancelled,
    Error,
    Failure,
    OutputEvent,
    OutputRef,
    Progress,
    QueuedOutput,
    Result,
    ResultData,
    State,
)

__all__ = [
    "Event",
    "EventMessage",
    "OwnerQueue",
    "StoredMessage",
    "accepted_message",
    "end_message",
    "output_message",
    "output_ref",
]

StoredMessage = Accepted | OutputEvent | Result | Cancelled | Error
"""What is stored, and draws a `seq`."""
EVENT_BYTES = 1024
"""Bytes of memory of an event without prompts, or of a reference to an output; metadata is about as long at most."""
EventMessage = StoredMessage | Progress
"""Whatever a subscriber receives of a task."""


class Event(Struct, frozen=True, kw_only=True):
    """An event on its way to subscribers. `seq` counts the stored events of an owner; a snapshot has 0."""

    owner: str
    uid: str
    seq: int
    lang: str | None
    message: EventMessage

    @property
    def stored(self) -> bool:
        """Tell whether this is a stored event, which a replay brings again, or a snapshot."""
        return self.message.stored

    @property
    def bytes(self) -> int:
        """Return how much memory this event takes, roughly: what varies is what a client may have put in."""
        match self.message:
            case Accepted(params=params):
                return EVENT_BYTES + 4 * (len(params.prompt) + len(params.negative_prompt or ""))
            case Result(data=ResultData(data=outputs)) | Cancelled(data=outputs):
                return EVENT_BYTES * (1 + len(outputs))
            case _:
                return EVENT_BYTES

    @property
    def ends(self) -> bool:
        """Tell whether this event is the end of its task."""
        return self.message.ends


class OwnerQueue(Struct, frozen=True, kw_only=True):
    """What waits of one owner's, the next output first, as a snapshot on its way to subscribers.

    `uids` are the tasks of `outputs`, in the same order. `news` are the tasks of which something changed since the
    snapshot before. `at` is in monotonic seconds, `timestamp` in Unix seconds.
    """

    uid: ClassVar[str] = ""
    """In place of a task's: subscribers of single tasks receive it, too."""

    owner: str
    timestamp: float
    at: float
    uids: tuple[str, ...]
    outputs: tuple[QueuedOutput, ...]
    paused: bool
    news: frozenset[str]


def accepted_message(task: Task) -> Accepted:
    """Return the first event of a task."""
    return Accepted(task_id=task.task_id, timestamp=task.created, params=task.params, metadata=task.metadata)


def output_message(task: Task, output: Output, now: float) -> OutputEvent:
    """Return the event that tells of a finished output. `now` is Unix seconds; `url` is the output's id."""
    file = output.file
    assert file is not None  # told of completed outputs only
    return OutputEvent(
        task_id=task.task_id,
        timestamp=now,
        index=output.index,
        url=output.output_id,
        b64_json=_inline(task),
        seed=output.seed,
        width=file.width,
        height=file.height,
        bytes=file.bytes,
        media_type=file.media_type,
    )


def output_ref(task: Task, output: Output) -> OutputRef:
    """Return the reference to a finished output that results and lists carry; `url` is the output's id."""
    file = output.file
    assert file is not None  # told of completed outputs only
    return OutputRef(
        url=output.output_id,
        b64_json=_inline(task),
        index=output.index,
        seed=output.seed,
        width=file.width,
        height=file.height,
        bytes=file.bytes,
        media_type=file.media_type,
    )


def _inline(task: Task) -> bytes | None:
    """Return the empty mark of an inline output, which is filled in for each subscriber, or None."""
    return b"" if task.params.response_format == "b64_json" else None


def end_message(task: Task) -> Result | Cancelled | Error:
    """Return the event that tells how an ended task ended."""
    assert task.ended_at is not None  # set with the end
    now = task.ended_at
    state = task.state
    made = [output_ref(task, output) for output in task.completed]
    if state is State.COMPLETED:
        return Result(
            task_id=task.task_id,
            timestamp=now,
            data=ResultData(created=int(now), data=made),
            failed=[output.index for output in task.outputs if output.state in (State.FAILED, State.EXPIRED)],
            cancelled=[output.index for output in task.outputs if output.state is State.CANCELLED],
            failures=[
                Failure(index=output.index, code=output.code) for output in task.outputs if output.code is not None
            ],
            metadata=task.metadata,
        )
    if state is State.CANCELLED:
        return Cancelled(
            task_id=task.task_id,
            timestamp=now,
            upstream=task.cancel_outcome(),
            seconds=round(now - (now if task.cancelled_at is None else task.cancelled_at), 3),
            data=made,
            metadata=task.metadata,
        )
    worst = next(output for output in task.outputs if output.state is state)
    assert worst.code is not None  # a failed or expired output always has one
    return Error(
        task_id=task.task_id,
        timestamp=now,
        code=worst.code,
        state=state,
        step=worst.step,
        retryable=by_code(worst.code).retryable,
        metadata=task.metadata,
    )
