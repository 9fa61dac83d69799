"""The contract of what is stored: tasks and their events. `store_<implementation>.py` implement it.

One conformance suite holds every implementation to this page.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from xinflight.model import Event, Marks, StoredMessage, Task, Usage
from xinflight.protocol import Delta, Marked, State
from xinflight.storage.library import Library
from xinflight.storage.shares import Shares
from xinflight.storage.uploads import StoredUploads

__all__ = [
    "EVENT_BYTES",
    "TASK_BYTES",
    "Accept",
    "Append",
    "Charge",
    "Extend",
    "Mark",
    "Outcome",
    "PoolTags",
    "Row",
    "Save",
    "StaleFence",
    "Store",
    "TaskWrite",
    "Write",
]

TASK_BYTES = 500
"""What a task takes beside its files and its own bytes: names, times, places in indexes."""
EVENT_BYTES = 150
"""What an event takes beside its own bytes."""


class StaleFence(Exception):
    """Another lease of the pool was given out since: whoever writes with the older one must not run the pool."""


class Accept(Struct, frozen=True, kw_only=True):
    """Store a new task with its first event, unless its owner's id for it is known or an input of it is gone.

    Inputs are uploads: from then on the task holds them, until it ends.

    `content` is what is stored once beside the task: the messages of a chat, encoded.
    """

    task: Task
    message: StoredMessage
    content: bytes | None = None


class Append(Struct, frozen=True, kw_only=True):
    """Store a task as it stands now and its next event. `fence` is the one of the pool's lease.

    With `compacts` the deltas of the task are deleted, since the event has the whole text. That makes no gap.
    """

    task: Task
    message: StoredMessage
    fence: int
    compacts: bool = False


class Extend(Struct, frozen=True, kw_only=True):
    """Store the next delta of a task, without the task. `fence` is the one of the pool's lease."""

    task: Task
    message: Delta
    fence: int


class Mark(Struct, frozen=True, kw_only=True):
    """Store the marks of a task's outputs in place of all that they had, without the task, and the event that tells.

    The event that told of those before is deleted, which makes no gap. A task that is gone meanwhile comes to None.
    """

    task: Task
    message: Marked
    marks: list[Marks]


class Save(Struct, frozen=True, kw_only=True):
    """Store a task as it stands now. `fence` is the one of the pool's lease."""

    task: Task
    fence: int


class Charge(Struct, frozen=True, kw_only=True):
    """Add to what an owner used on a day, and store its finish tag in a pool and the pool's virtual time and mean.

    `mean` is the average time of an output in a slot, in seconds, None if unknown.

    Usage stays when the tasks that used it are deleted. Finish tags that the virtual time has passed mean nothing any
    more, and are deleted. `fence` is the one of the pool's lease.
    """

    usage: Usage
    pool: str
    finish: float
    virtual_time: float
    mean: float | None
    fence: int


class PoolTags(Struct, frozen=True, kw_only=True):
    """The tags of a pool: its virtual time, and the finish tags above it by owner; and `mean` as in `Charge`."""

    virtual_time: float
    finish: dict[str, float]
    mean: float | None = None


TaskWrite = Accept | Append | Extend | Mark | Save
Write = TaskWrite | Charge
Outcome = Event | Task | None
"""What a write came to: the event with its seq, the task that an `Accept` found known, or None for the others.

An `Accept` comes to None if an upload of its task's inputs is gone."""


class Row(Struct, frozen=True, kw_only=True):
    """A task of the history; `number` rises with acceptance."""

    number: int
    task: Task


class Store(Protocol):
    """Store tasks and events. Calls come from one event loop; at most one `commit` is under way.

    Every call but `open` and `close` may raise StorageUnavailable, when what it needs can't be reached now.
    """

    durable: bool
    """Whether what is committed outlives the process, by SIGKILL too."""

    @property
    def made_new(self) -> bool:
        """Whether `open` found nothing and made an empty store. Files that are there then are of a lost one."""

    @property
    def shares(self) -> Shares:
        """The shares of outputs."""

    @property
    def library(self) -> Library:
        """What owners find in their tasks, and note in them."""

    @property
    def uploads(self) -> StoredUploads:
        """The uploads of owners."""

    async def open(self) -> str:
        """Open the store and return the epoch, a random id made with the store.

        Raises:
            StoreUnusable: the text says what to do.
        """

    async def close(self) -> None:
        """Release everything; safe to call twice."""

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        """Store all of `writes`, in order, or none; return what each came to.

        The store draws the `seq` of each event: per owner one more than the last. An `Accept` whose owner knows the
        task id already, or one of whose uploads is gone, stores nothing. Tasks are encoded before this call first
        suspends. Cancelling the call does not undo it.

        Raises:
            StaleFence: a write's fence is not that of its pool's newest lease; nothing was stored.
        """

    async def last_seq(self, owner: str) -> int:
        """Return the seq of the newest stored event of an owner, or 0."""

    async def trimmed_to(self, owner: str) -> int:
        """Return the seq up to which events may have been deleted, by a cap or a `delete`, or 0."""

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a task by its owner's id for it."""

    async def tasks(
        self,
        owner: str,
        *,
        before: int | None,
        limit: int,
        states: Collection[State],
        group: str | None = None,
    ) -> list[Row]:
        """Return at most `limit` tasks of a group or of all in some states, newest first, numbered below `before`."""

    async def content(self, uid: str) -> bytes | None:
        """Return the content of a task as it was accepted, or None if it has none."""

    async def events_of_owner(self, owner: str, *, after: int, upto: int, limit: int) -> list[Event]:
        """Return at most `limit` stored events of an owner, after < seq <= upto, in order."""

    async def events_of_tasks(self, uids: Sequence[str], *, after: int, upto: int, limit: int) -> list[Event]:
        """Return at most `limit` stored events of some tasks of one owner, after < seq <= upto, in order."""

    async def delete(self, uid: str) -> None:
        """Delete an ended task and its events; an unknown uid is no error."""

    async def prune(self, *, keep_bytes: int, keep_tasks: int, ended_before: float) -> list[Task]:
        """Delete some ended tasks, the oldest first: those above a cap of bytes or number, and those that are old.

        Returns them, at most 100; none when nothing is left to delete. `ended_before` is in Unix seconds.
        """

    async def output_owner(self, output_id: str) -> str | None:
        """Return whose task an output is of, or None for one that is unknown or deleted."""

    async def task_of_output(self, output_id: str) -> Task | None:
        """Return the task that an output is of, or None for an unknown one."""

    async def output_ids(self) -> set[str]:
        """Return the ids of all outputs that have a file, or may have one since their task is unfinished."""

    async def not_kept(self, *, ended_before: float | None = None) -> list[Task]:
        """Return the tasks that are stored although they are not to be kept: all, or those that ended before a time.

        `ended_before` is in Unix seconds.
        """

    async def usage(self, owner: str, *, first: str, last: str) -> list[Usage]:
        """Return what an owner used on each day from `first` to `last`, in order; days without any are left out."""

    async def usage_of_all(self, *, after: tuple[str, str], last: str, limit: int) -> list[Usage]:
        """Return at most `limit` rows of all owners up to the day `last`, by day and owner, after a day and owner.

        `(first, "")` is where a day begins: no owner's id is empty.
        """

    async def prune_usage(self, *, before: str) -> bool:
        """Delete some usage of days before a day; return whether there was any."""

    async def forget(self, owner: str, *, used_before: str) -> None:
        """Delete what is left of an owner without tasks: unreadable ones, position, preferences, presets.

        Of the usage, only that before a day goes. The next position of the owner is above every earlier one, and each
        earlier cursor is before a gap. Then the files of the store have no copy left of what was deleted.
        """

    async def paused_owners(self) -> list[str]:
        """Return the owners who paused everything, in the order of their ids."""

    async def set_paused(self, owner: str, *, paused: bool) -> None:
        """Store whether an owner has paused everything."""

    async def pools(self) -> list[str]:
        """Return the pools that have unfinished tasks."""

    async def lease(self, pool: str) -> int:
        """Become the only process that runs a pool; return the fence of this lease, higher than any before it.

        A store that only one process can open grants it at once: whoever held it before is gone.
        """

    async def tags(self, pool: str) -> PoolTags:
        """Return the tags of a pool that was leased; all are 0 in a new one."""

    async def unfinished(self, pool: str) -> list[Task]:
        """Return the unfinished tasks of a pool in the order of their acceptance."""
