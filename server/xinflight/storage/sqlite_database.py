"""The SQLite file of a data folder: its lock, its threads, transactions and checkpoints.

One thread writes and one reads, so that nobody's page of history waits behind a commit. A third searches: what that
costs is up to whoever wrote the words. A fourth checkpoints the WAL: that fsyncs, and an `ack` must not wait for it.

WAL with synchronous NORMAL survives the death of the process, FULL that of the machine too (sqlite.org/pragma.html,
"synchronous").
"""

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog
from filelock import FileLock, Timeout

import xinflight.storage.sqlite_queries as sql
from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.storage.spare_file import SpareFile
from xinflight.storage.sqlite_schema import connect, explain, make_private, migrate
from xinflight.storage.worker_thread import WorkerThread

__all__ = ["PAGES_AT_ONCE", "SPARE_PAGES", "SqliteDatabase"]

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

BUSY_TIMEOUT = 2.0
"""Seconds to wait for another program, like a backup, to release the database."""
CHECKPOINT = 1500
"""Rows written after which the WAL is checkpointed: some 4 MB of it."""
WAL_PAGES = 16_000
"""Pages of WAL, 64 MB, above which the writer itself truncates it: under a load without a pause the other thread
never checkpoints all of it, and it can't begin anew."""
SPARE_PAGES = 1000
"""Empty pages, 4 MB, that the file keeps for what comes next."""
FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
"""What SQLite says of a full disk: the database or the WAL has no room, or the index of the WAL."""
PAGES_AT_ONCE = 500
"""Empty pages that are given back in one step, between which commits go on."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SqliteDatabase:
    """Run statements on `folder`/xinflight.db. Calls come from one event loop.

    `made_new` is true when `open` found nothing and made an empty database.
    """

    def __init__(self, folder: Path, *, full: bool) -> None:
        self._path = folder / "xinflight.db"
        self._lock = FileLock(folder / "lock", blocking=False, thread_local=False)
        self._holder = folder / "lock.holder"
        self._spare = SpareFile(folder / "xinflight.spare")
        self._full = full
        self.made_new = False
        self._writer = WorkerThread("xinflight store writer")
        self._reader = WorkerThread("xinflight store reader")
        self._searcher = WorkerThread("xinflight store search")
        self._checkpointer = WorkerThread("xinflight store checkpoint")
        self._write: sqlite3.Connection | None = None
        self._read: sqlite3.Connection | None = None
        self._search: sqlite3.Connection | None = None
        self._check: sqlite3.Connection | None = None
        # Rows written since the last checkpoint.
        self._unchecked = 0
        self._checkpoint: asyncio.Task[None] | None = None
        self._files: list[tuple[int, int]] = []

    async def open(self) -> str:
        """Open or make the file, and migrate an older one, after a copy of it; return the epoch.

        Raises:
            StoreUnusable: the text says what to do.
        """
        try:
            return await self._writer.call(self._open)
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
        try:
            return self._open_file()
        except sqlite3.OperationalError as error:
            # On a full disk not even the WAL's index can be made, and nobody could delete anything after a restart.
            if not _is_full(error) or not self._spare.use():
                raise
            log.warning("the disk is full; the last room is used")
            if self._write is not None:
                self._write.close()
            return self._open_file()

    def _open_file(self) -> str:
        self._write = self._connect()
        self.made_new = migrate(self._write, self._path)
        if not self.made_new:
            # Else a restart would open a full disk to new work, which takes what whoever deletes something needs.
            self._spare.take_over()
        self._write.execute(sql.MAKE_EPOCH, (secrets.token_hex(8),))
        self._write.commit()
        if not self._full:
            self._skip_lost_seqs(self._write)
        epoch: str = self._write.execute(sql.EPOCH).fetchone()[0]
        self._read = self._connect()
        self._search = self._connect()
        self._check = self._connect()
        self._files = self._identities()
        return epoch

    def _skip_lost_seqs(self, connection: sqlite3.Connection) -> None:
        """After a start of the machine, go on above every seq that a client may have seen.

        A power failure may have taken back the last commits. If their seqs were drawn again, a client that saw them
        would skip the events that bear them now.
        """
        boot, stored = _boot_id(), connection.execute(sql.BOOT).fetchone()
        with connection:
            connection.execute(sql.SET_BOOT, (boot,))
            if stored is not None and stored[0] != boot:
                connection.execute(sql.JUMP_SEQS)

    def _connect(self) -> sqlite3.Connection:
        return connect(self._path, full=self._full, busy_timeout=BUSY_TIMEOUT)

    def _take_lock(self) -> None:
        """Lock the folder: two processes would run the same tasks twice. The kernel frees the lock at any death."""
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
        """Return what the database and its WAL are on their disk, whatever their names."""
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
        """Close the connections and end the threads, after a checkpoint that is under way; safe to call twice."""
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        used = (
            (self._checkpointer, self._check),
            (self._searcher, self._search),
            (self._reader, self._read),
            (self._writer, self._write),
        )
        self._write = self._read = self._search = self._check = None
        for worker, connection in used:
            if connection is not None:
                await worker.call(connection.close)
            worker.close()
        self._lock.release()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work on the reading thread; raise StorageUnavailable when that can't be done now."""
        if self._read is None:
            raise StorageUnavailable(detail="the store is closed")
        result, _ = await self._run(work, self._reader, self._read)
        return result

    async def search(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work on the searching thread, where it may take long; errors as `read`."""
        if self._search is None:
            raise StorageUnavailable(detail="the store is closed")
        result, _ = await self._run(work, self._searcher, self._search)
        return result

    async def write(self, work: Callable[[sqlite3.Connection], T], *, grows: bool = False) -> T:
        """Run work in a transaction on the writing thread; errors as `read`. Cancelling does not undo it.

        On a full disk it may take the last room that is kept for that, unless it `grows`: what would only add to the
        database is refused before, so that whoever deletes something still can.
        """
        connection = self._write
        if connection is None or self._check is None:
            raise StorageUnavailable(detail="the store is closed")

        def work_and_check(connection: sqlite3.Connection) -> T:
            if grows and not self._spare.restored():
                raise StorageUnavailable(detail="the disk is full, but for what deletes something")
            result = work(connection)
            # The last moment at which nothing has been promised yet.
            self._check_there()
            return result

        result, rows = await self._run(work_and_check, self._writer, connection, spare=not grows)
        self._unchecked += rows
        if self._unchecked >= CHECKPOINT and self._checkpoint is None and self._check is not None:
            self._unchecked = 0
            self._checkpoint = asyncio.create_task(
                self._checkpoint_wal(self._check, connection), name="store checkpoint"
            )
        return result

    async def _run(
        self,
        work: Callable[[sqlite3.Connection], T],
        worker: WorkerThread,
        connection: sqlite3.Connection,
        *,
        spare: bool = False,
    ) -> tuple[T, int]:
        """Return what work returns, and how many rows it changed. On a full disk it may have the `spare` room."""

        def transact() -> tuple[T, int]:
            before = connection.total_changes
            with connection:
                result = work(connection)
            return result, connection.total_changes - before

        def transact_at_last() -> tuple[T, int]:
            try:
                return transact()
            except sqlite3.OperationalError as error:
                if not _is_full(error) or not self._spare.use():
                    raise
            log.warning("the disk is full; the last room is used")
            return transact()

        try:
            return await worker.call(transact_at_last if spare else transact)
        except sqlite3.Error as error:
            raise StorageUnavailable(detail=str(error)) from None

    async def truncate_wal(self) -> None:
        """Move all of the WAL into the database and empty it, unless a reader of another process is in the way."""
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        if self._write is not None and self._check is not None:
            self._checkpoint = asyncio.create_task(
                self._checkpoint_wal(self._check, self._write, pages=0), name="store checkpoint"
            )
            await asyncio.wait([self._checkpoint])

    async def _checkpoint_wal(
        self, check: sqlite3.Connection, writer: sqlite3.Connection, *, pages: int | None = None
    ) -> None:
        """Checkpoint what can be without making anybody wait (sqlite.org/c3ref/wal_checkpoint_v2.html).

        Above `pages`, by default WAL_PAGES, the WAL is truncated, for which the writer waits.
        """

        def checkpoint(connection: sqlite3.Connection, mode: str) -> int:
            # A new folder that is hardly used needs none.
            self._spare.make()
            _, pages, _ = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            return int(pages)

        limit = WAL_PAGES if pages is None else pages
        try:
            if await self._checkpointer.call(checkpoint, check, "PASSIVE") > limit:
                await self._writer.call(checkpoint, writer, "TRUNCATE")
        except sqlite3.Error as error:
            log.warning("WAL not checkpointed", error=str(error))
        except Exception:
            log.exception("WAL not checkpointed")
        finally:
            self._checkpoint = None


def _is_full(error: sqlite3.OperationalError) -> bool:
    """Tell whether the disk is full. What Python's module raises by itself has no code."""
    return getattr(error, "sqlite_errorcode", None) in FULL


def _boot_id() -> str:
    """Return what identifies this start of the machine (proc(5), `boot_id`), where that can't be told a new id."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return secrets.token_hex(8)
