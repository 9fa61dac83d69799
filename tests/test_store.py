"""The contract of the store, held against every implementation; then what is memory's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kept import (
    EVERY_STATE,
    MANY,
    accepted,
    cancelled,
    draw,
    end,
    finished,
    ids,
    make_task,
    picture,
    progress,
    result,
    seqs,
    write,
)
from xinflight.protocol import State
from xinflight.storage import Event, EventMessage, MemoryStore, SqliteStore, Store, Write


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Give each implementation in turn, open."""
    made: Store = MemoryStore(1000) if request.param == "memory" else SqliteStore(tmp_path / "data", full=False)
    await made.open()
    yield made
    await made.close()


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


async def test_memory_does_not_grow_with_owners() -> None:
    """Ten thousand people who come once leave nothing but what is kept."""
    store = MemoryStore(5)
    for number in range(100):
        await finished(store, "a", 1, owner=f"owner-{number}")
    assert sum(len(table) for table in vars(store).values() if isinstance(table, dict)) <= 7 * 5
    assert await store.floor("owner-99") in (0, 3)
    for number in range(95):
        assert await store.floor(f"owner-{number}") == 3, "its gap is told, however long ago"
