"""HTTP-only structs for admins: the whole queue, with owners and without prompts."""

from typing import Annotated

from msgspec import Meta, Struct

from xinflight.protocol.fields import EstimatedTime, NextPage, OutputIndex, QueuePosition, TaskIdText, Timestamp
from xinflight.protocol.terms import State, Step

__all__ = ["ListQueue", "QueueEntry", "WholeQueue"]


class ListQueue(Struct, kw_only=True):
    """The query of a page of the whole queue."""

    cursor: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]{1,9}\Z")] | None,
        Meta(description="The `next` of the previous page. Default: the first page."),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Maximum number of waiting images per page.")] = 50


class QueueEntry(Struct, omit_defaults=True, kw_only=True):
    """An image of anybody that waits or occupies a slot. Prompts, metadata and images are its owner's only."""

    owner: Annotated[str, Meta(description="Whose it is.")]
    task_id: TaskIdText
    index: OutputIndex
    pool: Annotated[str, Meta(description="The queue it is in; empty while its model is not known.")]
    model: Annotated[str | None, Meta(description="The model it occupies, or was requested for.")] = None
    state: Annotated[State, Meta(description="State of the image.")]
    step: Annotated[Step, Meta(description="What is currently being done.")]
    progress: Annotated[int, Meta(ge=0, le=99, description="Percent.")] = 0
    position: QueuePosition = None
    estimated_time: EstimatedTime = None
    priority: Annotated[int, Meta(description="Priority among the tasks of its owner.")] = 0
    created: Annotated[float, Meta(description="Time of acceptance, Unix time in seconds.")]


class WholeQueue(Struct, omit_defaults=True, kw_only=True):
    """The work of all owners at one moment. Each page is of a moment of its own, so work may move between pages."""

    timestamp: Timestamp
    running: Annotated[
        list[QueueEntry], Meta(description="All that occupies a slot of a model; also what is being cancelled.")
    ]
    waiting: Annotated[
        list[QueueEntry],
        Meta(description="A page of what waits: per pool, the next one first, then what its owners have paused."),
    ]
    waiting_count: Annotated[int, Meta(description="Number of waiting images in total.")]
    next: NextPage = None
