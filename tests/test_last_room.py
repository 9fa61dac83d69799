"""The last room of a full disk: for whoever deletes something, and for the ends of what was accepted before."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factories import accept, append, draw, end, finished, ids, lease, make_task, result
from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.storage import SqliteStore, sqlite_database, sqlite_schema
from xinflight.storage.spare_file import SPARE_BYTES, SpareFile


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteStore]:
    """Give the store of a folder; it is closed at the end."""
    store = SqliteStore(folder, full=False)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path) as store:
        await lease(store)
        yield store


class Disk:
    """A disk without room for one page of the database more than there is, but for the spare file."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = store._database._write
        assert connection is not None
        self._connection = connection
        self._use = SpareFile.use
        monkeypatch.setattr(SpareFile, "use", lambda spare: self._used(spare))
        monkeypatch.setattr(SpareFile, "make", lambda spare: None)

    def _used(self, spare: SpareFile) -> bool:
        used = self._use(spare)
        if used:
            self.empty()
        return used

    def fill(self) -> None:
        pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
        self._connection.execute(f"PRAGMA max_page_count = {pages}")

    def empty(self) -> None:
        self._connection.execute("PRAGMA max_page_count = 1000000")


async def test_what_grows_does_not_take_the_last_room(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once something else has taken it, nothing is accepted before it is there again."""
    await asyncio.to_thread(SpareFile(tmp_path / "xinflight.spare").make)
    running = make_task("runs")
    await store.commit([accept(running)])
    old = await finished(store, "old")
    disk = Disk(store, monkeypatch)
    disk.fill()
    long = make_task("long", prompt="boat " * 1000)
    with pytest.raises(StorageUnavailable, match="full"):
        await store.commit([accept(long)])
    assert (tmp_path / "xinflight.spare").stat().st_size == SPARE_BYTES
    draw(running)
    end(running)
    running.metadata = "boat " * 1000
    await store.commit([append(running, result(running))])
    assert not (tmp_path / "xinflight.spare").exists()
    with pytest.raises(StorageUnavailable, match="full"):
        await store.commit([accept(long)])
    await store.delete(old.uid)
    monkeypatch.undo()
    await store.commit([accept(long)])
    assert await ids(store) == ["long", "runs"]
    assert (tmp_path / "xinflight.spare").stat().st_size == SPARE_BYTES


async def test_a_store_that_is_written_to_keeps_some_room(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "CHECKPOINT", 1)
    assert not (tmp_path / "xinflight.spare").exists()
    await finished(store, "a")
    await store._database.truncate_wal()
    assert (tmp_path / "xinflight.spare").stat().st_mode & 0o777 == 0o600
    made = (tmp_path / "xinflight.spare").stat().st_mtime_ns
    await store._database.truncate_wal()
    assert (tmp_path / "xinflight.spare").stat().st_mtime_ns == made


async def test_a_restart_does_not_open_a_full_disk_to_new_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier process has used up is still missing; with room, it is there from the second start on."""
    free = 0
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=free, f_frsize=SPARE_BYTES))
    async with opened(tmp_path) as first:
        await lease(first)
        old = await finished(first, "old")
    async with opened(tmp_path) as second:
        with pytest.raises(StorageUnavailable, match="full"):
            await second.commit([accept(make_task("new"))])
        await second.delete(old.uid)
    free = 2
    async with opened(tmp_path) as third:
        assert (tmp_path / "xinflight.spare").stat().st_size == SPARE_BYTES
        await third.commit([accept(make_task("new"))])


async def test_a_server_starts_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the index of the WAL has room; the last room is enough for that, and for who deletes something."""
    async with opened(tmp_path) as first:
        await lease(first)
        old = await finished(first, "old")
    spare = tmp_path / "xinflight.spare"
    await asyncio.to_thread(SpareFile(spare).make)
    connect = sqlite_schema.connect

    def connect_on_a_full_disk(path: Path, **options: Any) -> sqlite3.Connection:
        if spare.exists():
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
            raise error
        return connect(path, **options)

    monkeypatch.setattr(sqlite_database, "connect", connect_on_a_full_disk)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=1, f_frsize=SPARE_BYTES))
    async with opened(tmp_path) as second:
        assert await ids(second) == ["old"]
        with pytest.raises(StorageUnavailable, match="full"):
            await second.commit([accept(make_task("new"))])
        await second.delete(old.uid)


async def test_a_database_that_can_not_be_opened_costs_no_room(tmp_path: Path) -> None:
    """Only a full disk does: here tables are missing."""
    spare = tmp_path / "xinflight.spare"
    await asyncio.to_thread(SpareFile(spare).make)
    database = sqlite3.connect(tmp_path / "xinflight.db")
    database.execute(f"PRAGMA user_version = {len(sqlite_schema.MIGRATIONS) - 1}")
    database.close()
    with pytest.raises(StoreUnusable):
        await SqliteStore(tmp_path, full=False).open()
    assert spare.exists()


def test_a_disk_that_is_almost_full_is_not_filled_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that are being written would find no room while it is tried."""
    free = 2 * SPARE_BYTES // 4096
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=free, f_frsize=4096))
    spare = SpareFile(tmp_path / "xinflight.spare")
    free -= 1
    spare.make()
    assert not spare.use()
    assert spare.restored(), "there was none to give away"
    free += 1
    spare.make()
    assert spare.use()
    free -= 1
    assert not spare.restored()
    free += 1
    assert spare.restored()
