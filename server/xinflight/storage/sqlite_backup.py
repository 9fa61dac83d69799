"""A copy of the database at one moment, made while a server in another process goes on writing to it."""

import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

import xinflight.storage.sqlite_queries as sql
from xinflight.errors import StoreUnusable
from xinflight.model import Task
from xinflight.storage.library_sqlite import purge
from xinflight.storage.sqlite_deletion import UNREADABLE, delete_task
from xinflight.storage.sqlite_schema import MIGRATIONS, connect, connect_to_read

__all__ = ["DroppedRows", "NamedFiles", "copy_database", "drop_lost", "settle_copy"]

BUSY_TIMEOUT = 30.0
"""Seconds to wait for a database that is being written anew, as by the first start of a new version."""
ERASURE = 1.0
"""Seconds in which an erasure has deleted a task whose files it has deleted."""
PAGES_AT_ONCE = 1000
"""Pages, 4 MB, between two reports of the progress."""


class NamedFiles(Struct):
    """The files that a copied database names, each with its size: outputs by the uid of their task, and uploads."""

    tasks: int
    outputs: dict[str, dict[str, int]]
    uploads: dict[str, int]


class DroppedRows(Struct, kw_only=True):
    """The uids of the tasks that were deleted from a copy, and how many single outputs of others were.

    `lacking` tasks are in it without a file that the original has lost, too.
    """

    tasks: set[str]
    outputs: int
    lacking: int


def copy_database(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database as it is at one moment. Writers go on meanwhile; the WAL grows by what they write.

    Calls `progress(done, all)` with pages.

    Raises:
        StoreUnusable: another version of xinflight wrote it, or the copy is damaged.
        sqlite3.Error: it can't be read or written.
    """
    with closing(_reading(source)) as reading, closing(sqlite3.connect(target)) as writing:
        reading.isolation_level = None
        # One read transaction around all steps: without it, each commit of the server would start the copy afresh
        # (sqlite.org/c3ref/backup_finish.html, "sqlite3_backup_step").
        reading.execute("BEGIN")
        version = reading.execute("PRAGMA user_version").fetchone()[0]
        if version != len(MIGRATIONS):
            raise StoreUnusable(
                f"{source} has schema {version}, and this version of xinflight {len(MIGRATIONS)}: make the backup "
                "with the version that serves it."
            )
        reading.backup(writing, pages=PAGES_AT_ONCE, progress=lambda _, left, total: progress(total - left, total))
    with closing(sqlite3.connect(target)) as copy:
        # SQLite 3.40 finds "NULL value in upload_uses.owner" in every row of that table: it reads a column behind the
        # key of a table without rowids in the wrong place. There is a row per image of an unfinished task.
        said = [
            found for (found,) in copy.execute("PRAGMA quick_check(100000)") if not found.startswith("NULL value")
        ]
    if said not in ([], ["ok"]):
        raise StoreUnusable(f"{source} is damaged ({said[0]}); no backup was made of it.")


def settle_copy(path: Path) -> NamedFiles:
    """Make a copied database one that can be started beside the original; return the files that it names.

    It gets an epoch of its own at its first start: a cursor that a client got after the copy was made must be
    answered as a gap, and not stand for what the copy stores under the same number. Requests that may be under way
    get new ids: the copy would abort those of the original. What is not to be kept is not, once it has ended.
    """
    with closing(connect(path, full=True, busy_timeout=0.0)) as copy, copy:
        copy.execute(sql.DROP_EPOCH)
        for uid, body in copy.execute(sql.NOT_KEPT).fetchall():
            if any(task.ended for task in _readable([body])):
                delete_task(copy, uid)
        for (pool,) in copy.execute(sql.POOLS).fetchall():
            for task in _readable(body for _, body in copy.execute(sql.UNFINISHED, (pool,)).fetchall()):
                for output in task.outputs:
                    output.request_id = str(uuid.uuid4())
                copy.execute(sql.SET_BODY, (msgspec.msgpack.encode(task), task.uid))
        outputs = {
            task.uid: {output.output_id: output.file.bytes for output in task.files if output.file is not None}
            for task in _readable(body for _, body in copy.execute(sql.WITH_FILES))
        }
        (tasks,) = copy.execute(sql.COUNT_TASKS).fetchone()
        return NamedFiles(
            tasks=tasks,
            outputs={uid: files for uid, files in outputs.items() if files},
            uploads=dict(copy.execute(sql.UPLOAD_SIZES).fetchall()),
        )


def _readable(bodies: Iterable[bytes]) -> Iterable[Task]:
    """Yield the tasks that can be decoded; the others are set aside when a server reads them."""
    for body in bodies:
        try:
            yield msgspec.msgpack.decode(body, type=Task)
        except UNREADABLE:
            continue


def drop_lost(
    original: Path, path: Path, outputs: Mapping[str, Collection[str]], uploads: Collection[str]
) -> DroppedRows:
    """Delete from a copy what lacks files since the original has deleted it meanwhile.

    `outputs` are the ids of those without a file, by the uid of their task.
    """
    with closing(_reading(original)) as reading, closing(connect(path, full=True, busy_timeout=0.0)) as copy, copy:

        def still_there() -> list[tuple[str, str]]:
            return [
                (uid, output_id)
                for uid, output_ids in outputs.items()
                for output_id in output_ids
                if reading.execute(sql.OUTPUT_INDEX, (output_id,)).fetchone() is not None
            ]

        lacking = still_there()
        if lacking:
            # Whatever deletes an output by itself, or all of an owner, deletes files first.
            time.sleep(ERASURE)
            lacking = still_there()
        gone = {uid for uid in outputs if reading.execute(sql.HAS_TASK, (uid,)).fetchone() is None}
        for uid in gone:
            delete_task(copy, uid)
        purged = [
            (uid, output_id)
            for uid in outputs.keys() - gone
            for output_id in outputs[uid]
            if (uid, output_id) not in lacking
        ]
        for uid, output_id in purged:
            (index,) = copy.execute(sql.OUTPUT_INDEX, (output_id,)).fetchone()
            purge(copy, uid, index)
        copy.executemany(sql.FORGET_UPLOAD, [(blob_id,) for blob_id in uploads])
        lost_before = {uid for uid, _ in lacking} - gone
        return DroppedRows(tasks=gone, outputs=len(purged), lacking=len(lost_before))


def _reading(path: Path) -> sqlite3.Connection:
    return connect_to_read(path, busy_timeout=BUSY_TIMEOUT)
