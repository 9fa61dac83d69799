"""The contract of what is kept: tasks and their stored events. `store_<impl>.py` implement it.

One conformance suite holds every implementation to this page.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from xinflight.protocol import Accepted, Cancelled, Error, Picture, Progress, Result
from xinflight.task import Task

__all__ = ["Event", "EventMessage", "Store", "Write"]

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


class Store(Protocol):
    """Keep tasks and events. Calls come from one event loop; at most one `commit` is under way."""

    async def open(self) -> str:
        """Make ready and return the epoch, a random id made with the store."""

    async def close(self) -> None:
        """Let go of everything; safe to call twice."""

    async def commit(self, writes: Sequence[Write]) -> None:
        """Keep all of `writes`, in order, or none. Cancelling the call does not undo it."""

    async def last_seq(self, owner: str) -> int:
        """Return the highest seq ever drawn for `owner` that is known here, or 0."""

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a task by its owner's id for it."""

    async def events(
        self, owner: str, *, after: int, upto: int, uids: Sequence[str] | None, limit: int
    ) -> list[Event]:
        """Return at most `limit` stored events, after < seq <= upto, in order; `uids` None means every task."""
