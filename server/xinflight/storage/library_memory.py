"""What owners find and note, in memory, gone with the process."""

import heapq
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from xinflight.model import DeletedOutput, Marks, Task
from xinflight.storage.library import SCAN, FoundTask, FoundTasks, StoredPreferences, StoredPresets, TaskQuery
from xinflight.storage.words import matches, words

__all__ = ["MemoryLibrary"]

PREFERENCES = 10_000
"""Owners whose preferences are remembered; who changed them longest ago is forgotten first."""
PRESETS = 1000
"""Owners whose presets are remembered, likewise: they are longer."""


class MemoryLibrary:
    """Keep marks by the uid of their task. What there is to find is as bounded as the store.

    `of_owner` returns numbers and copies of an owner's tasks; `purged` is called with a uid and an index.
    """

    def __init__(
        self, of_owner: Callable[[str], Iterable[tuple[int, Task]]], purged: Callable[[str, int], None]
    ) -> None:
        self._of_owner = of_owner
        self._purged = purged
        # Of tasks that have any; those go with the task.
        self._marks: dict[str, tuple[Task, list[Marks]]] = {}
        # Bounded by PREFERENCES.
        self._preferences: dict[str, StoredPreferences] = {}
        # Bounded by PRESETS.
        self._presets: dict[str, StoredPresets] = {}

    async def find(self, owner: str, query: TaskQuery, *, before: int | None, limit: int) -> FoundTasks:
        """Look at the tasks one by one."""
        below = ((number, task) for number, task in self._of_owner(owner) if before is None or number < before)
        rows = sorted(below, key=lambda row: -row[0])
        looked_at = rows if query.simple else rows[:SCAN]
        found = [
            FoundTask(number=number, task=task, marks=self._marks_of(task.uid))
            for number, task in looked_at
            if self._allows(query, task)
        ]
        if len(found) >= limit:
            return FoundTasks(tasks=found[:limit], before=found[limit - 1].number)
        return FoundTasks(tasks=found, before=looked_at[-1][0] if len(looked_at) < len(rows) else None)

    def _allows(self, query: TaskQuery, task: Task) -> bool:
        marks = [each for each in self._marks_of(task.uid) if each.deleted is None]
        tags = {tag for each in marks for tag in each.tags}
        return (
            task.state in query.states
            and (not query.unsuccessful or task.unsuccessful)
            and query.group in (None, task.params.group)
            and query.model in (None, task.params.model)
            and query.kind in (None, task.kind)
            and (query.since is None or task.created >= query.since)
            and (query.until is None or task.created < query.until)
            and (not query.starred or any(each.starred for each in marks))
            and (query.tag is None or query.tag in tags)
            and (not query.phrases or (task.params.store and matches(_words(task, tags), query.phrases)))
        )

    def _marks_of(self, uid: str) -> list[Marks]:
        return self._marks[uid][1] if uid in self._marks else []

    def set_marks(self, task: Task, marks: Iterable[Marks]) -> None:
        """Set all marks of a task."""
        self._marks[task.uid] = task, sorted((each for each in marks if not each.empty), key=lambda each: each.index)
        if not self._marks[task.uid][1]:
            del self._marks[task.uid]

    def drop(self, uid: str) -> None:
        """Forget the marks of a task that was deleted."""
        self._marks.pop(uid, None)

    def forget(self, owner: str) -> None:
        """Forget the preferences and the presets of an owner."""
        self._presets.pop(owner, None)
        self._preferences.pop(owner, None)

    def hides(self, task: Task, output_id: str) -> bool:
        """Tell whether an output of a task was deleted."""
        deleted = [each.index for each in self._marks_of(task.uid) if each.deleted is not None]
        return output_id in [task.outputs[index].output_id for index in deleted]

    async def marks(self, uid: str) -> list[Marks]:
        """Return the marks of a task's outputs."""
        return list(self._marks_of(uid))

    async def tags(self, owner: str, *, prefix: str, limit: int) -> list[str]:
        """Return tags of the tasks that have any marks."""
        marks = [each for task, marks in self._marks.values() if task.owner == owner for each in marks]
        tags = {tag for each in marks if each.deleted is None for tag in each.tags}
        beginning = prefix.casefold()
        alike = [tag for tag in tags if tag.casefold().startswith(beginning)]
        return heapq.nsmallest(limit, alike, key=lambda tag: (tag.casefold(), tag))

    async def deleted(self) -> list[DeletedOutput]:
        """Return what was deleted in this process."""
        found = [
            DeletedOutput(
                owner=task.owner,
                task_id=task.task_id,
                uid=task.uid,
                index=each.index,
                output_id=task.outputs[each.index].output_id,
                at=each.deleted,
            )
            for task, marks in self._marks.values()
            for each in marks
            if each.deleted is not None
        ]
        return sorted(found, key=lambda output: output.at)

    async def purge(self, uid: str, index: int) -> None:
        """Delete an output, and its marks."""
        self._purged(uid, index)
        if uid in self._marks:
            task, marks = self._marks[uid]
            self.set_marks(task, [each for each in marks if each.index != index])

    async def index(self) -> bool:
        """Do nothing: words are read when they are searched for."""
        return False

    async def overwrite(self) -> bool:
        """Do nothing: what is deleted is nowhere."""
        return False

    async def preferences(self, owner: str) -> StoredPreferences | None:
        """Return the preferences of an owner."""
        return self._preferences.get(owner)

    async def set_preferences(self, owner: str, preferences: StoredPreferences) -> None:
        """Remember the preferences of an owner."""
        self._preferences.pop(owner, None)
        self._preferences[owner] = replace(preferences)
        if len(self._preferences) > PREFERENCES:
            del self._preferences[next(iter(self._preferences))]

    async def presets(self, owner: str) -> StoredPresets | None:
        """Return the presets of an owner."""
        return self._presets.get(owner)

    async def set_presets(self, owner: str, presets: StoredPresets) -> None:
        """Remember the presets of an owner."""
        self._presets.pop(owner, None)
        self._presets[owner] = replace(presets)
        if len(self._presets) > PRESETS:
            del self._presets[next(iter(self._presets))]


def _words(task: Task, tags: Iterable[str]) -> list[str]:
    return words(" ".join((task.params.model or "", *sorted(tags), task.params.prompt)))
