"""The store in one SQLite file: what is committed survives SIGKILL."""

import functools
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec
import structlog

import xinflight.storage.sqlite_queries as sql
from xinflight.model import Event, StoredMessage, Task, Usage
from xinflight.protocol import OutputEvent, State
from xinflight.storage.library_sqlite import SqliteLibrary, rows_by_state
from xinflight.storage.shares_sqlite import SqliteShares
from xinflight.storage.sqlite_batch import Batch
from xinflight.storage.sqlite_database import PAGES_AT_ONCE, SPARE_PAGES, SqliteDatabase
from xinflight.storage.sqlite_deletion import (
    UNREADABLE,
    delete_task,
    drop_event,
    forget_owner,
    prune_ended,
    set_aside,
)
from xinflight.storage.store import (
    Accept,
    Append,
    Charge,
    Mark,
    Outcome,
    PoolTags,
    Row,
    Save,
    Write,
)
from xinflight.storage.uploads_sqlite import SqliteUploads

__all__ = ["SqliteStore"]

log = structlog.stdlib.get_logger(__name__)

RECENT_OUTPUTS = 10_000
"""Outputs whose owners are in memory: each is fetched right after it came, and that must not wait for the reader."""

_message = msgspec.msgpack.Decoder(StoredMessage)
_task = msgspec.msgpack.Decoder(Task)
_encode = msgspec.msgpack.Encoder().encode


class SqliteStore:
    """Store everything in `folder`/xinflight.db."""

    durable = True

    def __init__(self, folder: Path, *, full: bool) -> None:
        self._database = SqliteDatabase(folder, full=full)
        self.shares = SqliteShares(self._database)
        self.uploads = SqliteUploads(self._database)
        self.library = SqliteLibrary(self._database, self._readable)
        # Owners of the newest outputs, by id. Cleared by any deletion: which outputs that task had is not known.
        self._recent_owners: dict[str, str] = {}

    @property
    def made_new(self) -> bool:
        """Whether `open` made an empty database."""
        return self._database.made_new

    async def open(self) -> str:
        """Open or make the file, and migrate an older one, after a copy of it."""
        return await self._database.open()

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()

    async def commit(self, writes: Sequence[Write]) -> list[Outcome]:
        """Store the writes in one transaction; a task that is in several is written once, as it stands now."""
        # Encoded here, since a task may move on while the thread writes; nothing may suspend before.
        batch = Batch(writes)
        rows = await self._database.write(batch.run, grows=any(isinstance(write, Accept) for write in writes))
        for write in writes:
            if isinstance(write, Append) and isinstance(write.message, OutputEvent) and write.message.url:
                self._recent_owners[write.message.url] = write.task.owner
            elif isinstance(write, Mark):
                self.library.note_deleted_words()
                for marks in write.marks:
                    self._recent_owners.pop(write.task.outputs[marks.index].output_id, None)
        while len(self._recent_owners) > RECENT_OUTPUTS:
            del self._recent_owners[next(iter(self._recent_owners))]
        return [self._outcome(write, row) for write, row in zip(writes, rows, strict=True)]

    def _outcome(self, write: Write, row: int | Task | None) -> Outcome:
        """Return what a write came to, from its seq or the known task."""
        if isinstance(row, Task):
            return row
        if isinstance(write, Save | Charge) or row is None:
            return None
        write.message.seq = row
        task = write.task
        return Event(owner=task.owner, uid=task.uid, seq=row, lang=task.lang, message=write.message)

    async def last_seq(self, owner: str) -> int:
        """Return the seq of the newest event."""
        row = await self._database.read(lambda db: db.execute(sql.LAST_SEQ, (owner,)).fetchone())
        return 0 if row is None else int(row[0])

    async def trimmed_to(self, owner: str) -> int:
        """Return the highest seq of a deleted task."""
        row = await self._database.read(lambda db: db.execute(sql.TRIMMED_TO, (owner,)).fetchone())
        return 0 if row is None else int(row[0])

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a task."""
        rows = await self._database.read(lambda db: db.execute(sql.TASK, (owner, task_id)).fetchall())
        return next(iter((await self._readable(rows)).values()), None)

    async def tasks(
        self,
        owner: str,
        *,
        before: int | None,
        limit: int,
        states: Collection[State],
        group: str | None = None,
    ) -> list[Row]:
        """Return a page of the history."""
        below = 2**62 if before is None else before
        rows = await self._database.read(lambda db: rows_by_state(db, owner, states, group, below, limit))
        tasks = await self._readable((uid, body) for _, uid, body in rows)
        return [Row(number=number, task=tasks[uid]) for number, uid, _ in rows if uid in tasks]

    async def content(self, uid: str) -> bytes | None:
        """Return the content of a task."""
        row = await self._database.read(lambda db: db.execute(sql.CONTENT, (uid,)).fetchone())
        return None if row is None else bytes(row[0])

    async def events_of_owner(self, owner: str, *, after: int, upto: int, limit: int) -> list[Event]:
        """Return the events of an owner, by their primary key."""
        return await self._events(sql.EVENTS_OF_OWNER, (owner, after, upto, limit))

    async def events_of_tasks(self, uids: Sequence[str], *, after: int, upto: int, limit: int) -> list[Event]:
        """Return the events of some tasks, by their own index."""
        wanted = msgspec.json.encode(sorted(set(uids))).decode()
        return await self._events(sql.EVENTS_OF_TASKS, (wanted, after, upto, limit))

    async def _events(self, query: str, values: tuple[str | int, ...]) -> list[Event]:
        rows = await self._database.read(lambda db: db.execute(query, values).fetchall())
        found = []
        for owner, seq, uid, lang, body in rows:
            try:
                message = _message.decode(body)
            except UNREADABLE as error:
                log.error("unreadable event dropped", uid=uid, seq=seq, error=str(error))
                await self._database.write(functools.partial(drop_event, owner=owner, seq=seq))
            else:
                message.seq = seq
                found.append(Event(owner=owner, uid=uid, seq=seq, lang=lang, message=message))
        if len(found) < len(rows):
            # Fewer than the limit would mean that these are the last ones.
            return await self._events(query, values)
        return found

    async def delete(self, uid: str) -> None:
        """Delete a task and its events."""
        await self._database.write(lambda db: delete_task(db, uid))
        self._forget_recent()

    async def prune(self, *, keep_bytes: int, keep_tasks: int, ended_before: float) -> list[Task]:
        """Delete tasks that are too old, or too many; with the last of them the file becomes smaller."""
        rows = await self._database.write(lambda db: prune_ended(db, keep_bytes, keep_tasks, ended_before))
        if rows:
            self._forget_recent()
        while not rows and await self._database.write(_give_back):
            # Between two steps others may write.
            pass
        return list((await self._readable(rows)).values())

    async def output_owner(self, output_id: str) -> str | None:
        """Return the owner of an output."""
        if output_id in self._recent_owners:
            return self._recent_owners[output_id]
        row = await self._database.read(lambda db: db.execute(sql.OUTPUT_OWNER, (output_id,)).fetchone())
        return None if row is None else str(row[0])

    async def task_of_output(self, output_id: str) -> Task | None:
        """Return the task of an output."""
        rows = await self._database.read(lambda db: db.execute(sql.OUTPUT_TASK, (output_id,)).fetchall())
        return next(iter((await self._readable(rows)).values()), None)

    async def output_ids(self) -> set[str]:
        """Read them from all tasks; a start does that once."""
        rows = await self._database.read(lambda db: db.execute(sql.WITH_FILES).fetchall())
        tasks = await self._readable(rows)
        return {
            output.output_id
            for task in tasks.values()
            for output in task.outputs
            if output.file is not None or not task.ended
        }

    async def not_kept(self, *, ended_before: float | None = None) -> list[Task]:
        """Return tasks by an index that has no others."""
        query, values = (sql.NOT_KEPT, ()) if ended_before is None else (sql.OVERDUE, (ended_before,))
        rows = await self._database.read(lambda db: db.execute(query, values).fetchall())
        return list((await self._readable(rows)).values())

    async def usage(self, owner: str, *, first: str, last: str) -> list[Usage]:
        """Return what an owner used, by the primary key."""
        return await self._usage(sql.USAGE, (owner, first, last))

    async def usage_of_all(self, *, after: tuple[str, str], last: str, limit: int) -> list[Usage]:
        """Return what all owners used, by an index of its own."""
        return await self._usage(sql.USAGE_OF_ALL, (*after, last, limit))

    async def _usage(self, query: str, values: tuple[str | int, ...]) -> list[Usage]:
        rows = await self._database.read(lambda db: db.execute(query, values).fetchall())
        return [
            Usage(owner=owner, day=day, seconds=seconds, outputs=outputs, bytes=size)
            for owner, day, seconds, outputs, size in rows
        ]

    async def prune_usage(self, *, before: str) -> bool:
        """Delete at most 1000 rows, so that a commit does not wait for long."""
        return await self._database.write(lambda db: db.execute(sql.DROP_OLD_USAGE, (before,)).rowcount) > 0

    async def forget(self, owner: str, *, used_before: str) -> None:
        """Delete rows, merge the index of words, then truncate the WAL.

        A backup that reads the WAL meanwhile leaves it to the next checkpoint.
        """
        await self._database.write(functools.partial(forget_owner, owner=owner, used_before=used_before))
        # Step by step: the index has the words of everybody, and all commits would wait for it.
        await self.library.overwrite_all()
        await self._database.truncate_wal()

    async def paused_owners(self) -> list[str]:
        """Return the owners who paused everything."""
        rows = await self._database.read(lambda db: db.execute(sql.PAUSED_OWNERS).fetchall())
        return [owner for (owner,) in rows]

    async def set_paused(self, owner: str, *, paused: bool) -> None:
        """Add or delete the owner's row."""
        query = sql.PAUSE_OWNER if paused else sql.UNPAUSE_OWNER
        await self._database.write(lambda db: db.execute(query, (owner,)).rowcount)

    async def pools(self) -> list[str]:
        """Return the pools of the unfinished tasks."""
        rows = await self._database.read(lambda db: db.execute(sql.POOLS).fetchall())
        return [pool for (pool,) in rows]

    async def lease(self, pool: str) -> int:
        """Return the next fence: the lock of the folder says that no other process holds the one before."""

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(sql.RAISE_FENCE, (pool,))
            return int(connection.execute(sql.FENCE, (pool,)).fetchone()[0])

        return await self._database.write(work)

    async def tags(self, pool: str) -> PoolTags:
        """Return the tags of a pool."""

        def work(connection: sqlite3.Connection) -> PoolTags:
            virtual_time, mean = connection.execute(sql.VIRTUAL_TIME, (pool,)).fetchone()
            finish = dict(connection.execute(sql.FINISH_TAGS, (pool,)))
            return PoolTags(virtual_time=virtual_time, finish=finish, mean=mean)

        return await self._database.read(work)

    async def unfinished(self, pool: str) -> list[Task]:
        """Return the unfinished tasks of a pool."""
        rows = await self._database.read(lambda db: db.execute(sql.UNFINISHED, (pool,)).fetchall())
        return list((await self._readable(rows)).values())

    def _forget_recent(self) -> None:
        """Note that a task was deleted: forget whose the newest outputs are, and have its words overwritten."""
        self._recent_owners.clear()
        self.library.note_deleted_words()

    async def _readable(self, rows: Iterable[tuple[str, bytes]]) -> dict[str, Task]:
        """Return tasks by uid, in their order; set aside those that can't be decoded, since the others go on."""
        tasks = {}
        for uid, body in rows:
            try:
                tasks[uid] = _task.decode(body)
            except UNREADABLE as error:
                log.error("unreadable task set aside", uid=uid, error=str(error))
                await self._database.write(functools.partial(set_aside, uid=uid))
                self._forget_recent()
        return tasks


def _give_back(connection: sqlite3.Connection) -> bool:
    """Give some empty pages back to the disk; return whether that helped and there are more than should be kept."""

    def empty() -> int:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])

    before = empty()
    pages = min(before - SPARE_PAGES, PAGES_AT_ONCE)
    if pages <= 0:
        return False
    # `execute` would free one page: SQLite steps through them, with rows of no columns that Python doesn't fetch.
    connection.executescript(f"PRAGMA incremental_vacuum({pages})")
    # An old file that could not be written anew yet gives nothing back.
    return SPARE_PAGES < empty() < before
