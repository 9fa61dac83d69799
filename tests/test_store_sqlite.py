"""What is SQLite's own: one process, migrations, damage, the log, and files that go away."""

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clients import eventually
from factories import FENCE, POOL, accept, append, finished, ids, lease, make_task, output_event, save, seqs
from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.storage import MIGRATIONS, SqliteStore, StaleFence, sqlite_database, sqlite_schema


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "data", full=False)
    await made.open()
    await lease(made)
    yield made
    await made.close()


async def test_it_outlives_its_process(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, full=True)
    assert store.durable
    epoch = await store.open()
    await lease(store)
    task = await finished(store, "a")
    await store.close()
    store = SqliteStore(tmp_path, full=False)
    assert await store.open() == epoch
    assert await store.task("ann", "a") == task
    assert await seqs(store) == [1, 2, 3]
    assert (await store.last_seq("ann"), await store.last_seq("bob")) == (3, 0)
    await finished(store, "b")
    assert await seqs(store) == [1, 2, 3, 4, 5, 6]
    await store.close()


def test_to_open_a_database_writes_nothing_into_it(tmp_path: Path) -> None:
    """Whoever only reads would wait for the disk, and for whoever writes."""
    database = tmp_path / "xinflight.db"
    with closing(sqlite_schema.connect(database, full=False, busy_timeout=1.0)) as connection:
        sqlite_schema.migrate(connection, database)
        before = database.with_name("xinflight.db-wal").stat().st_size
        with closing(sqlite_schema.connect(database, full=False, busy_timeout=1.0)) as another:
            assert another.execute("PRAGMA auto_vacuum").fetchone()[0] == sqlite_schema.INCREMENTAL
        assert database.with_name("xinflight.db-wal").stat().st_size == before


async def test_a_batch_is_stored_whole_or_not_at_all(sqlite: SqliteStore) -> None:
    first, second, double = make_task("a"), make_task("b"), make_task("c")
    double.uid = first.uid
    await sqlite.commit([accept(first)])
    with pytest.raises(StorageUnavailable, match="UNIQUE"):
        # The same uid again can't be stored.
        await sqlite.commit([accept(second), append(second, output_event(second)), accept(double)])
    assert await sqlite.task("ann", "b") is None
    assert await seqs(sqlite) == [1]
    await sqlite.commit([accept(second)])
    assert await seqs(sqlite) == [1, 2], "what was not stored took no seq"


async def test_a_closed_store_is_unavailable(sqlite: SqliteStore) -> None:
    await sqlite.close()
    with pytest.raises(StorageUnavailable):
        await sqlite.task("ann", "a")
    with pytest.raises(StorageUnavailable):
        await sqlite.lease(POOL)
    with pytest.raises(StorageUnavailable):
        await sqlite.commit([accept(make_task())])


async def test_fences_rise_from_process_to_process(sqlite: SqliteStore, tmp_path: Path) -> None:
    """Whoever ran a pool before the last start can write nothing of it any more."""
    task = make_task()
    await sqlite.commit([accept(task)])
    await sqlite.close()
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    assert [await store.lease(POOL), await store.lease(POOL)] == [FENCE + 1, FENCE + 2]
    for stale in (FENCE, FENCE + 1):
        with pytest.raises(StaleFence):
            await store.commit([save(task, stale)])
    await store.commit([save(task, FENCE + 2)])
    await store.close()


@pytest.mark.process
async def test_a_second_process_names_the_first(sqlite: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=rf"in use by process {os.getpid()}\. .*--data-dir"):
        await SqliteStore(tmp_path / "data", full=False).open()
    script = (
        "import asyncio, pathlib, sys; from xinflight.storage import SqliteStore; "
        "asyncio.run(SqliteStore(pathlib.Path(sys.argv[1]), full=False).open())"
    )
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path / "data")), stderr=asyncio.subprocess.PIPE
    )
    _, said = await second.communicate()
    assert f"in use by process {os.getpid()}" in said.decode()
    # It harmed nothing.
    task = make_task()
    await sqlite.commit([accept(task)])


async def test_the_lock_of_a_closed_or_failed_one_is_free(tmp_path: Path) -> None:
    (tmp_path / "xinflight.db").write_bytes(b"not a database, " * 100)
    store = SqliteStore(tmp_path, full=False)
    with pytest.raises(StoreUnusable):
        await store.open()
    (tmp_path / "xinflight.db").unlink()
    for _ in range(2):
        store = SqliteStore(tmp_path, full=False)
        await store.open()
        await store.close()


async def test_an_older_schema_is_copied_and_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path, full=False)
    epoch = await store.open()
    await lease(store)
    task = await finished(store, "a")
    await store.close()
    more = "ALTER TABLE tasks ADD COLUMN colour TEXT; UPDATE tasks SET colour = 'red';"
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", [*MIGRATIONS, more])
    store = SqliteStore(tmp_path, full=False)
    assert await store.open() == epoch
    assert await store.task("ann", "a") == task
    await finished(store, "b")
    await store.close()
    with closing(sqlite3.connect(tmp_path / "xinflight.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        assert connection.execute("SELECT colour FROM tasks ORDER BY number").fetchall() == [("red",), (None,)]
    copy = tmp_path / f"xinflight.before-{len(MIGRATIONS) + 1}.db"
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("SELECT task_id FROM tasks").fetchall() == [("a",)]


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await lease(store)
    task = await finished(store, "a")
    await store.close()
    with monkeypatch.context() as patch:
        bad = "ALTER TABLE tasks ADD COLUMN colour TEXT; DROP TABLE no_such_table;"
        patch.setattr(sqlite_schema, "MIGRATIONS", [*MIGRATIONS, bad])
        with pytest.raises(StoreUnusable, match="no such table"):
            await SqliteStore(tmp_path, full=False).open()
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    assert await store.task("ann", "a") == task
    await store.close()


async def test_a_newer_schema_is_refused_clearly(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(tmp_path / "xinflight.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreUnusable, match=rf"newer xinflight \(schema 99, known here: {len(MIGRATIONS)}\)"):
        await SqliteStore(tmp_path, full=False).open()
    with closing(sqlite3.connect(tmp_path / "xinflight.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


def damage_header(path: Path) -> None:
    path.write_bytes(b"This is no database at all. " * 50)


def damage_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_header, damage_pages])
async def test_a_damaged_database_says_what_to_move(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "data"
    store = SqliteStore(folder, full=False)
    await store.open()
    await lease(store)
    await finished(store, "a")
    await store.close()
    damage(folder / "xinflight.db")
    with pytest.raises(StoreUnusable, match="damaged") as raised:
        await SqliteStore(folder, full=False).open()
    move = str(raised.value).partition(": ")[2]
    assert move == f"mv {folder} {folder}.damaged"
    os.rename(*move.split()[1:])
    store = SqliteStore(folder, full=False)
    await store.open()
    assert await ids(store) == []
    await store.close()


async def test_another_program_on_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_database, "BUSY_TIMEOUT", 0.05)
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(tmp_path / "xinflight.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnusable, match="in use by another program"):
            await SqliteStore(tmp_path, full=False).open()
        other.rollback()
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await store.close()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that nobody can write to, root neither."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        yield folder
        folder.chmod(stat.S_IRWXU)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "xinflight-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("no read-only folder can be made here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_read_only_folder_says_what_to_do(read_only: Path) -> None:
    for folder in (read_only, read_only / "data"):
        with pytest.raises(StoreUnusable, match=r"can't be used .*permissions.*--data-dir"):
            await SqliteStore(folder, full=False).open()


async def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(StoreUnusable, match="can't be used"):
        await SqliteStore(tmp_path / "data", full=False).open()
    assert (tmp_path / "data").read_text() == "mine"


async def test_a_log_that_grew_long_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of another program, like a backup, keeps the log from beginning anew; then it is cut off."""
    monkeypatch.setattr(sqlite_database, "CHECKPOINT", 20)
    monkeypatch.setattr(sqlite_database, "WAL_PAGES", 100)
    monkeypatch.setattr(sqlite_database, "BUSY_TIMEOUT", 0.01)
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    await lease(store)
    log = tmp_path / "xinflight.db-wal"
    with closing(sqlite3.connect(tmp_path / "xinflight.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM tasks").fetchall()
        for number in range(100):
            await finished(store, f"t{number}")
        grown = os.stat(log).st_size
        assert grown > 1000 * 4096
        reader.rollback()
    await eventually(lambda: store._database._checkpoint is None)
    for number in range(100, 110):
        await finished(store, f"t{number}")
    await eventually(lambda: store._database._checkpoint is None)
    assert os.stat(log).st_size < grown / 4, "no more than the last ten wrote"
    assert len(await ids(store, limit=1000)) == 110
    await store.close()
    assert log.name not in os.listdir(tmp_path), "all of it is folded in at the end"


@pytest.mark.parametrize(("full", "next_seq"), [(False, 1_000_002), (True, 2)])
async def test_after_a_power_failure_no_seq_is_drawn_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool, next_seq: int
) -> None:
    """Commits that are not synced may be lost with the machine, and a client may have seen their events."""
    boot = tmp_path / "boot"
    monkeypatch.setattr(sqlite_database, "BOOT_ID", boot)
    seqs_seen = []
    for start in ("first", "first", "second"):
        boot.write_text(start)
        store = SqliteStore(tmp_path / "data", full=full)
        await store.open()
        seqs_seen.append(await store.last_seq("ann"))
        if not seqs_seen[-1]:
            await store.commit([accept(make_task("a"))])
        elif start == "second":
            await store.commit([accept(make_task("b"))])
            seqs_seen.append(await store.last_seq("ann"))
        await store.close()
    assert seqs_seen == [0, 1, next_seq - 1, next_seq]
