"""The life of a task and of its pictures: states, legal moves, and which end it comes to. No I/O.

A task of n pictures has n jobs; each job goes through the same states on its own, and the task follows them.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from xinflight.errors import by_code
from xinflight.model.media import MediaInfo
from xinflight.protocol import (
    Cancelled,
    CancelOutcome,
    Error,
    Failure,
    Generate,
    Params,
    Picture,
    PictureRef,
    Result,
    ResultData,
    State,
    Step,
)

__all__ = ["ENDED", "MOVES", "Job", "Task", "digest", "end_message", "has_content", "picture_message"]

_DIGEST_FORM = "2:"
"""What digests of this form begin with; those of the first one begin with nothing."""
_NO_CONTENT = ("ref", "task_id", "lang")
_FIRST_FIELDS = (
    *("ref", "prompt", "negative_prompt", "model", "n", "size", "steps", "guidance_scale", "seed", "task_id"),
    *("timeout", "on_disconnect", "priority", "metadata", "lang", "response_format"),
)

ENDED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED})

MOVES: dict[State, frozenset[State]] = {
    # Waiting again after a start is a retry, or a restart of this server.
    State.QUEUED: frozenset({State.STARTING, State.FAILED, State.CANCELLED, State.EXPIRED}),
    State.STARTING: frozenset({State.RUNNING, State.QUEUED, State.CANCELLING}) | ENDED,
    State.RUNNING: frozenset({State.STARTING, State.QUEUED, State.CANCELLING}) | ENDED,
    # A picture that was ready before the abort arrived is still a picture: the cancel crossed the result.
    State.CANCELLING: ENDED,
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}


class Job(Struct, kw_only=True):
    """One picture of a task. `attempt` counts the requests sent for it, `step` is where it failed with `code`.

    `stoppable` tells whether an abort may be sent for its latest request, so that a restart knows.
    """

    index: int
    seed: int
    picture_id: str
    request_id: str
    state: State = State.QUEUED
    attempt: int = 0
    stoppable: bool = True
    code: str | None = None
    step: Step | None = None
    upstream: CancelOutcome | None = None
    picture: PictureRef | None = None

    @property
    def ended(self) -> bool:
        """Tell whether the picture has come to its end."""
        return self.state in ENDED

    def complete(self, info: MediaInfo, *, inline: bool) -> None:
        """Take the picture that was kept.

        An `inline` picture has an empty `b64_json`, which is filled in for each follower.
        """
        self.picture = PictureRef(
            url=self.picture_id,
            b64_json=b"" if inline else None,
            index=self.index,
            seed=self.seed,
            width=info.width,
            height=info.height,
            bytes=info.bytes,
            media_type=info.media_type,
        )

    def move(self, state: State) -> None:
        """Take a legal move; an illegal one raises AssertionError, for it is a bug."""
        if state not in MOVES[self.state]:
            raise AssertionError(f"picture {self.index}: {self.state} can't become {state}")
        self.state = state


class Task(Struct, kw_only=True):
    """A generation as it is kept. `uid` is ours and random; `task_id` is the client's, unique per owner.

    `created` and `deadline` are Unix seconds; `cancelled_at` and `ended_at` are None until then.
    """

    uid: str
    owner: str
    task_id: str
    digest: str
    params: Params
    created: float
    deadline: float
    jobs: list[Job]
    state: State = State.QUEUED
    metadata: Any = None
    lang: str | None = None
    cancelled_at: float | None = None
    ended_at: float | None = None

    @property
    def ended(self) -> bool:
        """Tell whether the task has come to its end."""
        return self.state in ENDED

    @property
    def pictures(self) -> list[PictureRef]:
        """Return the pictures there are, in the order of their index."""
        return [job.picture for job in self.jobs if job.picture is not None]

    def move(self, state: State) -> None:
        """Take a legal move; an illegal one raises AssertionError, for it is a bug."""
        if state not in MOVES[self.state]:
            raise AssertionError(f"task {self.task_id}: {self.state} can't become {state}")
        self.state = state

    def follow_jobs(self) -> None:
        """Move on with the jobs while none has decided the end."""
        if self.ended or self.state is State.CANCELLING:
            return
        states = {job.state for job in self.jobs}
        if states & {State.RUNNING, State.COMPLETED}:
            target = State.RUNNING
        elif states & {State.STARTING, State.CANCELLING}:
            target = State.STARTING
        else:
            target = State.QUEUED
        if target is not self.state and target in MOVES[self.state]:
            self.move(target)

    def end(self) -> State | None:
        """Return how the task ends, or None while a picture is still on its way.

        A task that was cancelled as a whole is completed only when every picture was made before the cancel
        took effect. Otherwise one picture is enough.
        """
        states = {job.state for job in self.jobs}
        if states - ENDED:
            return None
        if states == {State.COMPLETED}:
            return State.COMPLETED
        if self.cancelled_at is not None:
            return State.CANCELLED
        for state in (State.COMPLETED, State.EXPIRED, State.FAILED):
            if state in states:
                return state
        return State.CANCELLED

    def upstream_end(self) -> CancelOutcome:
        """Return the worst that its cancelled pictures came to at Xinference.

        Where none was cancelled, for all had failed by then, nothing runs any more.
        """
        order = list(CancelOutcome)
        ends = [job.upstream for job in self.jobs if job.upstream is not None]
        sent = any(job.attempt for job in self.jobs)
        return max(ends, key=order.index, default=CancelOutcome.STOPPED if sent else CancelOutcome.NEVER_STARTED)


def digest(generate: Generate) -> str:
    """Return what two `generate` messages with the same content share, whatever their ids and refs.

    It is stored, so it must stay what it is: only fields that differ from their defaults count, for otherwise a
    field that a later version adds would change the digest of every message.
    """
    content = {name: value for name, value in _changed(generate) if name not in _NO_CONTENT}
    return _DIGEST_FORM + _hash(msgspec.json.encode(content, order="deterministic"))


def has_content(stored: str, generate: Generate) -> bool:
    """Tell whether a stored digest is that of a message, whichever version stored it."""
    if stored.startswith(_DIGEST_FORM):
        return stored == digest(generate)
    return stored == _first_digest(generate)


def _first_digest(generate: Generate) -> str | None:
    """Return the digest as tasks of schema 1 have it: of all fields that there were, in their order."""
    if any(name not in _FIRST_FIELDS for name, _ in _changed(generate)):
        return None
    content = {name: None if name in _NO_CONTENT else getattr(generate, name) for name in _FIRST_FIELDS}
    content["metadata"] = msgspec.Raw(msgspec.json.encode(generate.metadata, order="deterministic"))
    return _hash(msgspec.json.encode({"action": "generate", **content}))


def _changed(generate: Generate) -> Iterator[tuple[str, Any]]:
    """Yield the fields that are not what they are when nobody says anything."""
    default = type(generate)()
    for name in generate.__struct_fields__:
        if getattr(generate, name) != getattr(default, name):
            yield name, getattr(generate, name)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def picture_message(task: Task, job: Job, now: float) -> Picture:
    """Return the event that tells of a finished picture. `now` is Unix seconds; `url` is the picture's id."""
    picture = job.picture
    assert picture is not None  # told of completed jobs only
    return Picture(
        task_id=task.task_id,
        timestamp=now,
        index=picture.index,
        url=picture.url,
        b64_json=picture.b64_json,
        seed=picture.seed,
        width=picture.width,
        height=picture.height,
        bytes=picture.bytes,
        media_type=picture.media_type,
    )


def end_message(task: Task) -> Result | Cancelled | Error:
    """Return the event that tells how an ended task ended."""
    assert task.ended_at is not None  # set with the end
    now = task.ended_at
    if task.state is State.COMPLETED:
        return Result(
            task_id=task.task_id,
            timestamp=now,
            data=ResultData(created=int(now), data=task.pictures),
            failed=[job.index for job in task.jobs if job.state in (State.FAILED, State.EXPIRED)],
            cancelled=[job.index for job in task.jobs if job.state is State.CANCELLED],
            failures=[Failure(index=job.index, code=job.code) for job in task.jobs if job.code is not None],
            metadata=task.metadata,
        )
    if task.state is State.CANCELLED:
        return Cancelled(
            task_id=task.task_id,
            timestamp=now,
            upstream=task.upstream_end(),
            seconds=round(now - (now if task.cancelled_at is None else task.cancelled_at), 3),
            data=task.pictures,
            metadata=task.metadata,
        )
    worst = next(job for job in task.jobs if job.state is task.state)
    assert worst.code is not None  # a failed or expired picture always has one
    return Error(
        task_id=task.task_id,
        timestamp=now,
        code=worst.code,
        state=task.state,
        step=worst.step,
        retryable=by_code(worst.code).retryable,
        metadata=task.metadata,
    )
