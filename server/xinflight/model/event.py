"""One event of a task as it is stored: a wire message without what belongs to a subscriber. No I/O."""

from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from xinflight.errors import by_code
from xinflight.model.task import Output, Task
from xinflight.protocol import (
    Accepted,
    Cancelled,
    Delta,
    Error,
    Failure,
    Marked,
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
    "failures_of",
    "merge_deltas",
    "output_message",
    "output_ref",
]

StoredMessage = Accepted | Delta | OutputEvent | Marked | Result | Cancelled | Error
"""What is stored, and draws a `seq`."""
EVENT_BYTES = 1024
"""Bytes of memory of an event without prompts, or of a reference to an output; metadata is about as long at most."""
DELTA_BYTES = 256
"""The same of a delta, beside its text."""
EventMessage = StoredMessage | Progress
"""Whatever a subscriber receives of a task."""


class Event(Struct, frozen=True, kw_only=True):
    """An event on its way to subscribers. `seq` counts the stored events of an owner; a snapshot has 0.

    `traceparent` is that of its task, for the span of its delivery; a replay has none.
    """

    owner: str
    uid: str
    seq: int
    lang: str | None
    message: EventMessage
    traceparent: str | None = None

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
            case Delta(text=text):
                return DELTA_BYTES + 4 * len(text)
            case OutputEvent(text=str() as text, reasoning=reasoning):
                return EVENT_BYTES + 4 * (len(text) + len(reasoning or ""))
            case Marked(outputs=outputs):
                return EVENT_BYTES + sum(4 * len(tag) for output in outputs for tag in output.tags)
            case Result(data=ResultData(data=outputs)) | Cancelled(data=outputs) | Error(data=outputs):
                texts = sum(len(output.text or "") + len(output.reasoning or "") for output in outputs)
                return EVENT_BYTES * (1 + len(outputs)) + 4 * texts
            case _:
                return EVENT_BYTES

    @property
    def ends(self) -> bool:
        """Tell whether this event is the end of its task."""
        return self.message.ends


def merge_deltas(older: Event, newer: Event) -> Event | None:
    """Return one delta with the text of two, or None if they are none of the same text, one right after the other.

    It has the seq of the older one. With that of the newer one, whoever has seen an event between the two would
    resume, after a cut, behind the older one without having been sent it. So some text may come twice, at its offset.
    """
    first, second = older.message, newer.message
    if not isinstance(first, Delta) or not isinstance(second, Delta) or older.uid != newer.uid:
        return None
    same = (first.index, first.channel) == (second.index, second.channel)
    if not same or first.offset + len(first.text) != second.offset:
        return None
    return replace(older, message=replace(first, text=first.text + second.text, timestamp=second.timestamp))


class OwnerQueue(Struct, frozen=True, kw_only=True):
    """What waits of one owner's, the next output first, as a snapshot on its way to subscribers.

    `uids` are the tasks of `outputs`, in the same order, and `places` the indices of each task there. `news` are the
    tasks of which something changed since the snapshot before. `at` is in monotonic seconds, `timestamp` in Unix
    seconds.
    """

    uid: ClassVar[str] = ""
    """In place of a task's: subscribers of single tasks receive it, too."""

    owner: str
    timestamp: float
    at: float
    uids: tuple[str, ...]
    outputs: tuple[QueuedOutput, ...]
    places: dict[str, list[int]]
    paused: bool
    held: bool
    news: frozenset[str]


def accepted_message(task: Task) -> Accepted:
    """Return the first event of a task."""
    return Accepted(task_id=task.task_id, timestamp=task.created, params=task.params, metadata=task.metadata)


def output_message(task: Task, output: Output, now: float) -> OutputEvent:
    """Return the event that tells of a finished output. `now` is Unix seconds; `url` is the output's id."""
    return OutputEvent(task_id=task.task_id, timestamp=now, **_made(task, output))


def output_ref(task: Task, output: Output) -> OutputRef:
    """Return the reference to an output that results and lists carry; `url` is the id of one with a file.

    A text that has not come to its end is incomplete.
    """
    return OutputRef(**_made(task, output), incomplete=output.state is not State.COMPLETED)


def _made(task: Task, output: Output) -> dict[str, Any]:
    """Return what is told of a file or a text."""
    file = output.file
    if file is None:
        assert output.text is not None  # told of outputs with something in them only
        return {
            "index": output.index,
            "text": output.text,
            "reasoning": output.reasoning,
            "chat": output.chat,
            "bytes": output.bytes,
            "media_type": "text/plain",
        }
    return {
        "url": output.output_id,
        "output_id": output.output_id,
        # An empty mark, which is filled in for each subscriber.
        "b64_json": b"" if task.params.response_format == "b64_json" else None,
        "index": output.index,
        "seed": output.seed,
        "width": file.width,
        "height": file.height,
        "duration": file.duration,
        "bytes": file.bytes,
        "media_type": file.media_type,
    }


def failures_of(task: Task) -> list[Failure]:
    """Return why those outputs failed that have ended without success."""
    return [
        Failure(index=output.index, code=output.code)
        for output in task.outputs
        if output.state in (State.FAILED, State.EXPIRED) and output.code is not None
    ]


def end_message(task: Task) -> Result | Cancelled | Error:
    """Return the event that tells how an ended task ended."""
    assert task.ended_at is not None  # set with the end
    now = task.ended_at
    state = task.state
    made = [output_ref(task, output) for output in task.shown]
    if state is State.COMPLETED:
        return Result(
            task_id=task.task_id,
            timestamp=now,
            data=ResultData(created=int(now), data=made),
            failed=[output.index for output in task.outputs if output.state in (State.FAILED, State.EXPIRED)],
            cancelled=[output.index for output in task.outputs if output.state is State.CANCELLED],
            failures=failures_of(task),
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
        field=worst.field,
        limit=worst.limit,
        retryable=by_code(worst.code).retryable,
        data=made,
        metadata=task.metadata,
    )
