"""Backups of a data folder: one consistent point, never half of one under its name, small when little changed."""

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from factories import POOL, accept, append, draw, end, finished, lease, make_task, save
from xinflight.model import Task, output_message
from xinflight.protocol import OutputEvent, State
from xinflight.storage import Backup, BackupFailed, BackupReport, SqliteStore, backup, sqlite_backup
from xinflight.storage.sqlite_backup import copy_database

NOON = 1767268800.0
NAME = "2026-01-01T120000Z"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Give the store of a data folder that a server has open."""
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    yield store
    await store.close()


def path_of(folder: Path, task: Task, index: int = 0) -> Path:
    output_id = task.outputs[index].output_id
    return folder / "outputs" / output_id[:2] / output_id


async def drawn(store: SqliteStore, folder: Path, task_id: str, outputs: int = 1) -> Task:
    """Store a completed task with its files."""
    task = make_task(task_id, outputs=outputs)
    await store.commit([accept(task)])
    draw(task, len(task_id) * 100)
    end(task)
    await store.commit([append(task, output_message(task, output, 0.0)) for output in task.outputs])
    for index in range(outputs):
        path = path_of(folder, task, index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(task_id.encode() * 100)
    return task


def make(tmp_path: Path, now: float = NOON, keep: int | None = None) -> BackupReport:
    return Backup(tmp_path / "data", tmp_path / "backups", now, lambda *_: None).run(keep)


def while_copying(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Change the original after its database was copied, before its files are."""

    def copy(source: Path, target: Path, progress: backup.Progress) -> None:
        copy_database(source, target, lambda *_: None)
        change()

    monkeypatch.setattr(backup, "copy_database", copy)


async def ids(folder: Path) -> list[str]:
    """Return the ids of all tasks of a data folder."""
    with closing(sqlite3.connect(folder / "xinflight.db")) as database:
        return [task_id for (task_id,) in database.execute("SELECT task_id FROM tasks ORDER BY task_id")]


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "backups").iterdir() if path.name != ".lock")


async def test_a_backup_is_a_data_folder(store: SqliteStore, tmp_path: Path) -> None:
    """With all tasks, files, tokens and keys, for their owner only; a server starts on it, the original runs on."""
    folder = tmp_path / "data"
    task = await drawn(store, folder, "ab")
    (folder / "tokens.json").write_text("tokens")
    (folder / "session.key").write_text("key")
    (folder / "mine.txt").write_text("not ours")
    report = await asyncio.to_thread(make, tmp_path)
    assert (report.path.name, report.tasks, report.files, report.deleted, report.lacking) == (NAME, 1, 1, 0, 0)
    assert path_of(report.path, task).read_bytes() == b"ab" * 100
    files = {path.relative_to(report.path).as_posix() for path in report.path.rglob("*") if path.is_file()}
    assert files - {path_of(Path(), task).as_posix()} == {"session.key", "tokens.json", "xinflight.db"}
    for path in (report.path, *report.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    copy = SqliteStore(report.path, full=False)
    epoch = await copy.open()
    assert (await copy.task("ann", "ab")) == task
    await copy.close()
    await finished(store, "later")
    assert epoch != (await SqliteEpoch.of(folder)), "a cursor of the original would be taken for one of the copy"


class SqliteEpoch:
    """The epoch of a folder whose store may be open."""

    @staticmethod
    async def of(folder: Path) -> str:
        with closing(sqlite3.connect(folder / "xinflight.db")) as database:
            return str(database.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


async def test_a_server_that_writes_all_the_while(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit between two steps neither gets into the copy nor starts it afresh: that would never end."""
    monkeypatch.setattr(sqlite_backup, "PAGES_AT_ONCE", 1)
    await finished(store, "before")
    steps = []

    def copy() -> None:
        with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as writer:

            def write(done: int, total: int) -> None:
                steps.append((done, total))
                with writer:
                    writer.execute("INSERT INTO meta VALUES (?, 'later')", (f"step {len(steps)}",))

            copy_database(tmp_path / "data" / "xinflight.db", tmp_path / "copy.db", write)

    await asyncio.to_thread(copy)
    assert steps == [(done, len(steps)) for done in range(1, len(steps) + 1)]
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copied:
        assert copied.execute("SELECT count(*) FROM meta WHERE value = 'later'").fetchone() == (0,)
        assert copied.execute("SELECT count(*) FROM tasks").fetchone() == (1,)


async def test_what_waits_or_runs_gets_new_request_ids(store: SqliteStore, tmp_path: Path) -> None:
    """A server on the copy aborts what it finds of its earlier life: it must not find what the original runs."""
    task = make_task("a", outputs=2)
    await store.commit([accept(task)])
    task.outputs[0].state = State.RUNNING
    await store.commit([save(task)])
    report = await asyncio.to_thread(make, tmp_path)
    copy = SqliteStore(report.path, full=False)
    await copy.open()
    (found,) = await copy.unfinished(POOL)
    await copy.close()
    assert [output.state for output in found.outputs] == [State.RUNNING, State.QUEUED]
    assert not {output.request_id for output in found.outputs} & {output.request_id for output in task.outputs}


async def test_what_is_deleted_meanwhile_is_not_in_it(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a file of it that was copied just before."""
    folder = tmp_path / "data"
    gone, stays = await drawn(store, folder, "gone", outputs=2), await drawn(store, folder, "stays")
    loop = asyncio.get_running_loop()

    def delete() -> None:
        asyncio.run_coroutine_threadsafe(store.delete(gone.uid), loop).result()
        path_of(folder, gone, 1).unlink()

    while_copying(monkeypatch, delete)
    report = await asyncio.to_thread(make, tmp_path)
    assert (report.tasks, report.files, report.deleted, report.lacking) == (1, 1, 1, 0)
    assert await ids(report.path) == ["stays"]
    assert list(report.path.glob("outputs/*/*")) == [path_of(report.path, stays)]


@pytest.mark.parametrize("slow", [False, True])
async def test_a_single_image_that_is_deleted_meanwhile_is_not_in_it(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, slow: bool
) -> None:
    """The rest of its generation is, which has lost nothing. Its file goes first, the row perhaps a moment later."""
    folder = tmp_path / "data"
    task = await drawn(store, folder, "a", outputs=2)
    loop = asyncio.get_running_loop()

    def forget(seconds: float = 0.0) -> None:
        asyncio.run_coroutine_threadsafe(store.library.purge(task.uid, 0), loop).result()

    def delete() -> None:
        path_of(folder, task).unlink()
        if not slow:
            forget()

    monkeypatch.setattr(sqlite_backup, "time", SimpleNamespace(sleep=forget))
    while_copying(monkeypatch, delete)
    report = await asyncio.to_thread(make, tmp_path)
    assert (report.tasks, report.files, report.deleted, report.lacking) == (1, 1, 1, 0)
    copy = SqliteStore(report.path, full=False)
    await copy.open()
    found = await copy.task("ann", "a")
    assert found == await store.task("ann", "a")
    assert found is not None
    assert [output.index for output in found.files] == [1]
    (event, _) = await copy.events_of_tasks([task.uid], after=1, upto=99, limit=9)
    assert isinstance(event.message, OutputEvent)
    assert event.message.deleted
    await copy.close()


async def test_what_lost_its_file_before_is_told(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody deleted it, so its prompt and parameters are kept."""
    monkeypatch.setattr(sqlite_backup, "ERASURE", 0.0)
    task = await drawn(store, tmp_path / "data", "a")
    path_of(tmp_path / "data", task).unlink()
    report = await asyncio.to_thread(make, tmp_path)
    assert (report.tasks, report.files, report.deleted, report.lacking) == (1, 0, 0, 1)
    assert await ids(report.path) == ["a"]


async def test_an_erasure_that_is_under_way(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It deletes the file first: the task follows while the backup waits for it."""
    folder = tmp_path / "data"
    task = await drawn(store, folder, "a")
    while_copying(monkeypatch, lambda: path_of(folder, task).unlink())
    loop = asyncio.get_running_loop()

    def sleep(seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(store.delete(task.uid), loop).result()

    monkeypatch.setattr(sqlite_backup, "time", SimpleNamespace(sleep=sleep))
    report = await asyncio.to_thread(make, tmp_path)
    assert (report.deleted, report.lacking, await ids(report.path)) == (1, 0, [])


async def test_what_is_not_to_be_kept(store: SqliteStore, tmp_path: Path) -> None:
    """An ended task with `store: false` is only there until it was delivered: a backup would keep it."""
    for task_id in ("ended", "runs"):
        task = make_task(task_id)
        task.params.store = False
        await store.commit([accept(task)])
        if task_id == "ended":
            task.outputs[0].state = State.FAILED
            task.ended_at = 1010.0
            await store.commit([save(task)])
    report = await asyncio.to_thread(make, tmp_path)
    assert await ids(report.path) == ["runs"]


async def test_the_next_backup_links_what_the_earlier_has(store: SqliteStore, tmp_path: Path) -> None:
    """It takes the room of what is new; the earlier one can be deleted without harm."""
    folder = tmp_path / "data"
    task = await drawn(store, folder, "a")
    first = await asyncio.to_thread(make, tmp_path)
    new = await drawn(store, folder, "bc")
    second = await asyncio.to_thread(make, tmp_path)
    assert (second.path.name, second.files, second.copied_bytes) == (f"{NAME}-2", 2, 200)
    assert path_of(first.path, task).samefile(path_of(second.path, task))
    assert not path_of(folder, new).samefile(path_of(second.path, new)), "it must not share the original's fate"
    shutil.rmtree(first.path)
    assert path_of(second.path, task).read_bytes() == b"a" * 100


async def test_only_the_newest_are_kept(store: SqliteStore, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    (backups / "mine").mkdir(parents=True)
    for day in range(4):
        await asyncio.to_thread(make, tmp_path, NOON + day * 86400, 2)
    assert left(tmp_path) == ["2026-01-03T120000Z", "2026-01-04T120000Z", "mine"]


# When it fails


async def test_a_disk_that_is_full_half_way(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left of the backup, and no earlier one is deleted."""
    await drawn(store, tmp_path / "data", "a")
    await asyncio.to_thread(make, tmp_path)
    await drawn(store, tmp_path / "data", "b")
    real = os.fsync

    def full(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackupFailed, match="No space left"):
        await asyncio.to_thread(make, tmp_path, NOON + 1, 1)
    assert left(tmp_path) == [NAME]


async def test_the_last_of_the_disk_is_the_servers(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the disk of the data folder a backup stops before the server could no longer store anything."""
    real = os.statvfs
    few = SimpleNamespace(f_bavail=1000, f_blocks=10**7, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda path: few if Path(path).name == "backups" else real(path))
    with pytest.raises(BackupFailed, match="not enough room"):
        await asyncio.to_thread(make, tmp_path)
    assert left(tmp_path) == []


async def test_what_a_killed_backup_left_is_deleted(store: SqliteStore, tmp_path: Path) -> None:
    half = tmp_path / "backups" / ".partial-1"
    half.mkdir(parents=True)
    (half / "xinflight.db").write_text("half")
    await asyncio.to_thread(make, tmp_path)
    assert left(tmp_path) == [NAME]


async def test_one_at_a_time(store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two would delete each other's half."""
    refused = []

    def again() -> None:
        with pytest.raises(BackupFailed, match="Another backup"):
            make(tmp_path)
        refused.append(True)

    while_copying(monkeypatch, again)
    await asyncio.to_thread(make, tmp_path)
    assert refused
    assert left(tmp_path) == [NAME]


def test_a_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", closed)
    with pytest.raises(BackupFailed, match=r"Permission denied: .*xinflight.db'; run this as the server's user"):
        make(tmp_path)


def test_folders_that_no_backup_is_made_of(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no database"):
        make(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "xinflight.db").write_bytes(b"damaged " * 1000)
    with pytest.raises(BackupFailed, match="not a database"):
        make(tmp_path)
    assert left(tmp_path) == []
    inside = Backup(tmp_path / "data", tmp_path / "data" / "backups", NOON, lambda *_: None)
    with pytest.raises(BackupFailed, match="in the data folder"):
        inside.run()


async def test_a_damaged_database(store: SqliteStore, tmp_path: Path) -> None:
    """It is told now, and not when the backup is needed."""
    for number in range(50):
        await finished(store, f"t{number}")
    await store.close()
    path = tmp_path / "data" / "xinflight.db"
    data = bytearray(path.read_bytes())
    data[-8192:] = b"x" * 8192
    path.write_bytes(data)
    with pytest.raises(BackupFailed, match=r"damaged|malformed"):
        await asyncio.to_thread(make, tmp_path)
    assert left(tmp_path) == []


async def test_a_task_that_holds_an_upload(store: SqliteStore, tmp_path: Path) -> None:
    """SQLite 3.40 takes its row for damaged."""
    with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as database, database:
        database.execute("INSERT INTO upload_uses VALUES ('a', 'ann', 'u')")
    assert (await asyncio.to_thread(make, tmp_path)).tasks == 0


async def test_a_folder_of_another_version(store: SqliteStore, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "xinflight.db")) as database:
        database.execute("PRAGMA user_version = 1")
    with pytest.raises(BackupFailed, match="schema 1"):
        await asyncio.to_thread(make, tmp_path)


# Without a server


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_a_server_that_does_not_run(tmp_path: Path, end: str) -> None:
    """A kill leaves commits in the WAL, which the backup has as well, and leaves to the server."""
    store = SqliteStore(tmp_path / "live", full=False)
    await store.open()
    await lease(store)
    await drawn(store, tmp_path / "live", "a")
    if end == "killed":
        shutil.copytree(tmp_path / "live", tmp_path / "data")
        await store.close()
        assert (tmp_path / "data" / "xinflight.db-wal").stat().st_size > 0
    else:
        await store.close()
        shutil.copytree(tmp_path / "live", tmp_path / "data")
        assert not (tmp_path / "data" / "xinflight.db-wal").exists()
    report = await asyncio.to_thread(make, tmp_path)
    assert (report.tasks, report.files) == (1, 1)
    restarted = SqliteStore(tmp_path / "data", full=False)
    await restarted.open()
    assert await restarted.task("ann", "a") is not None
    await restarted.close()
