"""What owners find and note, in the SQLite database of a data folder."""

import asyncio
import heapq
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from typing import Any

import msgspec

import xinflight.storage.library_queries as library
import xinflight.storage.sqlite_queries as sql
from xinflight.errors import StorageUnavailable
from xinflight.key_locks import KeyLocks
from xinflight.model import DeletedOutput, Marks, Task
from xinflight.protocol import Preferences, Preset, State
from xinflight.storage.library import SCAN, FoundTask, FoundTasks, StoredPreferences, StoredPresets, TaskQuery
from xinflight.storage.library_rows import STARRED, index_tasks, marks_of_row, match, merge_words, purge_output
from xinflight.storage.sqlite_batch import row_of_task
from xinflight.storage.sqlite_database import SqliteDatabase
from xinflight.storage.store import EVENT_BYTES, TASK_BYTES

__all__ = ["SqliteLibrary", "purge", "rows_by_state"]

TaskRow = tuple[int, str, bytes]
"""Number, uid and body of a task."""


class SqliteLibrary:
    """Find tasks by indexes, and keep marks beside their outputs.

    `readable` decodes bodies by uid, and sets aside those that it can't.
    """

    def __init__(
        self,
        database: SqliteDatabase,
        readable: Callable[[Iterable[tuple[str, bytes]]], Awaitable[dict[str, Task]]],
    ) -> None:
        self._database = database
        self._readable = readable
        # How often words were deleted, and how many of these times have been overwritten since; those that an earlier
        # process deleted count as once.
        self._deletions = 1
        self._overwritten = 0
        # The deletions that the merge under way overwrites, None while there is none.
        self._merging: int | None = None
        self._merge_turn = asyncio.Lock()
        # By owner.
        self._searching = KeyLocks()

    async def find(self, owner: str, query: TaskQuery, *, before: int | None, limit: int) -> FoundTasks:
        """Return tasks and their marks, in one read."""
        below = 2**62 if before is None else before

        def work(connection: sqlite3.Connection) -> tuple[list[TaskRow], int | None, dict[str, list[Marks]]]:
            if query.simple:
                rows = rows_by_state(connection, owner, query.states, query.group, below, limit)
                rest = None
            else:
                rows, rest = _rows_of_query(connection, owner, query, below, limit)
            if len(rows) == limit:
                rest = rows[-1][0]
            return rows, rest, _marks(connection, [uid for _, uid, _ in rows])

        if not query.phrases:
            rows, rest, marks = await self._database.read(work)
        else:
            # What came a moment ago, unless there is more of it than one transaction takes: the rest follows. On a
            # disk that takes nothing, what was prepared before is found.
            with suppress(StorageUnavailable):
                await self.index()
            # One at a time: whoever searches a lot must not make everybody else wait for more than one of these.
            async with self._searching.hold(owner):
                rows, rest, marks = await self._database.search(work)
        tasks = await self._readable((uid, body) for _, uid, body in rows)
        found = [
            FoundTask(number=number, task=tasks[uid], marks=marks.get(uid, []))
            for number, uid, _ in rows
            if uid in tasks
        ]
        return FoundTasks(tasks=found, before=rest)

    async def marks(self, uid: str) -> list[Marks]:
        """Return the marks of a task's outputs."""
        rows = await self._database.read(lambda db: db.execute(library.MARKS, (uid,)).fetchall())
        return sorted((marks_of_row(row) for row in rows), key=lambda marks: marks.index)

    async def tags(self, owner: str, *, prefix: str, limit: int) -> list[str]:
        """Return tags, each by a look-up of its own."""

        def work(connection: sqlite3.Connection) -> list[str]:
            beginning = prefix.casefold()
            # Before all tags that begin so. That of stars, which is empty, is before all.
            folded, label = beginning, STARRED
            found: list[str] = []
            while len(found) < limit:
                values = {"owner": owner, "folded": folded, "label": label}
                row = connection.execute(library.NEXT_TAG, values).fetchone()
                if row is None or not row[0].startswith(beginning):
                    break
                folded, label = row
                found.append(label)
            return found

        return await self._database.read(work)

    async def deleted(self) -> list[DeletedOutput]:
        """Return outputs by an index that has no others."""
        rows = await self._database.read(lambda db: db.execute(library.DELETED_OUTPUTS).fetchall())
        return [
            DeletedOutput(owner=owner, task_id=task_id, uid=uid, index=index, output_id=output_id, at=at)
            for owner, task_id, uid, index, output_id, at in rows
        ]

    async def purge(self, uid: str, index: int) -> None:
        """Delete an output from the tables, and write its task and its events without it."""
        await self._database.write(lambda db: purge(db, uid, index))

    async def index(self) -> bool:
        """Add the words of a few tasks, if any came."""
        if not await self._database.read(_has_new_tasks):
            return False
        return await self._database.write(index_tasks)

    def note_deleted_words(self) -> None:
        """Note that words were deleted, which stay in the index until it is merged."""
        self._deletions += 1

    async def overwrite(self) -> bool:
        """Merge some parts of the index of words, beginning with all of them if any words were deleted since."""
        async with self._merge_turn:
            begin = self._merging is None
            if begin and self._overwritten == self._deletions:
                return False
            deletions = self._deletions if self._merging is None else self._merging
            # Only what was begun is under way: this may fail.
            more = await self._database.write(lambda db: merge_words(db, begin=begin))
            self._merging = deletions if more else None
            if not more:
                self._overwritten = deletions
            return more

    async def overwrite_all(self) -> None:
        """Overwrite all words that were deleted by now, in steps between which others may write."""
        deletions = self._deletions
        while self._overwritten < deletions:
            await self.overwrite()

    async def preferences(self, owner: str) -> StoredPreferences | None:
        """Return the preferences of an owner."""
        row = await self._database.read(lambda db: db.execute(library.PREFERENCES, (owner,)).fetchone())
        if row is None:
            return None
        version, body = row
        return StoredPreferences(version=version, preferences=msgspec.msgpack.decode(body, type=Preferences))

    async def set_preferences(self, owner: str, preferences: StoredPreferences) -> None:
        """Store a row."""
        values = (owner, preferences.version, msgspec.msgpack.encode(preferences.preferences))
        await self._database.write(lambda db: db.execute(library.SET_PREFERENCES, values).rowcount)

    async def presets(self, owner: str) -> StoredPresets | None:
        """Return the presets of an owner."""
        row = await self._database.read(lambda db: db.execute(library.PRESETS, (owner,)).fetchone())
        if row is None:
            return None
        version, body = row
        return StoredPresets(version=version, presets=msgspec.msgpack.decode(body, type=list[Preset]))

    async def set_presets(self, owner: str, presets: StoredPresets) -> None:
        """Store a row."""
        values = (owner, presets.version, msgspec.msgpack.encode(presets.presets))
        await self._database.write(lambda db: db.execute(library.SET_PRESETS, values).rowcount)


def purge(connection: sqlite3.Connection, uid: str, index: int) -> None:
    """Delete an output of an ended task, and write the task and its events without it."""
    task = purge_output(connection, uid, index)
    if task is not None:
        connection.execute(sql.UPDATE_TASK, row_of_task(task))
        connection.execute(sql.SET_SIZE, {"uid": uid, "task_bytes": TASK_BYTES, "event_bytes": EVENT_BYTES})


def rows_by_state(
    connection: sqlite3.Connection,
    owner: str,
    states: Collection[State],
    group: str | None,
    below: int,
    limit: int,
) -> list[TaskRow]:
    """Return at most `limit` tasks of an owner in some states, or of a group, newest first, below a number."""
    if group is None and set(states) == set(State):
        return connection.execute(sql.TASKS, (owner, below, limit)).fetchall()
    query = sql.NUMBERS_OF_STATE if group is None else sql.NUMBERS_OF_GROUP
    whose = (owner,) if group is None else (owner, group)
    by_state = [connection.execute(query, (*whose, state, below, limit)) for state in states]
    newest = heapq.merge(*by_state, reverse=True)
    return [
        connection.execute(sql.TASK_OF_NUMBER, number).fetchone()
        for number, _ in zip(newest, range(limit), strict=False)
    ]


def _rows_of_query(
    connection: sqlite3.Connection, owner: str, query: TaskQuery, below: int, limit: int
) -> tuple[list[TaskRow], int | None]:
    """Return at most `limit` tasks among the next SCAN that may match, and below which number there are others."""
    values: dict[str, Any] = {
        "owner": owner,
        "before": below,
        "limit": limit,
        "scan": SCAN,
        "states": " ".join(query.states),
        "kind": query.kind,
        "model": query.model,
        "group": query.group,
        "since": query.since,
        "until": query.until,
        "unsuccessful": 1 if query.unsuccessful else None,
        "starred": STARRED if query.starred else None,
        "tag": query.tag,
    }
    if query.phrases:
        floor, found = library.FLOOR_BY_WORDS, library.FOUND_BY_WORDS
        values["match"] = match(owner, query.phrases)
    elif query.starred or query.tag is not None:
        floor, found = library.FLOOR_BY_LABEL, library.FOUND_BY_LABEL
        values["label"] = STARRED if query.tag is None else query.tag
    elif query.unsuccessful:
        floor, found = library.FLOOR_UNSUCCESSFUL, library.FOUND_UNSUCCESSFUL
    else:
        floor, found = library.FLOOR_BY_OWNER, library.FOUND_BY_OWNER
    row = connection.execute(floor, values).fetchone()
    values["floor"] = 0 if row is None else row[0]
    rows = connection.execute(found, values).fetchall()
    # The task at the floor itself was not looked at.
    return rows, None if row is None else row[0] + 1


def _marks(connection: sqlite3.Connection, uids: list[str]) -> dict[str, list[Marks]]:
    found: dict[str, list[Marks]] = {}
    for row in connection.execute(library.MARKS_OF_TASKS, (msgspec.json.encode(uids).decode(),)):
        found.setdefault(row[0], []).append(marks_of_row(row))
    return found


def _has_new_tasks(connection: sqlite3.Connection) -> bool:
    row = connection.execute(library.INDEXED_TO).fetchone()
    return connection.execute(library.NEW_TASKS, (0 if row is None else row[0], 1)).fetchone() is not None
