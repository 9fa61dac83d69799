"""The contract of the store for chats: messages stored once, deltas without their task, deleted by the whole text."""

import pytest

from factories import FENCE, MANY, accept, accepted, end, ids, make_task, output_event, result, seqs
from xinflight.model import Task
from xinflight.protocol import Delta
from xinflight.storage import Accept, Append, Extend, StaleFence, Store


def extend(task: Task, offset: int, text: str, fence: int = FENCE) -> Extend:
    delta = Delta(task_id=task.task_id, timestamp=0, index=0, offset=offset, text=text)
    return Extend(task=task, message=delta, fence=fence)


def whole(task: Task) -> Append:
    """Return the write of the event that has the whole text."""
    return Append(task=task, message=output_event(task), fence=FENCE, compacts=True)


async def test_deltas_come_back_in_order(store: Store) -> None:
    task = make_task()
    await store.commit([accept(task), extend(task, 0, "a red "), extend(task, 6, "boat 🚤")])
    found = await store.events_of_tasks([task.uid], after=1, upto=MANY, limit=10)
    deltas = [event.message for event in found if isinstance(event.message, Delta)]
    assert [(delta.offset, delta.text) for delta in deltas] == [(0, "a red "), (6, "boat 🚤")]
    assert await seqs(store) == [1, 2, 3]


async def test_a_delta_does_not_write_its_task(store: Store) -> None:
    task = make_task()
    await store.commit([accept(task)])
    task.cancelled_at = 1003.5
    await store.commit([extend(task, 0, "a")])
    found = await store.task("ann", "a")
    assert found is not None
    assert found.cancelled_at is None


async def test_a_delta_needs_the_newest_lease(store: Store) -> None:
    task = make_task()
    await store.commit([accept(task)])
    with pytest.raises(StaleFence):
        await store.commit([extend(task, 0, "a", fence=FENCE + 1)])
    assert await seqs(store) == [1]


async def test_the_whole_text_deletes_the_deltas_of_its_task_only(store: Store) -> None:
    """No other event goes, no number is drawn twice, and cursors from before are no gap."""
    task, other = make_task("a"), make_task("b")
    await store.commit(
        [accept(task), accept(other), extend(task, 0, "a"), extend(other, 0, "x"), extend(task, 1, "b")]
    )
    await store.commit([whole(task)])
    assert await seqs(store, uids=[task.uid]) == [1, 6]
    assert await seqs(store, uids=[other.uid]) == [2, 4]
    assert await seqs(store) == [1, 2, 4, 6]
    assert await store.trimmed_to("ann") == 0
    await store.commit([extend(other, 1, "y")])
    assert await seqs(store) == [1, 2, 4, 6, 7]


async def test_without_it_they_stay(store: Store) -> None:
    task = make_task()
    await store.commit([accept(task), extend(task, 0, "a")])
    await store.commit([Append(task=task, message=output_event(task), fence=FENCE)])
    assert await seqs(store) == [1, 2, 3]


async def test_messages_are_stored_with_their_task_and_go_with_it(store: Store) -> None:
    task, plain = make_task("a"), make_task("b")
    await store.commit([Accept(task=task, message=accepted(task), content=b"messages"), accept(plain)])
    assert await store.content(task.uid) == b"messages"
    assert await store.content(plain.uid) is None
    end(task)
    await store.commit([Append(task=task, message=result(task), fence=FENCE)])
    assert await store.content(task.uid) == b"messages"
    await store.delete(task.uid)
    assert await store.content(task.uid) is None
    assert await ids(store) == ["b"]
