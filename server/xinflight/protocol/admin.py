"""HTTP-only structs for admins: the whole queue, who waits, and how the server is; with owners, without prompts."""

from typing import Annotated

from msgspec import Meta, Struct

from xinflight.protocol.fields import (
    EstimatedTime,
    MessageText,
    NextPage,
    OutputIndex,
    QueuePosition,
    TaskIdText,
    Timestamp,
    XinferenceState,
)
from xinflight.protocol.terms import State, Step

__all__ = [
    "FailureCount",
    "ListOwners",
    "ListQueue",
    "ModelSlots",
    "OwnerInPool",
    "OwnerLoad",
    "OwnerPage",
    "PoolStatus",
    "QueueEntry",
    "ServerStatus",
    "UpstreamHealth",
    "WholeQueue",
]

OwnerName = Annotated[str, Meta(min_length=1, max_length=128)]
Owner = Annotated[str, Meta(description="Whose it is.")]
Pool = Annotated[str, Meta(description="The queue it is in; empty while its model is not known.")]
Limit = Annotated[int, Meta(ge=1, le=200)]


class ListQueue(Struct, kw_only=True):
    """The query of the whole queue, or of a page of one owner's."""

    owner: Annotated[OwnerName | None, Meta(description="Only the work of this owner. Default: of all.")] = None
    cursor: Annotated[
        Annotated[str, Meta(pattern=r"^-?[0-9]{1,3}~-?[0-9]{1,20}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?~[0-9]{1,20}\Z")]
        | None,
        Meta(description="The `next` of the previous page, with `owner`. Default: the first page."),
    ] = None
    limit: Annotated[
        Limit, Meta(description="Maximum number of waiting images: of each pool, or with `owner` per page.")
    ] = 50


class QueueEntry(Struct, omit_defaults=True, kw_only=True):
    """An image of anybody that waits or occupies a slot. Prompts, metadata and images are its owner's only."""

    owner: Owner
    task_id: TaskIdText
    index: OutputIndex
    pool: Pool
    model: Annotated[str | None, Meta(description="The model it occupies, or was requested for.")] = None
    state: Annotated[State, Meta(description="State of the image.")]
    step: Annotated[Step, Meta(description="What is currently being done.")]
    progress: Annotated[int, Meta(ge=0, le=99, description="Percent.")] = 0
    position: QueuePosition = None
    estimated_time: EstimatedTime = None
    elapsed: Annotated[
        float | None, Meta(description="Seconds since its request was sent. Absent if none is under way.")
    ] = None
    quarantined: Annotated[
        bool,
        Meta(description="Whether nobody waits for its request any more, which may still run and keeps the slot."),
    ] = False
    priority: Annotated[int, Meta(description="Priority among the tasks of its owner.")] = 0
    created: Annotated[float, Meta(description="Time of acceptance, Unix time in seconds.")]


class WholeQueue(Struct, omit_defaults=True, kw_only=True):
    """The work of all owners at one moment, or with `owner` that of one."""

    timestamp: Timestamp
    running: Annotated[
        list[QueueEntry],
        Meta(
            description="What occupies a slot of a model, also what is being cancelled: up to `limit`, those that "
            "have been there for longest."
        ),
    ]
    running_count: Annotated[int, Meta(description="Number of images that occupy a slot, in total.")]
    waiting: Annotated[
        list[QueueEntry],
        Meta(
            description="The next ones of each pool in their predicted order. With `owner` a page of all that waits, "
            "in the owner's order, also what is paused."
        ),
    ]
    waiting_count: Annotated[
        int, Meta(description="Number of waiting images in total. Paused ones count only with `owner`.")
    ]
    next: NextPage = None


class ListOwners(Struct, kw_only=True):
    """The query of a page of the owners with unfinished work, by name."""

    cursor: Annotated[
        OwnerName | None, Meta(description="The `next` of the previous page. Default: the first page.")
    ] = None
    prefix: Annotated[
        Annotated[str, Meta(max_length=128)], Meta(description="Only owners whose names begin so. Default: all.")
    ] = ""
    limit: Annotated[Limit, Meta(description="Maximum number of owners per page.")] = 50


class OwnerInPool(Struct, omit_defaults=True, kw_only=True):
    """What an owner has in one pool."""

    pool: Pool
    tasks: Annotated[int, Meta(description="Number of unfinished tasks.")]
    running: Annotated[int, Meta(description="Number of images that occupy a slot.")] = 0
    waiting: Annotated[int, Meta(description="Number of images that wait for their turn; paused ones don't.")] = 0
    paused: Annotated[int, Meta(description="Number of paused tasks.")] = 0
    share: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(
            description="Part of the pool's compute time that this owner gets while those who wait now go on "
            "waiting. Absent if it doesn't wait.",
        ),
    ] = None


class OwnerLoad(Struct, omit_defaults=True, kw_only=True):
    """An owner with unfinished work."""

    owner: Owner
    pools: Annotated[list[OwnerInPool], Meta(description="One entry per pool in which the owner has work, by name.")]
    paused: Annotated[
        bool, Meta(description="Whether everything is paused, including what is submitted from now on.")
    ] = False
    connections: Annotated[int, Meta(description="Number of open connections of this owner.")] = 0


class OwnerPage(Struct, omit_defaults=True, kw_only=True):
    """A page of the owners with unfinished work, by name."""

    timestamp: Timestamp
    owners: Annotated[list[OwnerLoad], Meta(description="One entry per owner.")]
    next: NextPage = None


class UpstreamHealth(Struct, omit_defaults=True, kw_only=True):
    """How Xinference is, for whoever runs the server."""

    state: XinferenceState
    since: Annotated[float, Meta(description="When it came into this state, Unix time in seconds.")]
    server: Annotated[str, Meta(description="Host and port of Xinference.")]
    message: MessageText
    cure: Annotated[str, Meta(description="What to do about it. Empty if the state is `ready`.")] = ""
    cause: Annotated[
        str, Meta(description="Why it does not respond, as the system or Xinference says. Empty otherwise.")
    ] = ""


class ModelSlots(Struct, omit_defaults=True, kw_only=True):
    """The slots of one model. Which of its replicas makes an image is Xinference's choice, and not told."""

    model: Annotated[str, Meta(description="Its uid.")]
    replicas: Annotated[int, Meta(description="Number of its replicas.")]
    slots: Annotated[int, Meta(description="Number of images that all replicas make at once.")]
    busy: Annotated[int, Meta(description="Number of taken slots, quarantined ones included.")] = 0
    quarantined: Annotated[
        int, Meta(description="Number of slots kept by requests that nobody waits for and that may still run.")
    ] = 0
    missing: Annotated[
        bool, Meta(description="Whether it left the list of models a moment ago, as after a crash.")
    ] = False


class PoolStatus(Struct, omit_defaults=True, kw_only=True):
    """What a pool of models has to do."""

    pool: Annotated[str, Meta(description="Its name; empty for tasks whose model is not known.")]
    models: Annotated[list[ModelSlots], Meta(description="Its models.")] = []
    tasks: Annotated[int, Meta(description="Number of unfinished tasks.")] = 0
    waiting: Annotated[int, Meta(description="Number of images that wait for their turn; paused ones don't.")] = 0
    paused: Annotated[int, Meta(description="Number of paused tasks.")] = 0
    owners: Annotated[int, Meta(description="Number of owners who wait.")] = 0


class FailureCount(Struct, kw_only=True):
    """How often something failed within the last hour."""

    pool: Annotated[str, Meta(description="In which pool.")]
    code: Annotated[str, Meta(description="With which error code.")]
    requests: Annotated[int, Meta(description="Number of requests to Xinference that failed, tried again or not.")]
    outputs: Annotated[int, Meta(description="Number of images that ended so.")]
    last: Annotated[float, Meta(description="When it happened last, Unix time in seconds.")]


class ServerStatus(Struct, omit_defaults=True, kw_only=True):
    """How the server is, for admins; costs as much as there are models."""

    timestamp: Timestamp
    upstream: Annotated[UpstreamHealth, Meta(description="How Xinference is.")]
    pools: Annotated[list[PoolStatus], Meta(description="One entry per pool that has a model or a task, by name.")]
    failures: Annotated[
        list[FailureCount], Meta(description="What failed within the last hour, the most frequent first.")
    ]
    connections: Annotated[int, Meta(description="Number of open connections, of all owners.")]
    storing: Annotated[bool, Meta(description="Whether events and files can be stored now.")]
    failing: Annotated[
        list[str], Meta(description="Background tasks that failed recently. Each is restarted after a pause.")
    ] = []
    held: Annotated[bool, Meta(description="Whether an admin lets nothing start until a release.")] = False
    draining: Annotated[bool, Meta(description="Whether the server is stopping.")] = False
    drain: Annotated[float, Meta(description="Seconds that running images get when the server stops.")]
    durable: Annotated[bool, Meta(description="Whether unfinished tasks continue after the next start.")]
