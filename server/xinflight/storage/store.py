"""The contract of what is kept: tasks and their stored events. `store_<impl>.py` implement it.

One conformance suite holds every implementation to this page.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from xinflight.model import Task
from xinflight.protocol import Accepted, Cancelled, Error, Picture, Progress, Result, State

__all__ = ["EVENT_BYTES", "TASK_BYTES", "Event", "EventMessage", "Row", "Store", "Write"]

TASK_BYTES = 500
"""What a task takes beside its pictures and its own bytes: names, times, places in indexes."""
EVENT_BYTES = 150
"""What an event takes beside its own bytes."""

EventMessage = Accepted | Picture | Result | Cancelled | Error | Progress


class Event(Struct, frozen=True, kw_only=True):
    """One event of a task as it is kept: a wire message without what belongs to a follower."""

    owner: str
    uid: str
    seq: int
    lang: str | None
    message: EventMessage


class Write(Struct, frozen=True, kw_only=True):
    """A task as it stands now, and the stored event that goes with it, if any. Both are kept, or neither."""

    task: Task
    event: Event | None


class Row(Struct, frozen=True, kw_only=True):
    """A task of the history; `number` rises with acceptance."""

    number: int
    task: Task


class Store(Protocol):
    """Keep tasks and events. Calls come from one event loop; at most one `commit` is under way.

    Every call but `open` and `close` may raise StorageUnavailable, when what it needs can't be reached now.
    """

    durable: bool
    """Whether what is committed outlives the process, by SIGKILL too."""
    made_new: bool
    """Whether `open` found nothing and made an empty store. Pictures that are there then are of a lost one."""

    async def open(self) -> str:
        """Make ready and return the epoch, a random id made with the store.

        Raises:
            StoreUnusable: the text says what to do.
        """

    async def close(self) -> None:
        """Let go of everything; safe to call twice."""

    async def commit(self, writes: Sequence[Write]) -> None:
        """Keep all of `writes`, in order, or none, as they stand at the call: nothing is awaited before that is read.

        Cancelling the call does not undo it.
        """

    async def last_seq(self, owner: str) -> int:
        """Return a number that no seq of `owner` was ever above, committed or only shown, or 0."""

    async def floor(self, owner: str) -> int:
        """Return the seq up to which events may have been forgotten, by a cap or a delete, or 0."""

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a task by its owner's id for it."""

    async def tasks(self, owner: str, *, before: int | None, limit: int, states: Collection[State]) -> list[Row]:
        """Return at most `limit` tasks in some states, the newest first, with numbers below `before`."""

    async def events(
        self, owner: str, *, after: int, upto: int, uids: Sequence[str] | None, limit: int
    ) -> list[Event]:
        """Return at most `limit` stored events, after < seq <= upto, in order; `uids` None means every task."""

    async def delete(self, uid: str) -> None:
        """Forget an ended task and its events; an unknown uid is nothing to complain of."""

    async def prune(self, *, keep_bytes: int, keep_tasks: int, ended_before: float) -> list[Task]:
        """Forget ended tasks, the oldest first: those above a cap of bytes or tasks, and those that ended before.

        Everything counts: pictures, prompts, events, and what keeping them takes. Returns those whose pictures are to
        be deleted, at most 100; none when nothing is left to forget. `ended_before` is in Unix seconds.
        """

    async def picture_ids(self) -> set[str]:
        """Return the ids of all pictures that are recorded."""

    async def claim(self, runner: str, lease_until: float) -> list[Task]:
        """Take the unfinished tasks that no runner holds a lease on, in the order of their acceptance.

        A lease is a promise to work on them until `lease_until`, Unix seconds; whoever comes after that may claim.
        A store that only one process can open knows that every other runner is gone, and gives out all of them.
        """

    async def renew(self, runner: str, lease_until: float) -> None:
        """Prolong all leases of a runner."""

    async def release(self, runner: str) -> None:
        """Give up all leases of a runner, so that the next one need not wait for their end."""
