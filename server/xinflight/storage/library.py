"""The contract of what owners find in their history, and note in it. `library_<implementation>.py` implement it.

One conformance suite holds every implementation to this page.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct, field

from xinflight.model import DeletedOutput, Marks, Task
from xinflight.protocol import Kind, Preferences, Preset, State
from xinflight.storage.words import Phrase

__all__ = ["SCAN", "FoundTask", "FoundTasks", "Library", "StoredPreferences", "StoredPresets", "TaskQuery"]

SCAN = 2000
"""Tasks that one read looks at, for which SQLite takes some milliseconds on the thread that reads."""


class TaskQuery(Struct, frozen=True, kw_only=True):
    """Which tasks are asked for: all that every field allows. `since` and `until` are Unix seconds.

    With `unsuccessful` only ended ones of which an output failed or expired, whatever became of the others.
    """

    states: frozenset[State] = frozenset(State)
    unsuccessful: bool = False
    group: str | None = None
    phrases: Sequence[Phrase] = ()
    starred: bool = False
    tag: str | None = None
    model: str | None = None
    kind: Kind | None = None
    since: float | None = None
    until: float | None = None

    @property
    def simple(self) -> bool:
        """Tell whether nothing but states and a group are asked for, by which tasks are found at once."""
        others = self.unsuccessful, self.starred, self.tag, self.model, self.kind, self.since, self.until
        return not self.phrases and others == (False, False, None, None, None, None, None)


class FoundTask(Struct, frozen=True, kw_only=True):
    """A task of the history and the marks of its outputs; `number` rises with acceptance."""

    number: int
    task: Task
    marks: list[Marks] = field(default_factory=list)


class FoundTasks(Struct, frozen=True, kw_only=True):
    """What one read found, newest first. Tasks numbered below `before` were not looked at; None: there are none."""

    tasks: list[FoundTask]
    before: int | None


class StoredPreferences(Struct, frozen=True, kw_only=True):
    """The preferences of an owner; `version` rises with each change."""

    version: int
    preferences: Preferences


class StoredPresets(Struct, frozen=True, kw_only=True):
    """The presets of an owner, one of each name; `version` rises with each change."""

    version: int
    presets: list[Preset]


class Library(Protocol):
    """Find tasks, and keep marks, preferences and presets.

    Marks are written by `commit` (`Mark`), since they draw a seq. Every call may raise StorageUnavailable.
    """

    async def find(self, owner: str, query: TaskQuery, *, before: int | None, limit: int) -> FoundTasks:
        """Return at most `limit` tasks of an owner that a query allows, newest first, numbered below `before`.

        It looks at no more than SCAN tasks, so it may find fewer, or none, although there are more below. Tasks that
        are not to be kept are not found by words.
        """

    async def marks(self, uid: str) -> list[Marks]:
        """Return the marks of a task's outputs, in the order of their index; those without any are left out."""

    async def tags(self, owner: str, *, prefix: str, limit: int) -> list[str]:
        """Return at most `limit` tags of an owner that begin with `prefix`, in any case, sorted likewise."""

    async def deleted(self) -> list[DeletedOutput]:
        """Return the outputs that were deleted and are still there, those deleted first before the others."""

    async def purge(self, uid: str, index: int) -> None:
        """Delete what is stored of one output of an ended task, but for the fact that it was deleted.

        Its events tell of it no longer. That makes no gap. Unknown ones are no error.
        """

    async def index(self) -> bool:
        """Prepare some tasks that came since for a search, which finds nothing else; tell whether there were any."""

    async def overwrite(self) -> bool:
        """Overwrite some of the words of tasks that were deleted; tell whether there may be more of them."""

    async def preferences(self, owner: str) -> StoredPreferences | None:
        """Return the preferences of an owner, None if none were ever set."""

    async def set_preferences(self, owner: str, preferences: StoredPreferences) -> None:
        """Store the preferences of an owner."""

    async def presets(self, owner: str) -> StoredPresets | None:
        """Return the presets of an owner, None if there never was one."""

    async def set_presets(self, owner: str, presets: StoredPresets) -> None:
        """Store all presets of an owner."""
