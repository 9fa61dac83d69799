"""What the index of words costs: little at a time, whatever is written or deleted."""

import asyncio
import random
import sqlite3
import threading
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from clients import LONG, Steps, eventually
from factories import accept, finished, lease, make_task
from xinflight.errors import StorageUnavailable
from xinflight.storage import SqliteStore, library_sqlite, words
from xinflight.storage.library import TaskQuery
from xinflight.storage.sqlite_database import SqliteDatabase
from xinflight.storage.words import phrases

MOST_ROWS = 100
"""Rows, most of them pages of the index, that one transaction may change."""


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the number of rows that each transaction has changed."""
    rows: list[int] = []
    run = SqliteDatabase._run

    async def counted(self: SqliteDatabase, *call: Any, **options: Any) -> tuple[Any, int]:
        result, changed = await run(self, *call, **options)
        rows.append(changed)
        return result, changed

    monkeypatch.setattr(SqliteDatabase, "_run", counted)
    return rows


async def test_an_erasure_merges_the_index_step_by_step(tmp_path: Path, transactions: list[int]) -> None:
    """It has the words of all owners: as one transaction, everybody's acknowledgements would wait for that."""
    dice = random.Random(1)
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    prompts = (" ".join(f"{dice.randrange(10**8):08}" for _ in range(100)) for _ in range(1000))
    await store.commit([accept(make_task(f"t{n}", prompt=prompt)) for n, prompt in enumerate(prompts)])
    mine = await finished(store, "mine", owner="bob")
    while await store.library.index():
        pass
    await store.delete(mine.uid)
    transactions.clear()
    await store.forget("bob", used_before="2026-01-01")
    *others, most = sorted(transactions)
    assert most < sum(others) / 2, "the last one deletes the merged parts"
    assert others[-1] <= MOST_ROWS
    transactions.clear()
    await store.forget("eve", used_before="2026-01-01")
    assert len(transactions) == 1, "nothing was deleted that is still in the index"
    await store.close()


async def test_what_can_not_be_merged_now_is_merged_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure that fails does not forget that deleted words are still in the index."""
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    for number in range(3):
        await finished(store, f"t{number}")
        while await store.library.index():
            pass

    async def full(self: SqliteDatabase, *call: Any) -> Any:
        raise StorageUnavailable(detail="no room")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteDatabase, "write", full)
        with pytest.raises(StorageUnavailable):
            await store.library.overwrite_all()
    assert await store.library.overwrite()
    await store.library.overwrite_all()
    assert not await store.library.overwrite()
    await store.close()


async def test_a_search_finds_what_is_prepared_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    await finished(store, "old")
    while await store.library.index():
        pass
    await finished(store, "new")
    query = TaskQuery(phrases=phrases("boat"))

    async def full(self: SqliteDatabase, *call: Any) -> Any:
        raise StorageUnavailable(detail="no room")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteDatabase, "write", full)
        found = await store.library.find("ann", query, before=None, limit=9)
    assert [row.task.task_id for row in found.tasks] == ["old"]
    found = await store.library.find("ann", query, before=None, limit=9)
    assert [row.task.task_id for row in found.tasks] == ["new", "old"]
    await store.close()


async def test_long_texts_are_prepared_a_few_at_a_time(tmp_path: Path, transactions: list[int]) -> None:
    """Commits wait for each of these transactions, and a long text takes as long as a hundred short ones."""
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    await store.commit([accept(make_task(f"t{n}", prompt="船" * 5000)) for n in range(12)])
    steps = 0
    while await store.library.index():
        steps += 1
    assert steps == 3
    found = await store.library.find("ann", TaskQuery(phrases=phrases("船船")), before=None, limit=20)
    assert len(found.tasks) == 12
    await store.close()


async def test_a_long_search_holds_up_nobody_but_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search costs is up to whoever wrote the words: others read meanwhile, and search after that one."""
    store = SqliteStore(tmp_path / "data", full=False)
    await store.open()
    await lease(store)
    for owner in ("ann", "bob"):
        await finished(store, "t", owner=owner)
    while await store.library.index():
        pass
    go_on = threading.Event()
    began: list[str] = []
    rows_of_query = library_sqlite._rows_of_query

    def slow(connection: sqlite3.Connection, owner: str, *query: Any) -> Any:
        began.append(owner)
        assert go_on.wait(LONG)
        return rows_of_query(connection, owner, *query)

    monkeypatch.setattr(library_sqlite, "_rows_of_query", slow)

    async def search(owner: str) -> int:
        query = TaskQuery(phrases=phrases("boat"))
        return len((await store.library.find(owner, query, before=None, limit=9)).tasks)

    searches = [asyncio.create_task(search(owner)) for owner in ("ann", "ann", "ann", "bob")]
    await eventually(lambda: began)
    assert len((await store.library.find("bob", TaskQuery(), before=None, limit=9)).tasks) == 1
    assert await store.task("bob", "t") is not None
    go_on.set()
    assert await asyncio.gather(*searches) == [1, 1, 1, 1]
    assert began == ["ann", "bob", "ann", "ann"]
    await store.close()


def test_of_a_search_only_so_many_words_count() -> None:
    wanted = phrases("boat " * 20 + "船" * 200)
    assert [len(phrase.words) for phrase in wanted] == [1]
    wanted = phrases("red boat red " + "船" * 200)
    assert [len(phrase.words) for phrase in wanted] == [1, 1, 29]
    assert [phrase.prefix for phrase in wanted] == [True, True, False]


def as_defined(text: str) -> str:
    """Return a text without case, accents and width, in the simplest way."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", "".join(char for char in apart if not unicodedata.combining(char)))


LETTERS = "aZ éÉ\u0345\u0334\u0301\u0344ßİﬁ１Ａ가ㄱᄀ\u1161\u11a8ﷺ船ガ\u3099เก\u0e48ा"


def test_words_are_compared_as_they_always_were() -> None:
    dice = random.Random(1)
    for _ in range(500):
        text = "".join(dice.choices(LETTERS, k=20))
        assert words._plain(text) == as_defined(text), ascii(text)


def test_thousands_of_accents_are_not_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """To bring them in order takes 50 ms, in which no other thread runs, for a prompt of usual length."""
    most = 0

    def normalize(form: Literal["NFC", "NFKD"], text: str) -> str:
        nonlocal most
        most = max(most, sum(map(unicodedata.combining, text)) // 240)
        return unicodedata.normalize(form, text)

    monkeypatch.setattr(words, "unicodedata", SimpleNamespace(normalize=normalize, combining=unicodedata.combining))
    with Steps() as steps:
        assert words.words("a" + "\u0345" * 2499 + "\u0334" * 2500) == ["a" + "ι" * 63]
    assert most <= 1
    assert steps.count < 50_000
