"""The history stays within its caps, and what it gave up is given back to the disk."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients import eventually
from conftest import Front
from factories import accept, append, cancelled, end, lease, make_task
from xinflight.protocol import State
from xinflight.storage import MemoryStore, SqliteStore, Store, retention, sqlite_schema

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
PROMPT = "x" * 40_000


def on_disk(folder: Path) -> int:
    """Return the bytes of all files of a folder, without the room that is spared for deletes."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "xinflight.spare")
    return sum(path.stat().st_size for path in files)


async def cancel_many(store: Store, numbers: range) -> None:
    for number in numbers:
        task = make_task(f"t{number}", prompt=PROMPT)
        await store.commit([accept(task)])
        end(task, State.CANCELLED, at=1000.0 + number)
        await store.commit([append(task, cancelled(task))])


async def prune(store: Store, keep_bytes: int) -> None:
    while await store.prune(keep_bytes=keep_bytes, keep_tasks=10**6, ended_before=0.0):
        pass


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    yield store
    await store.close()


async def test_long_prompts_of_cancelled_tasks_do_not_fill_the_disk(sqlite: SqliteStore, tmp_path: Path) -> None:
    """Some 160 MB go through a history of 1 MB; what stays is the cap, the spare pages, and the log."""
    for first in range(0, 2000, 100):
        await cancel_many(sqlite, range(first, first + 100))
        await prune(sqlite, 1_000_000)
    await eventually(lambda: sqlite._database._checkpoint is None)
    assert len(await sqlite.tasks("ann", before=None, limit=1000, states=set(State))) in range(8, 13)
    assert on_disk(tmp_path / "data") < 100_000_000, "the log's own bound is 64 MiB, beside what two batches take"
    await sqlite.close()
    assert on_disk(tmp_path / "data") < 6_000_000


async def test_a_file_that_was_large_becomes_small(sqlite: SqliteStore, tmp_path: Path) -> None:
    await cancel_many(sqlite, range(500))
    await sqlite.close()
    before = on_disk(tmp_path / "data")
    assert before > 40_000_000
    again = SqliteStore(tmp_path / "data", full=False)
    await again.open()
    await prune(again, 0)
    await again.close()
    assert on_disk(tmp_path / "data") < 4_500_000, "the spare pages"


async def test_a_file_that_can_not_shrink_is_no_reason_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old one stays as large as it is while the disk has no room to write it anew."""
    monkeypatch.setattr(sqlite_schema, "_make_shrinkable", lambda connection: None)
    (tmp_path / "data").mkdir()
    shutil.copyfile(GOLDEN / "schema-1.db", tmp_path / "data" / "xinflight.db")
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    await cancel_many(store, range(200))
    await prune(store, 0)
    await store.close()
    large = on_disk(tmp_path / "data")
    monkeypatch.undo()
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await store.close()
    assert on_disk(tmp_path / "data") < large / 10, "the next start has room"


async def test_memory_counts_the_same(tmp_path: Path) -> None:
    store = MemoryStore(10_000)
    await lease(store)
    await cancel_many(store, range(100))
    await prune(store, 1_000_000)
    assert len(await store.tasks("ann", before=None, limit=1000, states=set(State))) in range(8, 13)


async def test_a_server_holds_both_caps(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAUSE", 0.05)
    _, client = await front(history_bytes=100_000, history_tasks=3)
    limits = client.seen[0]["limits"]
    assert (limits["history_bytes"], limits["history_tasks"]) == (100_000, 3)

    async def listed() -> list[str]:
        return [task["task_id"] for task in (await client.ask(action="list"))["tasks"]]

    async def cancel_one(task_id: str, prompt: str) -> None:
        await client.ask(action="generate", prompt=prompt, task_id=task_id, steps=200)
        await client.ask(action="cancel", task_id=task_id)
        await client.ends(task_id)

    for number in range(5):
        await cancel_one(f"small-{number}", "x")
    while await listed() != ["small-4", "small-3", "small-2"]:
        pass
    for number in range(12):
        await cancel_one(f"large-{number}", "\N{WAVE DASH}" * 5000)
    while len(await listed()) > 3:
        pass
