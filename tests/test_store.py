"""The contract of the store, held against every implementation; then what is SQLite's own."""

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

from kept import accepted, cancelled, draw, end, make_task, picture, progress, result, write
from kit import eventually
from xinflight import store_sqlite, store_sqlite_schema
from xinflight.errors import StorageUnavailable, StoreUnusable
from xinflight.protocol import State
from xinflight.store import Event, EventMessage, Store, Write
from xinflight.store_memory import MemoryStore
from xinflight.store_sqlite import SEQ_JUMP, SqliteStore
from xinflight.store_sqlite_schema import MIGRATIONS
from xinflight.task import Task

EVERY_STATE = set(State)
MANY = 10**9


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Give each implementation in turn, open."""
    made: Store = MemoryStore(1000) if request.param == "memory" else SqliteStore(tmp_path / "data", full=False)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "data", full=False)
    await made.open()
    yield made
    await made.close()


async def finished(
    store: Store, task_id: str, seq: int, *, at: float = 1010.0, size: int = 100, owner: str = "ann"
) -> Task:
    """Keep a whole life of a task: seqs `seq` to `seq` + 2."""
    task = make_task(task_id, owner)
    await store.commit([write(task, seq, accepted(task))])
    draw(task, size)
    end(task, at=at)
    await store.commit([write(task, seq + 1, picture(task)), write(task, seq + 2, result(task))])
    return task


async def ids(store: Store, owner: str = "ann", **query: object) -> list[str]:
    wanted = {"before": None, "limit": 100, "states": EVERY_STATE, **query}
    return [row.task.task_id for row in await store.tasks(owner, **wanted)]  # type: ignore[arg-type]


async def seqs(store: Store, owner: str = "ann", **query: object) -> list[int]:
    wanted = {"after": 0, "upto": 10**12, "uids": None, "limit": 1000, **query}
    return [event.seq for event in await store.events(owner, **wanted)]  # type: ignore[arg-type]


# Tasks


async def test_what_is_committed_is_found(store: Store) -> None:
    task = make_task()
    await store.commit([write(task, 1, accepted(task))])
    assert await store.task("ann", "a") == task
    assert await store.task("ann", "b") is None
    assert await store.task("bob", "a") is None


async def test_what_is_found_is_a_copy(store: Store) -> None:
    """Later moves of a task, or of what was found, do not reach into the store."""
    task = make_task()
    await store.commit([write(task, 1, accepted(task))])
    task.state = State.STARTING
    task.jobs[0].attempt = 3
    found = await store.task("ann", "a")
    assert found is not None
    assert (found.state, found.jobs[0].attempt) == (State.QUEUED, 0)
    found.jobs[0].attempt = 9
    again = await store.task("ann", "a")
    assert again is not None
    assert again.jobs[0].attempt == 0


async def test_a_write_without_an_event_keeps_the_task(store: Store) -> None:
    task = make_task()
    await store.commit([write(task, 1, accepted(task))])
    task.cancelled_at = 1003.5
    await store.commit([Write(task=task, event=None)])
    found = await store.task("ann", "a")
    assert found is not None
    assert found.cancelled_at == 1003.5
    assert await seqs(store) == [1]


async def test_a_batch_keeps_all_of_many_owners(store: Store) -> None:
    ann, bob = make_task("a", "ann"), make_task("a", "bob")
    await store.commit([write(ann, 5, accepted(ann)), write(bob, 5, accepted(bob)), write(ann, 6, picture(ann))])
    assert (await seqs(store), await seqs(store, "bob")) == ([5, 6], [5])
    assert (await store.task("bob", "a")) == bob


async def test_everything_of_a_task_comes_back(store: Store) -> None:
    task = await finished(store, "a", 1)
    task.metadata = {"album": [1, "b", None, 2.5]}
    task.lang = "zh-CN"
    await store.commit([Write(task=task, event=None)])
    assert await store.task("ann", "a") == task


async def test_tasks_come_newest_first_in_pages(store: Store) -> None:
    for number in range(5):
        await finished(store, f"t{number}", 1 + 3 * number)
    await finished(store, "other", 1, owner="bob")
    assert await ids(store) == ["t4", "t3", "t2", "t1", "t0"]
    page = await store.tasks("ann", before=None, limit=2, states=EVERY_STATE)
    assert [row.task.task_id for row in page] == ["t4", "t3"]
    assert await ids(store, before=page[-1].number, limit=2) == ["t2", "t1"]
    assert page[0].number > page[1].number
    assert await ids(store, "nobody") == []


async def test_a_task_that_moves_on_keeps_its_place(store: Store) -> None:
    first, second = make_task("first"), make_task("second")
    await store.commit([write(first, 1, accepted(first)), write(second, 2, accepted(second))])
    first.state = State.RUNNING
    await store.commit([Write(task=first, event=None)])
    assert await ids(store) == ["second", "first"]


async def test_tasks_by_state(store: Store) -> None:
    await finished(store, "done", 1)
    waiting = make_task("waiting")
    await store.commit([write(waiting, 4, accepted(waiting))])
    gone = make_task("gone")
    await store.commit([write(gone, 5, accepted(gone))])
    end(gone, State.CANCELLED)
    await store.commit([write(gone, 6, cancelled(gone))])
    assert await ids(store, states={State.COMPLETED}) == ["done"]
    assert await ids(store, states={State.QUEUED, State.RUNNING}) == ["waiting"]
    assert await ids(store, states={State.CANCELLED, State.COMPLETED}) == ["gone", "done"]
    assert await ids(store, states=set()) == []


# Events


async def test_events_between_two_seqs_in_order(store: Store) -> None:
    for number in range(4):
        await finished(store, f"t{number}", 1 + 10 * number)
    assert await seqs(store) == [1, 2, 3, 11, 12, 13, 21, 22, 23, 31, 32, 33]
    assert await seqs(store, after=2, upto=12) == [3, 11, 12]
    assert await seqs(store, after=33) == []
    assert await seqs(store, after=2, limit=3) == [3, 11, 12]
    assert await seqs(store, "bob") == []


async def test_events_of_some_tasks(store: Store) -> None:
    first = await finished(store, "a", 1)
    second = await finished(store, "b", 4)
    foreign = await finished(store, "c", 1, owner="bob")
    assert await seqs(store, uids=[second.uid]) == [4, 5, 6]
    assert await seqs(store, uids=[second.uid, first.uid], after=1, upto=5) == [2, 3, 4, 5]
    assert await seqs(store, uids=[second.uid, second.uid]) == [4, 5, 6]
    assert await seqs(store, uids=[]) == []
    assert await seqs(store, uids=[foreign.uid]) == [], "another owner's"
    many = [f"no-such-{i}" for i in range(2500)]
    assert await seqs(store, uids=[*many, first.uid, *many, second.uid], limit=4) == [1, 2, 3, 4]


async def test_an_event_comes_back_as_it_was(store: Store) -> None:
    task = make_task()
    task.lang = "zh-CN"
    draw(task)
    messages: list[EventMessage] = [accepted(task), picture(task), result(task), cancelled(task), progress(task, 5)]
    await store.commit([write(task, seq, message) for seq, message in enumerate(messages, 1)])
    found = await store.events("ann", after=0, upto=99, uids=None, limit=99)
    assert [event.message for event in found] == messages
    assert found[0] == Event(owner="ann", uid=task.uid, seq=1, lang="zh-CN", message=messages[0])


# Forgetting


async def test_delete(store: Store) -> None:
    task = await finished(store, "a", 1)
    kept = await finished(store, "b", 4)
    assert await store.floor("ann") == 0
    await store.delete(task.uid)
    assert await ids(store) == ["b"]
    assert await seqs(store) == [4, 5, 6]
    assert await store.task("ann", "a") is None
    assert await store.floor("ann") == 3, "there is a gap below"
    assert await store.floor("bob") == 0
    await store.delete(task.uid)
    await store.delete("no such uid")
    assert await store.picture_ids() == {kept.jobs[0].picture_id}
    # Its id is free again.
    await finished(store, "a", 7)
    assert await ids(store) == ["a", "b"]


async def test_prune_by_bytes_takes_the_oldest_ended(store: Store) -> None:
    unfinished = make_task("unfinished")
    await store.commit([write(unfinished, 1, accepted(unfinished))])
    await finished(store, "late", 2, at=3000.0, size=4_000_000)
    await finished(store, "early", 5, at=1000.0, size=5_000_000)
    await finished(store, "middle", 8, at=2000.0, size=6_000_000)
    assert await store.prune(keep_bytes=15_010_000, keep_tasks=MANY, ended_before=0.0) == []
    gone = await store.prune(keep_bytes=10_010_000, keep_tasks=MANY, ended_before=0.0)
    assert [task.task_id for task in gone] == ["early"]
    assert await store.prune(keep_bytes=10_010_000, keep_tasks=MANY, ended_before=0.0) == []
    gone = await store.prune(keep_bytes=9_999_999, keep_tasks=MANY, ended_before=0.0)
    assert [task.task_id for task in gone] == ["middle"]
    assert await ids(store) == ["late", "unfinished"]


async def test_prune_counts_prompts_and_events_too(store: Store) -> None:
    """A task without a picture takes what its prompt takes: in the task, and in its first event."""
    for number in range(4):
        task = make_task(f"t{number}", prompt="x" * 40_000)
        await store.commit([write(task, 1 + 2 * number, accepted(task))])
        end(task, State.CANCELLED, at=1000.0 + number)
        await store.commit([write(task, 2 + 2 * number, cancelled(task))])
    assert await store.prune(keep_bytes=330_000, keep_tasks=MANY, ended_before=0.0) == []
    assert len(await store.prune(keep_bytes=239_999, keep_tasks=MANY, ended_before=0.0)) == 2
    assert await ids(store) == ["t3", "t2"]


async def test_prune_by_number(store: Store) -> None:
    for number in range(5):
        await finished(store, f"t{number}", 1 + 3 * number, at=1000.0 + number)
    unfinished = make_task("unfinished")
    await store.commit([write(unfinished, 99, accepted(unfinished))])
    assert await store.prune(keep_bytes=MANY, keep_tasks=5, ended_before=0.0) == []
    gone = await store.prune(keep_bytes=MANY, keep_tasks=2, ended_before=0.0)
    assert [task.task_id for task in gone] == ["t0", "t1", "t2"]
    assert await ids(store) == ["unfinished", "t4", "t3"]


async def test_prune_by_age_and_the_floor(store: Store) -> None:
    await finished(store, "early", 1, at=1000.0)
    await finished(store, "middle", 11, at=2000.0)
    await finished(store, "late", 21, at=3000.0)
    await finished(store, "foreign", 1, at=1000.0, owner="bob")
    gone = await store.prune(keep_bytes=10**9, keep_tasks=MANY, ended_before=2500.0)
    assert {task.task_id for task in gone} == {"early", "middle", "foreign"}
    assert await store.prune(keep_bytes=10**9, keep_tasks=MANY, ended_before=2500.0) == []
    assert await ids(store) == ["late"]
    assert (await store.floor("ann"), await store.floor("bob")) == (13, 3)
    assert await seqs(store) == [21, 22, 23]


async def test_prune_takes_a_hundred_at_most(store: Store) -> None:
    for number in range(120):
        await finished(store, f"t{number}", 1 + 3 * number, at=1000.0 + number)
    assert len(await store.prune(keep_bytes=0, keep_tasks=MANY, ended_before=0.0)) == 100
    assert len(await store.prune(keep_bytes=0, keep_tasks=MANY, ended_before=0.0)) == 20
    assert await store.prune(keep_bytes=0, keep_tasks=MANY, ended_before=0.0) == []
    assert await ids(store) == []


# Pictures, leases


async def test_picture_ids_are_those_that_are_recorded(store: Store) -> None:
    done = await finished(store, "a", 1)
    waiting = make_task("b")
    await store.commit([write(waiting, 4, accepted(waiting))])
    assert await store.picture_ids() == {done.jobs[0].picture_id}


async def test_claim_gives_the_unfinished_in_their_order(store: Store) -> None:
    first, second = make_task("first"), make_task("second", "bob")
    await store.commit([write(first, 1, accepted(first))])
    await finished(store, "done", 2)
    await store.commit([write(second, 1, accepted(second))])
    first.state = State.RUNNING
    await store.commit([Write(task=first, event=None)])
    claimed = await store.claim("runner", 5000.0)
    assert [task.task_id for task in claimed] == ["first", "second"]
    assert claimed[0].state is State.RUNNING
    await store.renew("runner", 6000.0)
    await store.release("runner")
    assert [task.task_id for task in await store.claim("another", 7000.0)] == ["first", "second"]
    end(first)
    await store.commit([write(first, 9, result(first))])
    assert [task.task_id for task in await store.claim("another", 7000.0)] == ["second"]


async def test_close_is_safe_twice(store: Store) -> None:
    await store.close()
    await store.close()


# Memory


async def test_memory_forgets_the_oldest_ended() -> None:
    store = MemoryStore(2)
    epoch = await store.open()
    unfinished = make_task("unfinished")
    await store.commit([write(unfinished, 1, accepted(unfinished))])
    for number in range(4):
        await finished(store, f"t{number}", 2 + 3 * number)
    assert await ids(store) == ["t3", "t2", "unfinished"]
    assert await store.floor("ann") == 7
    assert await seqs(store) == [1, 8, 9, 10, 11, 12, 13]
    assert await MemoryStore(2).open() != epoch
    assert not store.durable


# SQLite


async def test_it_outlives_its_process(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, full=True)
    assert store.durable
    epoch = await store.open()
    task = await finished(store, "a", 1)
    await store.close()
    store = SqliteStore(tmp_path, full=False)
    assert await store.open() == epoch
    assert await store.task("ann", "a") == task
    assert await seqs(store) == [1, 2, 3]
    assert await store.last_seq("ann") == 3 + SEQ_JUMP
    assert await store.last_seq("bob") == 0
    await store.close()
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    assert await store.last_seq("ann") == 3 + 2 * SEQ_JUMP, "what was shown after the first jump is below"
    await store.close()


async def test_a_batch_is_kept_whole_or_not_at_all(sqlite: SqliteStore) -> None:
    first, second = make_task("a"), make_task("b")
    await sqlite.commit([write(first, 1, accepted(first))])
    with pytest.raises(StorageUnavailable, match="UNIQUE"):
        # The same seq again can't be kept.
        await sqlite.commit([write(second, 2, accepted(second)), write(second, 1, picture(second))])
    assert await sqlite.task("ann", "b") is None
    assert await seqs(sqlite) == [1]
    await sqlite.commit([write(second, 2, accepted(second))])


async def test_a_closed_store_is_unavailable(sqlite: SqliteStore) -> None:
    await sqlite.close()
    with pytest.raises(StorageUnavailable):
        await sqlite.task("ann", "a")
    with pytest.raises(StorageUnavailable):
        await sqlite.release("runner")


async def test_leases_are_written_down(sqlite: SqliteStore, tmp_path: Path) -> None:
    """The columns are there for a store of many processes; here they are for who looks into the file."""
    task = make_task()
    await sqlite.commit([write(task, 1, accepted(task))])

    def lease() -> tuple[str | None, float | None]:
        with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as connection:
            row: tuple[str | None, float | None] = connection.execute(
                "SELECT runner, lease_until FROM tasks"
            ).fetchone()
            return row

    await sqlite.claim("me", 100.0)
    assert lease() == ("me", 100.0)
    await sqlite.renew("somebody else", 300.0)
    await sqlite.renew("me", 200.0)
    assert lease() == ("me", 200.0)
    await sqlite.release("somebody else")
    assert lease() == ("me", 200.0)
    await sqlite.release("me")
    assert lease() == (None, None)


@pytest.mark.process
async def test_a_second_process_names_the_first(sqlite: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=rf"in use by process {os.getpid()}\. .*--data-dir"):
        await SqliteStore(tmp_path / "data", full=False).open()
    script = (
        "import asyncio, pathlib, sys; from xinflight.store_sqlite import SqliteStore; "
        "asyncio.run(SqliteStore(pathlib.Path(sys.argv[1]), full=False).open())"
    )
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path / "data")), stderr=asyncio.subprocess.PIPE
    )
    _, said = await second.communicate()
    assert f"in use by process {os.getpid()}" in said.decode()
    # It harmed nothing.
    task = make_task()
    await sqlite.commit([write(task, 1, accepted(task))])


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
    task = await finished(store, "a", 1)
    await store.close()
    more = "ALTER TABLE tasks ADD COLUMN colour TEXT; UPDATE tasks SET colour = 'red';"
    monkeypatch.setattr(store_sqlite_schema, "MIGRATIONS", [*MIGRATIONS, more])
    store = SqliteStore(tmp_path, full=False)
    assert await store.open() == epoch
    assert await store.task("ann", "a") == task
    await finished(store, "b", 4)
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
    task = await finished(store, "a", 1)
    await store.close()
    with monkeypatch.context() as patch:
        bad = "ALTER TABLE tasks ADD COLUMN colour TEXT; DROP TABLE no_such_table;"
        patch.setattr(store_sqlite_schema, "MIGRATIONS", [*MIGRATIONS, bad])
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
    await finished(store, "a", 1)
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
    monkeypatch.setattr(store_sqlite, "BUSY_TIMEOUT", 0.05)
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
    monkeypatch.setattr(store_sqlite, "CHECKPOINT", 20)
    monkeypatch.setattr(store_sqlite, "LOG_PAGES", 100)
    monkeypatch.setattr(store_sqlite, "BUSY_TIMEOUT", 0.01)
    store = SqliteStore(tmp_path, full=False)
    await store.open()
    log = tmp_path / "xinflight.db-wal"
    with closing(sqlite3.connect(tmp_path / "xinflight.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM tasks").fetchall()
        for number in range(100):
            await finished(store, f"t{number}", 1 + 3 * number)
        grown = os.stat(log).st_size
        assert grown > 1000 * 4096
        reader.rollback()
    await eventually(lambda: store._checkpoint is None)
    for number in range(100, 110):
        await finished(store, f"t{number}", 1 + 3 * number)
    await eventually(lambda: store._checkpoint is None)
    assert os.stat(log).st_size < grown / 4, "no more than the last ten wrote"
    assert len(await ids(store, limit=1000)) == 110
    await store.close()
    assert log.name not in os.listdir(tmp_path), "all of it is folded in at the end"
