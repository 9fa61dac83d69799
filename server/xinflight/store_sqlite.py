"""The store in one SQLite file: what is committed survives SIGKILL.

One thread writes and one reads, so that nobody's page of history waits behind a commit; a third folds the log into
the database, for that waits for the disk and no `ack` should. WAL with synchronous NORMAL survives the death of the
process, FULL that of the machine too (sqlite.org/pragma.html, "synchronous").
"""

import asyncio
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog
from filelock import FileLock, Timeout

from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.protocol import State
from xinflight.store import Event, EventMessage, Row, Write
from xinflight.task import Task

__all__ = ["SqliteStore"]

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

SEQ_JUMP = 1_000_000
"""Added to the last stored seq at a start: above every snapshot's that a client may have seen."""
BUSY_TIMEOUT = 2.0
"""Seconds to wait for another program, like a backup, to let go of the database."""
CHECKPOINT = 500
"""Writes after which the log is folded into the database: some 4 MB of it."""
LOG_PAGES = 16_000
"""Pages of log, 64 MB, above which the writer itself empties it: under a load without a pause the other thread never
folds in all of it, and it can't begin anew."""
VARIABLES = 500
"""Uids in one query; SQLite allows 999 variables in its oldest builds."""

MIGRATIONS = [
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE owners (
        owner TEXT PRIMARY KEY,
        seq INTEGER NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE tasks (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        uid TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        task_id TEXT NOT NULL,
        state TEXT NOT NULL,
        ended_at REAL,
        bytes INTEGER NOT NULL,
        runner TEXT,
        lease_until REAL,
        body BLOB NOT NULL,
        UNIQUE (owner, task_id)
    );
    CREATE INDEX tasks_of_owner ON tasks (owner, number);
    CREATE INDEX tasks_unfinished ON tasks (number) WHERE ended_at IS NULL;
    CREATE INDEX tasks_ended ON tasks (ended_at, number, bytes) WHERE ended_at IS NOT NULL;
    CREATE TABLE events (
        owner TEXT NOT NULL,
        seq INTEGER NOT NULL,
        uid TEXT NOT NULL,
        lang TEXT,
        body BLOB NOT NULL,
        PRIMARY KEY (owner, seq)
    ) WITHOUT ROWID;
    CREATE INDEX events_of_task ON events (uid, seq);
    """,
]

_message = msgspec.msgpack.Decoder(EventMessage)
_task = msgspec.msgpack.Decoder(Task)
_encode = msgspec.msgpack.Encoder().encode

_Upsert = tuple[str, str, str, str, float | None, int, bytes]
_Insert = tuple[str, int, str, str | None, bytes]


class SqliteStore:
    """Keep everything in `folder`/xinflight.db."""

    durable = True

    def __init__(self, folder: Path, *, full: bool) -> None:
        self._path = folder / "xinflight.db"
        self._lock = FileLock(folder / "lock", blocking=False, thread_local=False)
        self._holder = folder / "lock.holder"
        self._full = full
        self.made_new = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="xinflight store writer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="xinflight store reader")
        self._folder = ThreadPoolExecutor(1, thread_name_prefix="xinflight store folder")
        self._write: sqlite3.Connection | None = None
        self._read: sqlite3.Connection | None = None
        self._fold: sqlite3.Connection | None = None
        self._unfolded = 0
        self._folding = False

    async def open(self) -> str:
        """Open or make the file, and bring an older one to this version's schema; a copy of it is kept."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, self._open)
        except sqlite3.DatabaseError as error:
            await self.close()
            raise StoreUnusable(_cure(self._path, error)) from None
        except OSError as error:
            await self.close()
            raise StoreUnusable(
                f"The data folder {self._path.parent} can't be used ({error.strerror}). "
                "Look at its permissions and the free space of its disk, or choose another with --data-dir."
            ) from None
        except StoreUnusable:
            await self.close()
            raise

    def _open(self) -> str:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self._write = self._connect()
        self._migrate(self._write)
        self._write.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(8),))
        self._write.commit()
        epoch: str = self._write.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
        self._read = self._connect()
        self._fold = self._connect()
        return epoch

    def _take_lock(self) -> None:
        """Make the folder ours: two processes would run the same tasks twice. The kernel frees it at any death."""
        try:
            self._lock.acquire()
        except Timeout:
            holder = self._holder.read_text("utf-8") if self._holder.exists() else "unknown"
            raise StoreUnusable(
                f"The data folder {self._path.parent} is in use by process {holder}. "
                "Stop that one, or choose another folder with --data-dir."
            ) from None
        self._holder.write_text(str(os.getpid()), "utf-8")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._full else 'NORMAL'}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        self.made_new = version == 0
        if version > len(MIGRATIONS):
            raise StoreUnusable(
                f"{self._path} was written by a newer xinflight (schema {version}, known here: {len(MIGRATIONS)}). "
                "Start that version, or choose another folder with --data-dir."
            )
        if 0 < version < len(MIGRATIONS):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copy2(self._path, self._path.with_suffix(f".before-{len(MIGRATIONS)}.db"))
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    async def close(self) -> None:
        """Close both connections and end both threads."""
        used = ((self._folder, self._fold), (self._reader, self._read), (self._writer, self._write))
        self._write = self._read = self._fold = None
        for executor, connection in used:
            if connection is not None:
                await asyncio.get_running_loop().run_in_executor(executor, connection.close)
            executor.shutdown(wait=False)
        self._lock.release()

    async def _run(self, work: Callable[[sqlite3.Connection], T], *, write: bool = False) -> T:
        """Run work on its thread, in a transaction when it writes."""
        connection, executor = (self._write, self._writer) if write else (self._read, self._reader)
        if connection is None:
            raise StorageUnavailable(detail="the store is closed")

        def transact() -> T:
            with connection:
                return work(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(executor, transact)
        except sqlite3.Error as error:
            raise StorageUnavailable(detail=str(error)) from None

    async def commit(self, writes: Sequence[Write]) -> None:
        """Keep the writes in one transaction; a task that stands in several is written once, as it stands now."""
        # Encoded here, for a task may move on while the thread writes.
        tasks = [_upsert(task) for task in {write.task.uid: write.task for write in writes}.values()]
        events = [_insert(write.event) for write in writes if write.event is not None]
        seqs = list({event[0]: event[:2] for event in events}.values())

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO tasks (uid, owner, task_id, state, ended_at, bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (uid) DO UPDATE SET state = excluded.state, ended_at = excluded.ended_at, "
                "bytes = excluded.bytes, body = excluded.body",
                tasks,
            )
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", events)
            connection.executemany(
                "INSERT INTO owners (owner, seq) VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET seq = excluded.seq",
                seqs,
            )

        await self._run(work, write=True)
        self._unfolded += len(writes)
        if self._unfolded >= CHECKPOINT and self._fold is not None and not self._folding:
            self._unfolded = 0
            self._folding = True
            self._folder.submit(self._fold_log, self._fold, "PASSIVE")

    def _fold_log(self, connection: sqlite3.Connection, mode: str) -> None:
        """Fold what can be folded without making anybody wait (sqlite.org/c3ref/wal_checkpoint_v2.html)."""
        try:
            _, pages, _ = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.Error as error:
            log.warning("log not folded into the database", error=str(error))
            pages = 0
        if mode == "PASSIVE" and pages > LOG_PAGES and self._write is not None:
            self._writer.submit(self._fold_log, self._write, "TRUNCATE")
        else:
            self._folding = False

    async def last_seq(self, owner: str) -> int:
        """Jump above every seq that was only shown, and keep the jump; a process asks once per owner."""

        def work(connection: sqlite3.Connection) -> int:
            connection.execute("UPDATE owners SET seq = seq + ? WHERE owner = ?", (SEQ_JUMP, owner))
            row = connection.execute("SELECT seq FROM owners WHERE owner = ?", (owner,)).fetchone()
            return 0 if row is None else int(row[0])

        return await self._run(work, write=True)

    async def floor(self, owner: str) -> int:
        """Return the highest seq of a forgotten task."""
        row = await self._run(lambda db: db.execute("SELECT floor FROM owners WHERE owner = ?", (owner,)).fetchone())
        return 0 if row is None else int(row[0])

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a task."""
        query = "SELECT body FROM tasks WHERE owner = ? AND task_id = ?"
        row = await self._run(lambda db: db.execute(query, (owner, task_id)).fetchone())
        return None if row is None else _task.decode(row[0])

    async def tasks(self, owner: str, *, before: int | None, limit: int, states: Collection[State]) -> list[Row]:
        """Return a page of the history."""
        marks = ", ".join("?" * len(states))
        query = (
            f"SELECT number, body FROM tasks WHERE owner = ? AND number < ? AND state IN ({marks}) "  # noqa: S608
            "ORDER BY number DESC LIMIT ?"
        )
        below = 2**62 if before is None else before
        rows = await self._run(lambda db: db.execute(query, (owner, below, *states, limit)).fetchall())
        return [Row(number=number, task=_task.decode(body)) for number, body in rows]

    async def events(
        self, owner: str, *, after: int, upto: int, uids: Sequence[str] | None, limit: int
    ) -> list[Event]:
        """Return events; those of single tasks come by their own index."""
        if uids is not None and len(uids) > VARIABLES:
            parts = [uids[start : start + VARIABLES] for start in range(0, len(uids), VARIABLES)]
            found = [
                event
                for part in parts
                for event in await self.events(owner, after=after, upto=upto, uids=part, limit=limit)
            ]
            return sorted(found, key=lambda event: event.seq)[:limit]
        of = "" if uids is None else f"AND uid IN ({', '.join('?' * len(uids))})"
        query = (
            "SELECT seq, uid, lang, body FROM events "  # noqa: S608
            f"WHERE owner = ? AND seq > ? AND seq <= ? {of} ORDER BY seq LIMIT ?"
        )
        values = (owner, after, upto, *(uids or ()), limit)
        rows = await self._run(lambda db: db.execute(query, values).fetchall())
        return [
            Event(owner=owner, uid=uid, seq=seq, lang=lang, message=_message.decode(body))
            for seq, uid, lang, body in rows
        ]

    async def delete(self, uid: str) -> None:
        """Forget a task that its owner wants forgotten."""
        await self._run(lambda db: _forget(db, uid), write=True)

    async def prune(self, *, keep_bytes: int, ended_before: float) -> list[Task]:
        """Forget tasks that are too old, or too many in bytes."""
        return await self._run(lambda db: _prune(db, keep_bytes, ended_before), write=True)

    async def picture_ids(self) -> set[str]:
        """Read them from all tasks; a start does that once."""

        def work(connection: sqlite3.Connection) -> set[str]:
            rows = connection.execute("SELECT body FROM tasks WHERE bytes > 0")
            return {job.picture_id for (body,) in rows for job in _task.decode(body).jobs if job.picture is not None}

        return await self._run(work)

    async def claim(self, runner: str, lease_until: float) -> list[Task]:
        """Take the unfinished tasks; the lock of the folder says that no other runner lives."""

        def work(connection: sqlite3.Connection) -> list[bytes]:
            query = "UPDATE tasks SET runner = ?, lease_until = ? WHERE ended_at IS NULL"
            connection.execute(query, (runner, lease_until))
            rows = connection.execute("SELECT body FROM tasks WHERE ended_at IS NULL ORDER BY number")
            return [body for (body,) in rows]

        return [_task.decode(body) for body in await self._run(work, write=True)]

    async def renew(self, runner: str, lease_until: float) -> None:
        """Prolong the leases."""
        query = "UPDATE tasks SET lease_until = ? WHERE runner = ? AND ended_at IS NULL"
        await self._run(lambda db: db.execute(query, (lease_until, runner)), write=True)

    async def release(self, runner: str) -> None:
        """Give up the leases."""
        query = "UPDATE tasks SET runner = NULL, lease_until = NULL WHERE runner = ? AND ended_at IS NULL"
        await self._run(lambda db: db.execute(query, (runner,)), write=True)


def _upsert(task: Task) -> _Upsert:
    size = sum(picture.bytes for picture in task.pictures)
    return task.uid, task.owner, task.task_id, task.state, task.ended_at, size, _encode(task)


def _insert(event: Event) -> _Insert:
    return event.owner, event.seq, event.uid, event.lang, _encode(event.message)


def _prune(connection: sqlite3.Connection, keep_bytes: int, ended_before: float) -> list[Task]:
    """Forget at most 100 ended tasks, remembering for each owner up to where there may be gaps."""
    # The same condition as the index tasks_ended, so that the sum is read from it alone.
    total: int = connection.execute(
        "SELECT coalesce(sum(bytes), 0) FROM tasks WHERE ended_at IS NOT NULL"
    ).fetchone()[0]
    query = "SELECT body, bytes, ended_at FROM tasks WHERE ended_at IS NOT NULL ORDER BY ended_at LIMIT 100"
    gone = []
    for body, size, ended_at in connection.execute(query):
        if total <= keep_bytes and ended_at >= ended_before:
            break
        total -= size
        gone.append(_task.decode(body))
    for task in gone:
        _forget(connection, task.uid)
    return gone


def _forget(connection: sqlite3.Connection, uid: str) -> None:
    """Forget one task and its events, remembering for its owner that there is a gap."""
    connection.execute(
        "UPDATE owners SET floor = max(floor, (SELECT coalesce(max(seq), 0) FROM events WHERE uid = :uid)) "
        "WHERE owner = (SELECT owner FROM tasks WHERE uid = :uid)",
        {"uid": uid},
    )
    connection.execute("DELETE FROM events WHERE uid = ?", (uid,))
    connection.execute("DELETE FROM tasks WHERE uid = ?", (uid,))


def _cure(path: Path, error: sqlite3.DatabaseError) -> str:
    """Say what to do about a database that can't be opened (sqlite.org/rescode.html)."""
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} is in use by another program ({error}). Stop it, or choose another with --data-dir."
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            # The folder as a whole: a log that stays behind would be played into the next file of that name, and
            # pictures that nobody knows are deleted.
            return (
                f"{path} is damaged ({error}). Move the folder away to start with an empty history: "
                f"mv {path.parent} {path.parent}.damaged"
            )
    return f"{path} can't be used ({error}). Look at the folder's permissions and the free space of its disk."
