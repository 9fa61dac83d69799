"""The store in one SQLite file: what is committed survives SIGKILL.

One thread writes and one reads, so that nobody's page of history waits behind a commit; a third folds the log into
the database, for that waits for the disk and no `ack` should. WAL with synchronous NORMAL survives the death of the
process, FULL that of the machine too (sqlite.org/pragma.html, "synchronous").
"""

import asyncio
import functools
import heapq
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog
from filelock import FileLock, Timeout

import xinflight.storage.sqlite_queries as sql
from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.model import Task
from xinflight.protocol import State
from xinflight.storage.sqlite_schema import connect, explain, make_private, migrate
from xinflight.storage.store import EVENT_BYTES, TASK_BYTES, Event, EventMessage, Row, Write

__all__ = ["SqliteStore"]

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

SEQ_JUMP = 1_000_000
"""Added to the last stored seq at a start: above every snapshot's that a client may have seen."""
BUSY_TIMEOUT = 2.0
"""Seconds to wait for another program, like a backup, to let go of the database."""
CHECKPOINT = 1500
"""Rows written after which the log is folded into the database: some 4 MB of it."""
LOG_PAGES = 16_000
"""Pages of log, 64 MB, above which the writer itself empties it: under a load without a pause the other thread never
folds in all of it, and it can't begin anew."""
SPARE_PAGES = 1000
"""Empty pages, 4 MB, that the file keeps for what comes next."""
PAGES_AT_ONCE = 500
"""Empty pages that are given back in one step, between which commits go on."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, TypeError)
"""What decoding damaged bytes raises; TypeError where SQLite gives a text or a number in their place."""

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
        # Rows written since the last checkpoint.
        self._unfolded = 0
        self._checkpoint: asyncio.Task[None] | None = None
        self._files: list[tuple[int, int]] = []

    async def open(self) -> str:
        """Open or make the file, and bring an older one to this version's schema; a copy of it is kept."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._writer, self._open)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            await self.close()
            raise StoreUnusable(explain(self._path, error)) from None
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
        make_private(self._path)
        self._take_lock()
        self._write = self._connect()
        self.made_new = migrate(self._write, self._path)
        self._write.execute(sql.MAKE_EPOCH, (secrets.token_hex(8),))
        self._write.commit()
        epoch: str = self._write.execute(sql.EPOCH).fetchone()[0]
        self._read = self._connect()
        self._fold = self._connect()
        self._files = self._identities()
        return epoch

    def _connect(self) -> sqlite3.Connection:
        return connect(self._path, full=self._full, busy_timeout=BUSY_TIMEOUT)

    def _take_lock(self) -> None:
        """Make the folder ours: two processes would run the same tasks twice. The kernel frees it at any death."""
        try:
            self._lock.acquire()
        except Timeout:
            holder = self._holder.read_text("utf-8", "replace") if self._holder.exists() else "unknown"
            raise StoreUnusable(
                f"The data folder {self._path.parent} is in use by process {holder}. "
                "Stop that one, or choose another folder with --data-dir."
            ) from None
        self._holder.write_text(str(os.getpid()), "utf-8")

    def _identities(self) -> list[tuple[int, int]]:
        """Return what the database and its log are on their disk, whatever their names."""
        files = [os.stat(f"{self._path}{suffix}") for suffix in ("", "-wal")]
        return [(file.st_dev, file.st_ino) for file in files]

    def _check_there(self) -> None:
        """Raise StorageUnavailable when the files were deleted or replaced: what is written to them then is lost."""
        try:
            there = self._identities() == self._files
        except OSError:
            there = False
        if not there:
            raise StorageUnavailable(detail=f"{self._path} was deleted or replaced; start the server again")

    async def close(self) -> None:
        """Close the connections and end the threads, after a checkpoint that is under way."""
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
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

        def transact() -> tuple[T, int]:
            before = connection.total_changes
            with connection:
                done = work(connection)
                if write:
                    # The last moment at which nothing has been promised yet.
                    self._check_there()
            return done, connection.total_changes - before

        try:
            done, rows = await asyncio.get_running_loop().run_in_executor(executor, transact)
        except sqlite3.Error as error:
            raise StorageUnavailable(detail=str(error)) from None
        self._unfolded += rows
        if self._unfolded >= CHECKPOINT and self._checkpoint is None and self._fold is not None:
            self._unfolded = 0
            self._checkpoint = asyncio.create_task(self._fold_log(self._fold, connection), name="store checkpoint")
        return done

    async def _fold_log(self, folder: sqlite3.Connection, writer: sqlite3.Connection) -> None:
        """Fold what can be folded without making anybody wait (sqlite.org/c3ref/wal_checkpoint_v2.html)."""

        def fold(connection: sqlite3.Connection, mode: str) -> int:
            _, pages, _ = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            return int(pages)

        loop = asyncio.get_running_loop()
        try:
            if await loop.run_in_executor(self._folder, fold, folder, "PASSIVE") > LOG_PAGES:
                await loop.run_in_executor(self._writer, fold, writer, "TRUNCATE")
        except sqlite3.Error as error:
            log.warning("log not folded into the database", error=str(error))
        except Exception:
            log.exception("log not folded into the database")
        finally:
            self._checkpoint = None

    async def commit(self, writes: Sequence[Write]) -> None:
        """Keep the writes in one transaction; a task that stands in several is written once, as it stands now."""
        # Encoded here, for a task may move on while the thread writes.
        tasks = [_upsert(task) for task in {write.task.uid: write.task for write in writes}.values()]
        events = [_insert(write.event) for write in writes if write.event is not None]
        seqs = list({event[0]: event[:2] for event in events}.values())
        ended = {write.task.uid for write in writes if write.task.ended}

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(sql.KEEP_TASK, tasks)
            connection.executemany(sql.ADD_EVENT, events)
            connection.executemany(sql.RAISE_SEQ, seqs)
            sizes = ({"uid": uid, "task_bytes": TASK_BYTES, "event_bytes": EVENT_BYTES} for uid in ended)
            connection.executemany(sql.SIZE_UP, sizes)

        await self._run(work, write=True)

    async def last_seq(self, owner: str) -> int:
        """Jump above every seq that was only shown, and keep the jump; a process asks once per owner."""

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(sql.JUMP_SEQ, (SEQ_JUMP, owner))
            row = connection.execute(sql.LAST_SEQ, (owner,)).fetchone()
            return 0 if row is None else int(row[0])

        return await self._run(work, write=True)

    async def floor(self, owner: str) -> int:
        """Return the highest seq of a forgotten task."""
        row = await self._run(lambda db: db.execute(sql.FLOOR, (owner,)).fetchone())
        return 0 if row is None else int(row[0])

    async def task(self, owner: str, task_id: str) -> Task | None:
        """Return a task."""
        rows = await self._run(lambda db: db.execute(sql.TASK, (owner, task_id)).fetchall())
        return next(iter((await self._readable(rows)).values()), None)

    async def tasks(self, owner: str, *, before: int | None, limit: int, states: Collection[State]) -> list[Row]:
        """Return a page of the history."""
        below = 2**62 if before is None else before

        def work(connection: sqlite3.Connection) -> list[tuple[int, str, bytes]]:
            if set(states) == set(State):
                return connection.execute(sql.TASKS, (owner, below, limit)).fetchall()
            by_state = [connection.execute(sql.NUMBERS_OF_STATE, (owner, state, below, limit)) for state in states]
            newest = heapq.merge(*by_state, reverse=True)
            return [
                connection.execute(sql.TASK_OF_NUMBER, number).fetchone()
                for number, _ in zip(newest, range(limit), strict=False)
            ]

        rows = await self._run(work)
        tasks = await self._readable((uid, body) for _, uid, body in rows)
        return [Row(number=number, task=tasks[uid]) for number, uid, _ in rows if uid in tasks]

    async def events(
        self, owner: str, *, after: int, upto: int, uids: Sequence[str] | None, limit: int
    ) -> list[Event]:
        """Return events; those of single tasks come by their own index."""
        query = sql.EVENTS if uids is None else sql.EVENTS_OF_TASKS
        wanted = () if uids is None else (msgspec.json.encode(sorted(set(uids))).decode(),)
        rows = await self._run(lambda db: db.execute(query, (*wanted, owner, after, upto, limit)).fetchall())
        found = []
        for seq, uid, lang, body in rows:
            try:
                found.append(Event(owner=owner, uid=uid, seq=seq, lang=lang, message=_message.decode(body)))
            except UNREADABLE as error:
                log.error("unreadable event dropped", uid=uid, seq=seq, error=str(error))
                await self._run(functools.partial(_drop_event, owner=owner, seq=seq), write=True)
        if len(found) < len(rows):
            # Fewer than there are would mean that these are the last ones.
            return await self.events(owner, after=after, upto=upto, uids=uids, limit=limit)
        return found

    async def delete(self, uid: str) -> None:
        """Forget a task that its owner wants forgotten."""
        await self._run(lambda db: _forget(db, uid), write=True)

    async def prune(self, *, keep_bytes: int, keep_tasks: int, ended_before: float) -> list[Task]:
        """Forget tasks that are too old, or too many; with the last of them the file becomes smaller."""
        rows = await self._run(lambda db: _prune(db, keep_bytes, keep_tasks, ended_before), write=True)
        while not rows and await self._run(_give_back, write=True):
            # Between two steps others may write.
            self._unfolded += PAGES_AT_ONCE
        return list((await self._readable(rows)).values())

    async def picture_ids(self) -> set[str]:
        """Read them from all tasks; a start does that once."""
        rows = await self._run(lambda db: db.execute(sql.PICTURED).fetchall())
        tasks = await self._readable(rows)
        return {job.picture_id for task in tasks.values() for job in task.jobs if job.picture is not None}

    async def claim(self, runner: str, lease_until: float) -> list[Task]:
        """Take the unfinished tasks; the lock of the folder says that no other runner lives."""

        def work(connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
            connection.execute(sql.CLAIM, (runner, lease_until))
            return connection.execute(sql.UNFINISHED).fetchall()

        return list((await self._readable(await self._run(work, write=True))).values())

    async def renew(self, runner: str, lease_until: float) -> None:
        """Prolong the leases."""
        await self._run(lambda db: db.execute(sql.RENEW, (lease_until, runner)), write=True)

    async def release(self, runner: str) -> None:
        """Give up the leases."""
        await self._run(lambda db: db.execute(sql.RELEASE, (runner,)), write=True)

    async def _readable(self, rows: Iterable[tuple[str, bytes]]) -> dict[str, Task]:
        """Return tasks by uid, as they were read; set aside those that can't be decoded, for the others go on."""
        tasks = {}
        for uid, body in rows:
            try:
                tasks[uid] = _task.decode(body)
            except UNREADABLE as error:
                log.error("unreadable task set aside", uid=uid, error=str(error))
                await self._run(functools.partial(_set_aside, uid=uid), write=True)
        return tasks


def _upsert(task: Task) -> _Upsert:
    size = sum(picture.bytes for picture in task.pictures)
    return task.uid, task.owner, task.task_id, task.state, task.ended_at, size, _encode(task)


def _insert(event: Event) -> _Insert:
    return event.owner, event.seq, event.uid, event.lang, _encode(event.message)


def _prune(
    connection: sqlite3.Connection, keep_bytes: int, keep_tasks: int, ended_before: float
) -> list[tuple[str, bytes]]:
    """Forget at most 100 ended tasks, remembering for each owner up to where there may be gaps."""
    count, total = connection.execute(sql.ENDED_TOTALS).fetchone()
    gone = []
    for uid, body, size, ended_at in connection.execute(sql.OLDEST_ENDED):
        if total <= keep_bytes and count <= keep_tasks and ended_at >= ended_before:
            break
        total -= size
        count -= 1
        gone.append((uid, body))
    for uid, _ in gone:
        _forget(connection, uid)
    return gone


def _forget(connection: sqlite3.Connection, uid: str) -> None:
    """Forget one task and its events, remembering for its owner that there is a gap."""
    for query in (sql.RAISE_FLOOR, sql.DROP_EVENTS, sql.DROP_TASK):
        connection.execute(query, {"uid": uid})


def _set_aside(connection: sqlite3.Connection, uid: str) -> None:
    """Forget a task but for its bytes: whoever mends them can put them back."""
    connection.execute(sql.KEEP_UNREADABLE, {"uid": uid})
    _forget(connection, uid)


def _drop_event(connection: sqlite3.Connection, owner: str, seq: int) -> None:
    """Forget one event, remembering that there is a gap."""
    for query in (sql.DROP_EVENT, sql.RAISE_FLOOR_TO):
        connection.execute(query, {"owner": owner, "seq": seq})


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
