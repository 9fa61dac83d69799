"""The contract of the store, held against every implementation."""

import pytest

from factories import (
    EVERY_STATE,
    FENCE,
    MANY,
    POOL,
    accept,
    accepted,
    append,
    cancelled,
    draw,
    end,
    event,
    finished,
    ids,
    lease,
    make_task,
    output_event,
    result,
    save,
    seqs,
)
from xinflight.model import Event, StoredMessage, Task
from xinflight.protocol import State
from xinflight.storage import Accept, StaleFence, Store, Write

# Tasks


async def test_what_is_committed_is_found(store: Store) -> None:
    task = make_task()
    await store.commit([accept(task)])
    assert await store.task("ann", "a") == task
    assert await store.task("ann", "b") is None
    assert await store.task("bob", "a") is None


async def test_what_is_found_is_a_copy(store: Store) -> None:
    """Later moves of a task, or of what was found, do not reach into the store."""
    task = make_task()
    await store.commit([accept(task)])
    task.outputs[0].state = State.STARTING
    task.outputs[0].attempt = 3
    found = await store.task("ann", "a")
    assert found is not None
    assert (found.state, found.outputs[0].attempt) == (State.QUEUED, 0)
    found.outputs[0].attempt = 9
    again = await store.task("ann", "a")
    assert again is not None
    assert again.outputs[0].attempt == 0


async def test_a_write_without_an_event_keeps_the_task(store: Store) -> None:
    task = make_task()
    await store.commit([accept(task)])
    task.cancelled_at = 1003.5
    await store.commit([save(task)])
    found = await store.task("ann", "a")
    assert found is not None
    assert found.cancelled_at == 1003.5
    assert await seqs(store) == [1]


async def test_a_batch_keeps_all_of_many_owners(store: Store) -> None:
    ann, bob = make_task("a", "ann"), make_task("a", "bob")
    await store.commit([accept(ann), accept(bob), append(ann, output_event(ann))])
    assert (await seqs(store), await seqs(store, "bob")) == ([1, 2], [1])
    assert (await store.task("bob", "a")) == bob


async def test_everything_of_a_task_comes_back(store: Store) -> None:
    task = await finished(store, "a")
    task.metadata = {"album": [1, "b", None, 2.5]}
    task.lang = "zh-CN"
    await store.commit([save(task)])
    assert await store.task("ann", "a") == task


async def test_tasks_come_newest_first_in_pages(store: Store) -> None:
    for number in range(5):
        await finished(store, f"t{number}")
    await finished(store, "other", owner="bob")
    assert await ids(store) == ["t4", "t3", "t2", "t1", "t0"]
    page = await store.tasks("ann", before=None, limit=2, states=EVERY_STATE)
    assert [row.task.task_id for row in page] == ["t4", "t3"]
    assert await ids(store, before=page[-1].number, limit=2) == ["t2", "t1"]
    assert page[0].number > page[1].number
    assert await ids(store, "nobody") == []


async def test_a_task_that_moves_on_keeps_its_place(store: Store) -> None:
    first, second = make_task("first"), make_task("second")
    await store.commit([accept(first), accept(second)])
    first.outputs[0].state = State.RUNNING
    await store.commit([save(first)])
    assert await ids(store) == ["second", "first"]


async def test_tasks_by_state(store: Store) -> None:
    await finished(store, "done")
    waiting = make_task("waiting")
    await store.commit([accept(waiting)])
    gone = make_task("gone")
    await store.commit([accept(gone)])
    end(gone, State.CANCELLED)
    await store.commit([append(gone, cancelled(gone))])
    assert await ids(store, states={State.COMPLETED}) == ["done"]
    assert await ids(store, states={State.QUEUED, State.RUNNING}) == ["waiting"]
    assert await ids(store, states={State.CANCELLED, State.COMPLETED}) == ["gone", "done"]
    assert await ids(store, states=set()) == []


# Events


async def test_events_between_two_seqs_in_order(store: Store) -> None:
    for number in range(4):
        await finished(store, f"t{number}")
    assert await seqs(store) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert await seqs(store, after=2, upto=5) == [3, 4, 5]
    assert await seqs(store, after=12) == []
    assert await seqs(store, after=2, limit=3) == [3, 4, 5]
    assert await seqs(store, "bob") == []


async def test_events_of_some_tasks(store: Store) -> None:
    first = await finished(store, "a")
    second = await finished(store, "b")
    foreign = await finished(store, "c", owner="bob")
    assert await seqs(store, uids=[second.uid]) == [4, 5, 6]
    assert await seqs(store, uids=[second.uid, first.uid], after=1, upto=5) == [2, 3, 4, 5]
    assert await seqs(store, uids=[second.uid, second.uid]) == [4, 5, 6]
    assert await seqs(store, uids=[]) == []
    assert await seqs(store, uids=[foreign.uid]) == [1, 2, 3]
    many = [f"no-such-{i}" for i in range(2500)]
    assert await seqs(store, uids=[*many, first.uid, *many, second.uid], limit=4) == [1, 2, 3, 4]


async def test_an_event_comes_back_as_it_was(store: Store) -> None:
    task = make_task()
    task.lang = "zh-CN"
    draw(task)
    messages: list[StoredMessage] = [accepted(task), output_event(task), result(task), cancelled(task)]
    writes: list[Write] = [
        Accept(task=task, message=messages[0]),
        *(append(task, message) for message in messages[1:]),
    ]
    outcomes = await store.commit(writes)
    found = await store.events_of_owner("ann", after=0, upto=99, limit=99)
    assert found == outcomes == [event(task, seq, message) for seq, message in enumerate(messages, 1)]
    assert [message.seq for message in messages] == [1, 2, 3, 4]
    assert found[0].lang == "zh-CN"
    assert await store.events_of_tasks([task.uid], after=0, upto=99, limit=99) == found


# Seqs, known ids


async def test_each_owner_has_seqs_without_gaps(store: Store) -> None:
    """Whatever is refused or saved without an event in between takes no seq."""
    tasks = {owner: make_task("a", owner) for owner in ("ann", "bob")}
    await store.commit([accept(task) for task in tasks.values()])
    for number in range(3):
        for owner, task in tasks.items():
            known = make_task("a", owner)
            told = output_event(task)
            outcomes = await store.commit([save(task), append(task, told), accept(known), accept(known)])
            assert outcomes == [None, event(task, 2 + number, told), task, task]
    assert await seqs(store) == await seqs(store, "bob") == [1, 2, 3, 4]
    assert await store.last_seq("ann") == 4
    assert await store.last_seq("nobody") == 0
    task = tasks["ann"]
    await store.commit([append(task, output_event(task))])
    assert (await store.last_seq("ann"), await store.last_seq("bob")) == (5, 4)


async def test_an_id_that_is_known_stores_nothing(store: Store) -> None:
    first, second = make_task(prompt="a boat"), make_task(prompt="a car")
    write = accept(first)
    assert await store.commit([write]) == [event(first, 1, write.message)]
    assert await store.commit([accept(second)]) == [first]
    assert await store.task("ann", "a") == first
    assert await seqs(store) == [1]
    assert await seqs(store, uids=[second.uid]) == []
    assert await store.unfinished(POOL) == [first]


async def test_an_id_that_is_known_since_earlier_in_the_batch(store: Store) -> None:
    """Two connections may send the same id at the same moment: the first one has it."""
    first, second, foreign, after = (
        make_task(prompt="a boat"),
        make_task(prompt="a car"),
        make_task(owner="bob"),
        make_task("b"),
    )
    outcomes = await store.commit([accept(first), accept(second), accept(foreign), accept(after)])
    assert [each if isinstance(each, Task) else each and each.uid for each in outcomes] == [
        first.uid,
        first,
        foreign.uid,
        after.uid,
    ]
    assert (await seqs(store), await seqs(store, "bob")) == ([1, 2], [1])
    assert await ids(store) == ["b", "a"]


async def test_an_id_that_is_known_and_has_moved_on_comes_as_it_stands(store: Store) -> None:
    task = await finished(store, "a")
    assert await store.commit([accept(make_task("a"))]) == [task]
    task.cancelled_at = 5.0
    assert await store.commit([save(task), accept(make_task("a"))]) == [None, task], "also within a batch"


# Deleting


async def test_delete(store: Store) -> None:
    task = await finished(store, "a")
    kept = await finished(store, "b")
    assert await store.trimmed_to("ann") == 0
    await store.delete(task.uid)
    assert await ids(store) == ["b"]
    assert await seqs(store) == [4, 5, 6]
    assert await store.task("ann", "a") is None
    assert await store.trimmed_to("ann") == 3, "there is a gap below"
    assert await store.trimmed_to("bob") == 0
    await store.delete(task.uid)
    await store.delete("no such uid")
    assert await store.output_ids() == {kept.outputs[0].output_id}
    # Its id is free again.
    await finished(store, "a")
    assert await ids(store) == ["a", "b"]


async def test_prune_by_bytes_takes_the_oldest_ended(store: Store) -> None:
    unfinished = make_task("unfinished")
    await store.commit([accept(unfinished)])
    await finished(store, "late", at=3000.0, size=4_000_000)
    await finished(store, "early", at=1000.0, size=5_000_000)
    await finished(store, "middle", at=2000.0, size=6_000_000)
    assert await store.prune(keep_bytes=15_010_000, keep_tasks=MANY, ended_before=0.0) == []
    gone = await store.prune(keep_bytes=10_010_000, keep_tasks=MANY, ended_before=0.0)
    assert [task.task_id for task in gone] == ["early"]
    assert await store.prune(keep_bytes=10_010_000, keep_tasks=MANY, ended_before=0.0) == []
    gone = await store.prune(keep_bytes=9_999_999, keep_tasks=MANY, ended_before=0.0)
    assert [task.task_id for task in gone] == ["middle"]
    assert await ids(store) == ["late", "unfinished"]


async def test_prune_counts_prompts_and_events_too(store: Store) -> None:
    """A task without an image takes what its prompt takes: in the task, and in its first event."""
    for number in range(4):
        task = make_task(f"t{number}", prompt="x" * 40_000)
        await store.commit([accept(task)])
        end(task, State.CANCELLED, at=1000.0 + number)
        await store.commit([append(task, cancelled(task))])
    assert await store.prune(keep_bytes=330_000, keep_tasks=MANY, ended_before=0.0) == []
    assert len(await store.prune(keep_bytes=239_999, keep_tasks=MANY, ended_before=0.0)) == 2
    assert await ids(store) == ["t3", "t2"]


async def test_prune_by_number(store: Store) -> None:
    for number in range(5):
        await finished(store, f"t{number}", at=1000.0 + number)
    unfinished = make_task("unfinished")
    await store.commit([accept(unfinished)])
    assert await store.prune(keep_bytes=MANY, keep_tasks=5, ended_before=0.0) == []
    gone = await store.prune(keep_bytes=MANY, keep_tasks=2, ended_before=0.0)
    assert [task.task_id for task in gone] == ["t0", "t1", "t2"]
    assert await ids(store) == ["unfinished", "t4", "t3"]


async def test_prune_by_age_tells_up_to_where_there_are_gaps(store: Store) -> None:
    await finished(store, "early", at=1000.0)
    await finished(store, "middle", at=2000.0)
    await finished(store, "late", at=3000.0)
    await finished(store, "foreign", at=1000.0, owner="bob")
    gone = await store.prune(keep_bytes=10**9, keep_tasks=MANY, ended_before=2500.0)
    assert {task.task_id for task in gone} == {"early", "middle", "foreign"}
    assert await store.prune(keep_bytes=10**9, keep_tasks=MANY, ended_before=2500.0) == []
    assert await ids(store) == ["late"]
    assert (await store.trimmed_to("ann"), await store.trimmed_to("bob")) == (6, 3)
    assert await seqs(store) == [7, 8, 9]


async def test_prune_takes_a_hundred_at_most(store: Store) -> None:
    for number in range(120):
        await finished(store, f"t{number}", at=1000.0 + number)
    assert len(await store.prune(keep_bytes=0, keep_tasks=MANY, ended_before=0.0)) == 100
    assert len(await store.prune(keep_bytes=0, keep_tasks=MANY, ended_before=0.0)) == 20
    assert await store.prune(keep_bytes=0, keep_tasks=MANY, ended_before=0.0) == []
    assert await ids(store) == []


# Files


async def test_output_ids_are_those_that_have_a_file_or_may_have_one(store: Store) -> None:
    done = await finished(store, "a")
    waiting, gone = make_task("b"), make_task("c")
    await store.commit([accept(waiting), accept(gone)])
    end(gone, State.CANCELLED)
    await store.commit([append(gone, cancelled(gone))])
    assert await store.output_ids() == {done.outputs[0].output_id, waiting.outputs[0].output_id}


# Leases


async def test_the_fence_of_a_pool_rises_with_each_lease(store: Store) -> None:
    assert [await store.lease("other") for _ in range(3)] == [1, 2, 3]
    assert await store.lease(POOL) == FENCE + 1, "each pool has its own"


async def test_nothing_of_a_batch_with_a_stale_fence_is_stored(store: Store) -> None:
    mine, other, new = make_task("mine"), make_task("other", pool="other"), make_task("new")
    await lease(store, "other")
    await store.commit([accept(mine), accept(other)])
    assert await store.lease("other") == FENCE + 1
    mine.cancelled_at = other.cancelled_at = 1003.5
    for stale in (append(other, output_event(other)), save(other), save(other, FENCE + 2)):
        with pytest.raises(StaleFence):
            await store.commit([accept(new), append(mine, output_event(mine)), stale])
    assert await ids(store) == ["other", "mine"]
    assert await seqs(store) == [1, 2]
    found = await store.task("ann", "mine")
    assert found is not None
    assert found.cancelled_at is None
    writes: list[Write] = [
        accept(new),
        append(mine, output_event(mine)),
        append(other, output_event(other), FENCE + 1),
    ]
    assert [each.seq for each in await store.commit(writes) if isinstance(each, Event)] == [3, 4, 5]


async def test_a_pool_that_was_never_leased_takes_no_writes_but_new_tasks(store: Store) -> None:
    task = make_task(pool="other")
    await store.commit([accept(task)])
    for fence in (0, 1):
        with pytest.raises(StaleFence):
            await store.commit([save(task, fence)])


async def test_the_unfinished_of_a_pool_come_in_the_order_of_their_acceptance(store: Store) -> None:
    first, second, other = make_task("first"), make_task("second", "bob"), make_task("other", pool="other")
    assert (await store.pools(), await store.unfinished(POOL)) == ([], [])
    await store.commit([accept(first), accept(other)])
    await finished(store, "done")
    await store.commit([accept(second)])
    first.outputs[0].state = State.RUNNING
    await store.commit([save(first)])
    assert sorted(await store.pools()) == sorted([POOL, "other"])
    unfinished = await store.unfinished(POOL)
    assert [task.task_id for task in unfinished] == ["first", "second"]
    assert unfinished[0].state is State.RUNNING
    assert await store.unfinished("other") == [other]
    end(first)
    await store.commit([append(first, result(first))])
    assert await store.unfinished(POOL) == [second]
    end(second)
    await store.commit([append(second, result(second))])
    assert await store.pools() == ["other"]
    assert await store.unfinished(POOL) == []


async def test_a_task_that_is_given_to_another_pool_waits_there(store: Store) -> None:
    """One whose model is not known yet waits in a pool that only assigns it."""
    task = make_task(pool="")
    await lease(store, "")
    await store.commit([accept(task)])
    assert await store.pools() == [""]
    task.pool = POOL
    await store.commit([save(task)])
    assert await store.pools() == [POOL]
    assert await store.unfinished("") == []
    assert await store.unfinished(POOL) == [task]


async def test_close_is_safe_twice(store: Store) -> None:
    await store.close()
    await store.close()
