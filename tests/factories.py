"""Tasks, events and writes to store, without a server that makes them."""

import itertools

from xinflight.model import (
    Event,
    EventMessage,
    MediaInfo,
    Output,
    StoredMessage,
    Task,
    Usage,
    accepted_message,
    end_message,
    output_message,
)
from xinflight.protocol import (
    Accepted,
    Cancelled,
    CancelOutcome,
    OutputEvent,
    Params,
    Progress,
    Result,
    ResultData,
    State,
    Step,
)
from xinflight.storage import Accept, Append, Charge, Save, Store

_uids = itertools.count(1)

EVERY_STATE = set(State)
MANY = 10**9
POOL = "painter"
"""The pool of every task that names no other."""
FENCE = 1
"""The fence of a pool's first lease."""


def make_task(
    task_id: str = "a",
    owner: str = "ann",
    *,
    created: float = 1000.0,
    prompt: str = "a boat",
    pool: str = POOL,
    outputs: int = 1,
) -> Task:
    """Return a task whose outputs wait."""
    number = next(_uids)
    params = Params(prompt=prompt, n=outputs, size="64x64", seed=7, timeout=60.0, on_disconnect="continue")
    return Task(
        uid=f"uid-{number}",
        owner=owner,
        task_id=task_id,
        digest="d",
        kind="text2image",
        pool=pool,
        params=params,
        created=created,
        deadline=created + 60.0,
        outputs=[
            Output(
                index=index,
                seed=7 + index,
                output_id=f"output-{number}-{index}",
                request_id=f"request-{number}-{index}",
            )
            for index in range(outputs)
        ],
    )


def draw(task: Task, size: int = 100) -> None:
    """Complete the outputs of a task, each with a file of so many bytes."""
    for output in task.outputs:
        output.state = State.COMPLETED
        output.file = MediaInfo(width=64, height=64, bytes=size, media_type="image/jpeg")


def end(task: Task, state: State = State.COMPLETED, at: float = 1010.0) -> None:
    """End a task, and each of its outputs in this state."""
    for output in task.outputs:
        output.state = state
    task.ended_at = at


def accepted(task: Task) -> Accepted:
    return accepted_message(task)


def output_event(task: Task, index: int = 0) -> OutputEvent:
    return OutputEvent(
        task_id=task.task_id, timestamp=0, index=index, seed=7, width=64, height=64, bytes=1, media_type="image/jpeg"
    )


def result(task: Task) -> Result:
    return Result(task_id=task.task_id, timestamp=0, data=ResultData(created=0, data=[]))


def cancelled(task: Task) -> Cancelled:
    return Cancelled(task_id=task.task_id, timestamp=0, upstream=CancelOutcome.STOPPED, seconds=0.1)


def progress(task: Task, percent: int, index: int = 0) -> Progress:
    return Progress(
        task_id=task.task_id,
        timestamp=0,
        index=index,
        state=State.RUNNING,
        progress=percent,
        step=Step.GENERATING,
        source="upstream",
    )


def event(task: Task, seq: int, message: EventMessage) -> Event:
    """Return an event as it is published; a snapshot has the seq 0."""
    return Event(owner=task.owner, uid=task.uid, seq=seq, lang=task.lang, message=message)


# Writes


def accept(task: Task) -> Accept:
    return Accept(task=task, message=accepted(task))


def append(task: Task, message: StoredMessage, fence: int = FENCE) -> Append:
    return Append(task=task, message=message, fence=fence)


def save(task: Task, fence: int = FENCE) -> Save:
    return Save(task=task, fence=fence)


def charge(
    usage: Usage,
    finish: float = 0.0,
    virtual_time: float = 0.0,
    *,
    mean: float | None = None,
    pool: str = POOL,
    fence: int = FENCE,
) -> Charge:
    return Charge(usage=usage, pool=pool, finish=finish, virtual_time=virtual_time, mean=mean, fence=fence)


async def lease(store: Store, *pools: str) -> None:
    """Lease pools, POOL if none is named, of a store that never leased them: their fence is FENCE."""
    for pool in pools or (POOL,):
        assert await store.lease(pool) == FENCE


async def stored_before(store: Store, task: Task) -> None:
    """Store a task as an earlier process did: of its owner the journal of this one knows nothing."""
    await store.commit([Accept(task=task, message=accepted_message(task), content=None)])


async def finished(store: Store, task_id: str, *, at: float = 1010.0, size: int = 100, owner: str = "ann") -> Task:
    """Store the whole life of a task of one output, three events, in a pool with the fence FENCE."""
    task = make_task(task_id, owner)
    await store.commit([accept(task)])
    draw(task, size)
    end(task, at=at)
    output = output_message(task, task.outputs[0], at)
    await store.commit([append(task, output), append(task, end_message(task))])
    return task


# What is stored


async def ids(store: Store, owner: str = "ann", **query: object) -> list[str]:
    """Return the task ids of a page."""
    wanted = {"before": None, "limit": 100, "states": EVERY_STATE, **query}
    return [row.task.task_id for row in await store.tasks(owner, **wanted)]  # type: ignore[arg-type]


async def seqs(
    store: Store,
    owner: str = "ann",
    *,
    uids: list[str] | None = None,
    after: int = 0,
    upto: int = 10**12,
    limit: int = 1000,
) -> list[int]:
    """Return the seqs of an owner's events, or with `uids` of those of some tasks."""
    if uids is None:
        events = await store.events_of_owner(owner, after=after, upto=upto, limit=limit)
    else:
        events = await store.events_of_tasks(uids, after=after, upto=upto, limit=limit)
    return [event.seq for event in events]
