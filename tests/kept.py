"""Tasks and events to keep, without a server that makes them."""

import itertools

from xinflight.protocol import (
    Accepted,
    Cancelled,
    Params,
    Picture,
    PictureRef,
    Progress,
    Result,
    ResultData,
    State,
    Step,
    UpstreamEnd,
)
from xinflight.store import Event, EventMessage, Write
from xinflight.task import Job, Task

_uids = itertools.count(1)


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
    return Cancelled(task_id=task.task_id, timestamp=0, upstream=UpstreamEnd.STOPPED, seconds=0.1)


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
