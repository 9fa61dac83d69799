"""SQLite: rows that can't be read, files that are taken away, and what counts towards a checkpoint."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clients import eventually
from factories import MANY, POOL, accept, finished, ids, lease, make_task, seqs
from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.model import Event
from xinflight.protocol import State
from xinflight.storage import SqliteStore, sqlite_database
from xinflight.storage.sqlite_database import SqliteDatabase
from xinflight.storage.worker_thread import WorkerThread


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "data", full=False)
    await made.open()
    await lease(made)
    yield made
    await made.close()


# What was damaged, or taken away


def tamper(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "xinflight.db")) as connection:
        connection.execute(statement, values)
        connection.commit()


DAMAGES = [b"\xc1", b"\x81\xa3uid\xa1\xff", b"", "a text", b"\x80"]


@pytest.mark.parametrize("bad", DAMAGES)
@pytest.mark.parametrize("state", ["ended", "unfinished"])
async def test_an_unreadable_task_is_set_aside(tmp_path: Path, bad: object, state: str) -> None:
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await lease(store)
    good = await finished(store, "good")
    spoilt = await finished(store, "spoilt")
    waiting = make_task("waiting")
    await store.commit([accept(waiting)])
    await store.close()
    tamper(tmp_path, "UPDATE tasks SET body = ? WHERE task_id = 'spoilt'", bad)
    if state == "unfinished":
        tamper(tmp_path, "UPDATE tasks SET ended_at = NULL WHERE task_id = 'spoilt'")
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    assert [task.task_id for task in await store.unfinished(POOL)] == ["waiting"]
    assert await store.output_ids() == {good.outputs[0].output_id, waiting.outputs[0].output_id}
    assert await ids(store) == ["waiting", "good"]
    assert await store.task("ann", "spoilt") is None
    assert await seqs(store) == [1, 2, 3, 7]
    assert await store.trimmed_to("ann") == 6
    # Its id can be used again.
    await finished(store, "spoilt")
    await store.close()
    with closing(sqlite3.connect(tmp_path / "xinflight.db")) as connection:
        assert connection.execute("SELECT uid, task_id, body FROM unreadable").fetchall() == [
            (spoilt.uid, "spoilt", bad)
        ]


@pytest.mark.parametrize("ask", ["task", "tasks", "prune"])
async def test_an_unreadable_task_is_set_aside_by_whoever_meets_it(
    sqlite: SqliteStore, tmp_path: Path, ask: str
) -> None:
    await finished(sqlite, "good", at=2000.0)
    await finished(sqlite, "spoilt", at=1000.0)
    tamper(tmp_path / "data", "UPDATE tasks SET body = x'c1' WHERE task_id = 'spoilt'")
    if ask == "task":
        assert await sqlite.task("ann", "spoilt") is None
    elif ask == "prune":
        assert await sqlite.prune(keep_bytes=MANY, keep_tasks=MANY, ended_before=1500.0) == []
    assert await ids(sqlite) == ["good"]
    assert await ids(sqlite, states={State.COMPLETED}) == ["good"]


@pytest.mark.parametrize("bad", DAMAGES)
async def test_the_id_of_an_unreadable_task_can_be_used_again(
    sqlite: SqliteStore, tmp_path: Path, bad: object
) -> None:
    """By whoever comes first, although nobody has met the damage: the others of the batch are stored as well."""
    spoilt = await finished(sqlite, "spoilt")
    tamper(tmp_path / "data", "UPDATE tasks SET body = ? WHERE task_id = 'spoilt'", bad)
    again, other = make_task("spoilt"), make_task("other")
    assert [isinstance(outcome, Event) for outcome in await sqlite.commit([accept(again), accept(other)])] == [
        True
    ] * 2
    assert await ids(sqlite) == ["other", "spoilt"]
    assert (await sqlite.task("ann", "spoilt")) == again
    with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as connection:
        assert connection.execute("SELECT uid FROM unreadable").fetchall() == [(spoilt.uid,)]


@pytest.mark.parametrize("bad", DAMAGES)
async def test_an_unreadable_event_is_a_gap(sqlite: SqliteStore, tmp_path: Path, bad: object) -> None:
    first = await finished(sqlite, "a")
    await finished(sqlite, "b")
    tamper(tmp_path / "data", "UPDATE events SET body = ? WHERE seq = 2", bad)
    assert await seqs(sqlite, uids=[first.uid]) == [1, 3]
    assert await seqs(sqlite, limit=3) == [1, 3, 4], "a page is full while there is more"
    assert await sqlite.trimmed_to("ann") == 2
    assert await ids(sqlite) == ["b", "a"]


@pytest.mark.parametrize("pattern", [b"CREATE TABLE tasks", b"CREATE TABLE owners"])
async def test_a_schema_that_is_no_text_is_damaged(
    tmp_path: Path, pattern: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await store.close()
    path = tmp_path / "xinflight.db"
    path.write_bytes(path.read_bytes().replace(pattern, b"CREATE \xff\xfeBLE" + pattern[12:]))
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def note(*args: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*args, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", note)
    with pytest.raises(StoreUnusable, match="damaged"):
        await SqliteStore(tmp_path, full=False).open()
    (connection,) = connections
    # One that stays open is a warning wherever it is collected, so in some other test.
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def replace_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    for name in ("xinflight.db", "xinflight.db-wal"):
        (folder / name).touch()


def remove_log(folder: Path) -> None:
    (folder / "xinflight.db-wal").unlink()


@pytest.mark.parametrize("harm", [remove_folder, replace_folder, remove_log])
async def test_nothing_is_promised_once_the_files_are_gone(
    sqlite: SqliteStore, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    await finished(sqlite, "a")
    harm(tmp_path / "data")
    task = make_task("b")
    with pytest.raises(StorageUnavailable, match="deleted or replaced"):
        await sqlite.commit([accept(task)])
    with pytest.raises(StorageUnavailable, match="deleted or replaced"):
        await sqlite.delete("no such uid")


# Checkpoints


@pytest.mark.parametrize("verb", ["commit", "delete", "prune", "lease"])
async def test_whatever_writes_counts_towards_the_checkpoint(
    sqlite: SqliteStore, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [await finished(sqlite, f"t{number}") for number in range(20)]
    begun = asyncio.Event()
    checkpoint = SqliteDatabase._checkpoint_wal

    async def begin(self: SqliteDatabase, *connections: sqlite3.Connection) -> None:
        begun.set()
        await checkpoint(self, *connections)

    database = sqlite._database
    monkeypatch.setattr(SqliteDatabase, "_checkpoint_wal", begin)
    monkeypatch.setattr(sqlite_database, "CHECKPOINT", database._unchecked + 20)
    if verb == "commit":
        await sqlite.commit([accept(make_task(f"w{number}")) for number in range(20)])
    elif verb == "delete":
        for task in tasks:
            await sqlite.delete(task.uid)
    elif verb == "prune":
        await sqlite.prune(keep_bytes=0, keep_tasks=0, ended_before=0.0)
    else:
        for number in range(20):
            await sqlite.lease(f"pool {number}")
    await eventually(lambda: begun.is_set() and database._checkpoint is None)


async def test_a_checkpoint_that_fails_is_told_and_tried_again(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "CHECKPOINT", 1)
    told: list[str] = []
    monkeypatch.setattr(sqlite_database.log, "exception", lambda event, **_: told.append(event))
    database = sqlite._database
    worker, database._checkpointer = database._checkpointer, WorkerThread("closed")
    database._checkpointer.close()
    await finished(sqlite, "a")
    await eventually(lambda: told and database._checkpoint is None)
    database._checkpointer = worker
    await finished(sqlite, "b")
    await eventually(lambda: database._checkpoint is None)
    assert set(told) == {"WAL not checkpointed"}
