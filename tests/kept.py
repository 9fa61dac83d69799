"""Tasks and events to keep, without a server that makes them."""

import itertools

from xinflight.model import Job, Task
from xinflight.protocol import (
    Accepted,
    Cancelled,
    CancelOutcome,
    Params,
    Picture,
    PictureRef,
    Progress,
    Result,
    ResultData,
    State,
    Step,
)
from xinflight.storage import Event, EventMessage, Store, Write

_uids = itertools.count(1)

EVERY_STATE = set(State)
MANY = 10**9


def make_task(task_id: str = "a", owner: str = "ann", *, created: float = 1000.0, prompt: str = "a boat") -> Task:
    """Return a task of one picture that waits."""
    number = next(_uids)
    params = Params(prompt=prompt, n=1, size="64x64", seed=7, timeout=60.0, on_disconnect="continue")
    job = Job(index=0, seed=7, picture_id=f"picture-{number}", request_id=f"request-{number}")
    return Task(
        uid=f"uid-{number}",
        owner=owner,
        task_id=task_id,
        digest="d",
        params=params,
        created=created,
        deadline=created + 60.0,
        jobs=[job],
    )


def draw(task: Task, size: int = 100) -> None:
    """Give the task its picture."""
    job = task.jobs[0]
    job.state = State.COMPLETED
    job.picture = PictureRef(
        url=job.picture_id, index=0, seed=job.seed, width=64, height=64, bytes=size, media_type="image/jpeg"
    )


def end(task: Task, state: State = State.COMPLETED, at: float = 1010.0) -> None:
    """End the task."""
    task.state = state
    task.ended_at = at


def accepted(task: Task) -> Accepted:
    return Accepted(task_id=task.task_id, timestamp=task.created, params=task.params)


def picture(task: Task, index: int = 0) -> Picture:
    return Picture(
        task_id=task.task_id, timestamp=0, index=index, seed=7, width=64, height=64, bytes=1, media_type="image/jpeg"
    )


def result(task: Task) -> Result:
    return Result(task_id=task.task_id, timestamp=0, data=ResultData(created=0, data=task.pictures))


def cancelled(task: Task) -> Cancelled:
    return Cancelled(task_id=task.task_id, timestamp=0, upstream=CancelOutcome.STOPPED, seconds=0.1)


def progress(task: Task, percent: int) -> Progress:
    return Progress(
        task_id=task.task_id,
        timestamp=0,
        index=0,
        state=State.RUNNING,
        progress=percent,
        step=Step.GENERATING,
        source="upstream",
    )


def write(task: Task, seq: int, message: EventMessage) -> Write:
    """Return the write of an event with this seq."""
    return Write(task=task, event=Event(owner=task.owner, uid=task.uid, seq=seq, lang=task.lang, message=message))


async def finished(
    store: Store, task_id: str, seq: int, *, at: float = 1010.0, size: int = 100, owner: str = "ann"
) -> Task:
    """Keep a whole life of a task: seqs `seq` to `seq` + 2."""
    task = make_task(task_id, owner)
    await store.commit([write(task, seq, accepted(task))])
    draw(task, size)
    end(task, at=at)
    await store.commit([write(task, seq + 1, picture(task)), write(task, seq + 2, result(task))])
    return task


async def ids(store: Store, owner: str = "ann", **query: object) -> list[str]:
    """Return the task ids of a page."""
    wanted = {"before": None, "limit": 100, "states": EVERY_STATE, **query}
    return [row.task.task_id for row in await store.tasks(owner, **wanted)]  # type: ignore[arg-type]


async def seqs(store: Store, owner: str = "ann", **query: object) -> list[int]:
    """Return the seqs of some events."""
    wanted = {"after": 0, "upto": 10**12, "uids": None, "limit": 1000, **query}
    return [event.seq for event in await store.events(owner, **wanted)]  # type: ignore[arg-type]
