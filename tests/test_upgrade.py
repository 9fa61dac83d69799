"""A data folder of an earlier version: `golden/schema-<n>.db` is a database as that schema's last version left it.

Each was written by a server that drew for a client and was killed while one generation was under way.
"""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from xinflight.protocol import State
from xinflight.storage import MIGRATIONS, SqliteStore

GOLDEN = Path(__file__).parent / "golden"
STATES = {
    "waiting": State.QUEUED,
    "late": State.EXPIRED,
    "gone": State.CANCELLED,
    "inline": State.COMPLETED,
    "plain": State.COMPLETED,
    "done": State.COMPLETED,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a data folder of schema 1."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(GOLDEN / "schema-1.db", folder / "xinflight.db")
    return folder


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder, full=False)
    await store.open()
    yield store
    await store.close()


async def test_everything_is_still_there(store: SqliteStore, folder: Path) -> None:
    rows = await store.tasks("local", before=None, limit=10, states=set(State))
    assert {row.task.task_id: row.task.state for row in rows} == STATES
    done = rows[-1].task
    assert [picture.bytes for picture in done.pictures] == [2067, 2126]
    assert done.metadata == {"b": [1, "ü", None, 2.5], "a": {"y": 1, "x": True}}
    events = await store.events("local", after=0, upto=2**62, uids=None, limit=100)
    assert len(events) == 15
    assert [e.message.ends for e in events if e.uid == done.uid] == [False, False, False, True]
    assert len(await store.picture_ids()) == 4
    assert [task.task_id for task in await store.claim("me", 0.0)] == ["waiting"]
    assert not store.made_new


async def test_what_it_takes_is_counted(store: SqliteStore, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "xinflight.db")) as connection:
        told = "SELECT sum(length(body)) FROM events WHERE uid = tasks.uid"
        query = f"SELECT task_id, size - bytes - length(body) - ({told}) FROM tasks WHERE ended_at IS NOT NULL"
        beside = dict(connection.execute(query).fetchall())
        (total,) = connection.execute("SELECT sum(size) FROM tasks").fetchone()
    assert beside == {"done": 1100, "plain": 950, "inline": 950, "gone": 800, "late": 800}, "500 each, 150 per event"
    assert await store.prune(keep_bytes=total, keep_tasks=5, ended_before=0.0) == []
    gone = await store.prune(keep_bytes=total - 1, keep_tasks=5, ended_before=0.0)
    assert [task.task_id for task in gone] == ["done"]


async def test_the_file_is_that_of_a_new_one(store: SqliteStore, folder: Path, tmp_path: Path) -> None:
    fresh = SqliteStore(tmp_path / "fresh", full=False)
    await fresh.open()
    await fresh.close()
    await store.close()

    def form(path: Path) -> list[object]:
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name").fetchall()
            columns = connection.execute("SELECT name, type FROM pragma_table_info('tasks') ORDER BY name").fetchall()
            pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "auto_vacuum")]
            return [rows, columns, pragmas]

    assert form(folder / "xinflight.db") == form(tmp_path / "fresh" / "xinflight.db")
    copy = folder / f"xinflight.before-{len(MIGRATIONS)}.db"
    assert copy.read_bytes() == (GOLDEN / "schema-1.db").read_bytes()
