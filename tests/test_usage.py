"""What each owner used per day: added up in the store, whatever becomes of the tasks."""

import pytest

from factories import FENCE, accept, append, charge, finished, lease, make_task, output_event
from xinflight.model import Usage, day_of
from xinflight.storage import MemoryStore, StaleFence, Store, store_memory


def used(owner: str, day: str, seconds: float, outputs: int = 1, size: int = 100) -> Usage:
    return Usage(owner=owner, day=day, seconds=seconds, outputs=outputs, bytes=size)


async def commit(store: Store, *usage: Usage) -> None:
    assert await store.commit([charge(each) for each in usage]) == [None] * len(usage)


async def test_usage_adds_up_per_owner_and_day(store: Store) -> None:
    await commit(
        store, used("ann", "2026-01-02", 1.5), used("ann", "2026-01-02", 2.0, 2), used("bob", "2026-01-02", 9)
    )
    await commit(store, used("ann", "2026-01-01", 0.5), used("ann", "2026-01-02", 1.0, 0, 0))
    assert await store.usage("ann", first="2026-01-01", last="2026-12-31") == [
        used("ann", "2026-01-01", 0.5),
        used("ann", "2026-01-02", 4.5, 3, 200),
    ]
    assert await store.usage("ann", first="2026-01-02", last="2026-01-02") == [used("ann", "2026-01-02", 4.5, 3, 200)]
    assert await store.usage("ann", first="2026-01-03", last="2026-12-31") == []
    assert await store.usage("eve", first="2026-01-01", last="2026-12-31") == []


async def test_usage_of_all_comes_in_pages_by_day_and_owner(store: Store) -> None:
    rows = [used(owner, day, 1.0) for day in ("2026-01-01", "2026-01-02") for owner in ("ann", "bob", "eve")]
    await commit(store, *reversed(rows), used("ann", "2025-12-31", 1.0), used("ann", "2026-01-03", 1.0))
    found: list[Usage] = []
    after = ("2026-01-01", "")
    while page := await store.usage_of_all(after=after, last="2026-01-02", limit=2):
        assert len(page) <= 2
        found += page
        after = page[-1].day, page[-1].owner
    assert found == rows


async def test_usage_stays_when_its_task_is_deleted(store: Store) -> None:
    task = await finished(store, "a")
    await commit(store, used("ann", "2026-01-01", 2.0))
    await store.delete(task.uid)
    assert await store.usage("ann", first="2026-01-01", last="2026-01-01") == [used("ann", "2026-01-01", 2.0)]


async def test_usage_of_old_days_is_deleted_and_nothing_else(store: Store) -> None:
    rows = [used(owner, day, 1.0) for day in ("2026-01-01", "2026-01-02", "2026-01-03") for owner in ("ann", "bob")]
    await commit(store, *rows)
    assert await store.prune_usage(before="2026-01-03")
    assert not await store.prune_usage(before="2026-01-03")
    assert await store.usage_of_all(after=("2025-01-01", ""), last="2026-12-31", limit=10) == rows[4:]


async def test_a_charge_is_stored_with_its_batch_or_not_at_all(store: Store) -> None:
    task = make_task("a")
    usage = charge(used("ann", "2026-01-01", 2.0))
    with pytest.raises(StaleFence):
        await store.commit([accept(task), usage, append(task, output_event(task), fence=FENCE + 1)])
    assert await store.usage("ann", first="2026-01-01", last="2026-01-01") == []
    accepted, charged, appended = await store.commit([accept(task), usage, append(task, output_event(task))])
    assert charged is None
    assert [getattr(outcome, "seq", None) for outcome in (accepted, appended)] == [1, 2]


async def test_in_memory_the_oldest_days_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_memory, "USAGE_ROWS", 3)
    store = MemoryStore(10)
    await lease(store)
    await commit(store, *(used(owner, f"2026-01-0{day}", 1.0) for day in (2, 1, 3) for owner in ("ann", "bob")))
    rows = await store.usage_of_all(after=("2026-01-01", ""), last="2026-01-09", limit=10)
    assert [(row.day, row.owner) for row in rows] == [
        ("2026-01-02", "bob"),
        ("2026-01-03", "ann"),
        ("2026-01-03", "bob"),
    ]


def test_a_day_is_that_of_utc() -> None:
    assert day_of(0.0) == "1970-01-01"
    assert day_of(86399.9) == "1970-01-01"
    assert day_of(1_795_219_200.0) == "2026-11-21"
