"""A task and its outputs as they are stored: states, legal moves, and which end a task comes to. No I/O.

A task of n outputs has n `Output`s; each goes through the states on its own, and the state of the task is derived.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from xinflight.model.media import MediaInfo
from xinflight.protocol import CancelOutcome, ChatEnd, Params, State, Step

__all__ = ["ENDED", "MOVES", "InputRole", "Output", "Task", "TaskInput"]

ENDED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED})

MOVES: dict[State, frozenset[State]] = {
    # Queued again after a start is a retry, or a restart of this server.
    State.QUEUED: frozenset({State.STARTING, State.FAILED, State.CANCELLED, State.EXPIRED}),
    State.STARTING: frozenset({State.RUNNING, State.QUEUED, State.CANCELLING}) | ENDED,
    State.RUNNING: frozenset({State.STARTING, State.QUEUED, State.CANCELLING}) | ENDED,
    # An output that was ready before the abort arrived is still an output: the cancel crossed the result.
    State.CANCELLING: ENDED,
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
}


class Output(Struct, kw_only=True):
    """One output of a task. `attempt` counts the requests sent for it, `step` is where it failed with `code`.

    `field` and `limit` say what of the request was wrong, where that shows only now.

    `abortable` tells whether an abort may be sent for its latest request, so that a restart knows. An output that was
    accepted while a slot was free is `announced`: its first request may have been sent since it was stored, though
    state and `attempt` do not tell so. What was made is
    `file`, whose bytes are stored under `output_id`, or `text`, which grows while a chat runs; `reasoning` is what
    came before it, and `chat` tells how it ended. One that was `deleted` has neither file nor text any more.
    """

    index: int
    seed: int
    output_id: str
    request_id: str
    state: State = State.QUEUED
    attempt: int = 0
    abortable: bool = True
    announced: bool = False
    code: str | None = None
    field: str | None = None
    limit: str | None = None
    step: Step | None = None
    upstream: CancelOutcome | None = None
    file: MediaInfo | None = None
    text: str | None = None
    reasoning: str | None = None
    chat: ChatEnd | None = None
    deleted: bool = False

    @property
    def ended(self) -> bool:
        """Tell whether the output has come to its end."""
        return self.state in ENDED

    @property
    def bytes(self) -> int:
        """Return the size of its file or text."""
        return len((self.text or "").encode()) if self.file is None else self.file.bytes

    @property
    def has_text(self) -> bool:
        """Tell whether a text has begun."""
        return bool(self.text or self.reasoning)

    def move(self, state: State) -> None:
        """Make a legal move; an illegal one raises AssertionError, for it is a bug."""
        if state not in MOVES[self.state]:
            raise AssertionError(f"output {self.index}: {self.state} can't become {state}")
        self.state = state


InputRole = Literal["image", "reference", "mask"]


class TaskInput(Struct, frozen=True, kw_only=True):
    """An image that a task was given: an upload of its owner, held as long as the task is unfinished."""

    role: InputRole
    upload_id: str


class Task(Struct, kw_only=True):
    """One accepted request as it is stored. `uid` is ours and random; `task_id` is the client's, unique per owner.

    `pool` names the models that may do it, "" while none is known; `kind` the way it is asked for upstream.
    `created` and `deadline` are Unix seconds; `cancelled_at` and `ended_at` are None until then. `weight` is its
    owner's share of the compute time when it was accepted. Of an owner's waiting tasks with the same priority, the
    lowest `rank` goes first: it rises with acceptance, whatever the clock does, until it is moved. While a task is
    `paused`, its waiting outputs are not started. `inputs` are images; the messages of a chat are stored beside the
    task, since a task is written many times, and take `content_bytes`. `request_id` is that of the HTTP request or
    connection that it came with, for the log; None if an earlier version stored the task. `traceparent` is the
    parent of its spans (W3C Trace Context), if it belongs to a trace.
    """

    uid: str
    owner: str
    task_id: str
    digest: str
    kind: str
    pool: str
    params: Params
    created: float
    deadline: float
    outputs: list[Output]
    inputs: list[TaskInput] = msgspec.field(default_factory=list)
    content_bytes: int = 0
    weight: float = 1.0
    rank: float = 0.0
    paused: bool = False
    metadata: Any = None
    lang: str | None = None
    cancelled_at: float | None = None
    ended_at: float | None = None
    request_id: str | None = None
    traceparent: str | None = None

    @property
    def bytes(self) -> int:
        """Return how many bytes a client's request takes in memory and in the store, roughly."""
        return len(msgspec.json.encode((self.params, self.metadata))) + self.content_bytes

    @property
    def ended(self) -> bool:
        """Tell whether the task has come to its end."""
        return self.ended_at is not None

    @property
    def state(self) -> State:
        """Return the state that follows from the outputs, the cancel and the end."""
        if self.ended_at is not None:
            outcome = self.outcome()
            assert outcome is not None  # a task ends with its last output
            return outcome
        if self.cancelled_at is not None:
            return State.CANCELLING
        states = {output.state for output in self.outputs}
        if states & {State.RUNNING, State.COMPLETED}:
            return State.RUNNING
        return State.STARTING if states & {State.STARTING, State.CANCELLING} else State.QUEUED

    @property
    def unsuccessful(self) -> bool:
        """Tell whether the task has ended and any of its outputs failed or came too late."""
        return self.ended and any(output.state in (State.FAILED, State.EXPIRED) for output in self.outputs)

    @property
    def completed(self) -> list[Output]:
        """Return the outputs that were made, in the order of their index."""
        return [output for output in self.outputs if output.state is State.COMPLETED]

    @property
    def files(self) -> list[Output]:
        """Return the outputs whose files are stored, in the order of their index."""
        return [output for output in self.completed if output.file is not None and not output.deleted]

    @property
    def shown(self) -> list[Output]:
        """Return the outputs with something to show: those that were made, and texts that broke off or still grow."""
        return [
            output
            for output in self.outputs
            if (output.state is State.COMPLETED or output.has_text) and not output.deleted
        ]

    def outcome(self) -> State | None:
        """Return how the task ends, or None while an output is still on its way.

        A task that was cancelled as a whole is completed only when every output was made before the cancel took
        effect. Otherwise one output is enough.
        """
        states = {output.state for output in self.outputs}
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

    def cancel_outcome(self) -> CancelOutcome:
        """Return the worst that its cancelled outputs came to at Xinference.

        Where none was cancelled, since all had failed by then, nothing runs any more.
        """
        order = list(CancelOutcome)
        ends = [output.upstream for output in self.outputs if output.upstream is not None]
        sent = any(output.attempt for output in self.outputs)
        return max(ends, key=order.index, default=CancelOutcome.STOPPED if sent else CancelOutcome.NEVER_STARTED)
