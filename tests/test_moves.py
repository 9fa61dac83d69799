"""The order of one owner's own tasks: where a move puts them, what it refuses, and that a restart keeps it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import make_task
from scripted_gateway import Held, ScriptedGateway, turns
from xinflight.errors import NotFound, OutOfBounds, StorageUnavailable
from xinflight.model import Task
from xinflight.protocol import State
from xinflight.storage import MemoryStore
from xinflight.tasks.reordering import new_ranks
from xinflight.tasks.runs import ActiveTask, OutputRun


async def submit(gateway: ScriptedGateway, *task_ids: str, owner: str = "ann", **fields: Any) -> None:
    for task_id in task_ids:
        assert isinstance(await gateway.submit(owner, task_id=task_id, **fields), Task)
    await turns()


async def order(gateway: ScriptedGateway, owner: str = "ann") -> list[str]:
    """Return the waiting tasks of an owner in the order that the owner is told."""
    queue = await gateway.queue.of_owner(owner)
    return list(dict.fromkeys(output.task_id for output in queue.outputs))


async def finish(gateway: ScriptedGateway) -> list[str]:
    """Make everything that is left; return the tasks of ann in the order in which they were started."""
    started: list[str] = []
    tasks = {task.outputs[0].request_id: task.task_id for task in gateway.pools.of_owner("ann")}
    while gateway.upstream.pending:
        post = gateway.upstream.pending[0]
        started += [tasks[post.request_id]] if post.request_id in tasks else []
        post.end("image")
        await turns()
    return started


MOVES: list[tuple[str, dict[str, str], str]] = [
    ("d", {"to": "first"}, "dabc"),
    ("a", {"to": "last"}, "bcda"),
    ("d", {"before": "b"}, "adbc"),
    ("a", {"before": "d"}, "bcad"),
    ("a", {"to": "first"}, "abcd"),
    ("d", {"to": "last"}, "abcd"),
    ("b", {"before": "c"}, "abcd"),
    ("b", {"before": "b"}, "abcd"),
    # What runs, or has ended, stays as it is: it may have begun while the message was on its way.
    ("running", {"to": "last"}, "abcd"),
    ("ended", {"to": "first"}, "abcd"),
]


@pytest.mark.parametrize(("task_id", "where", "after"), MOVES)
async def test_a_move_puts_a_task_where_it_was_asked_to_be(task_id: str, where: dict[str, str], after: str) -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "ended")
        gateway.upstream.pending[0].end("image")
        await turns()
        await submit(gateway, "running", *"abcd")
        was = {"ended": State.COMPLETED, "running": State.STARTING}.get(task_id, State.QUEUED)
        for _ in range(2):
            moved = await gateway.queue.move("ann", task_id, **where)  # type: ignore[arg-type]
            assert (moved.task_id, moved.was) == (task_id, was)
            assert await order(gateway) == list(after)
        await submit(gateway, "later")
        assert await finish(gateway) == ["running", *after, "later"]


async def test_what_can_not_be_moved_is_refused_with_the_field_at_fault() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a", "b")
        await submit(gateway, "elsewhere", "elsewhere-too", model="old")
        await submit(gateway, "his", owner="bob")
        for task_id, before, error, field in (
            ("unknown", "a", NotFound, "task_id"),
            ("his", "a", NotFound, "task_id"),
            ("a", "unknown", NotFound, "before"),
            ("a", "his", NotFound, "before"),
            ("a", "running", OutOfBounds, "before"),
            ("a", "elsewhere-too", OutOfBounds, "before"),
        ):
            with pytest.raises(error) as caught:
                await gateway.queue.move("ann", task_id, before=before)
            assert caught.value.field == field
        assert [task_id for task_id in await order(gateway) if task_id in "ab"] == ["a", "b"]
        await finish(gateway)


async def test_a_moved_task_takes_over_the_priority_beside_it() -> None:
    """With its own, a task that is moved before one of a higher priority would stand behind it all the same."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running")
        await submit(gateway, "a", "b", priority=5)
        await submit(gateway, "c", "d")
        await gateway.queue.move("ann", "d", before="b")
        assert await order(gateway) == ["a", "d", "b", "c"]
        moved = await gateway.front.find("ann", "d")
        assert moved is not None
        assert moved.params.priority == 5
        await gateway.queue.move("ann", "a", to="last")
        assert await order(gateway) == ["d", "b", "c", "a"]
        # Of a higher priority, but accepted later.
        await submit(gateway, "e", priority=1)
        assert await order(gateway) == ["d", "b", "e", "c", "a"]
        await finish(gateway)


async def test_others_keep_their_turns() -> None:
    """However an owner moves things about, who waits beside them gets every second slot as before."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running")
        await submit(gateway, "his", "hers", owner="bob")
        await submit(gateway, *"abc")
        places = [output.position for output in (await gateway.queue.of_owner("bob")).outputs]
        for task_id in "cbacab":
            await gateway.queue.move("ann", task_id, to="first")
        await gateway.clock.advance(1.5)
        assert [output.position for output in (await gateway.queue.of_owner("bob")).outputs] == places
        await finish(gateway)


async def test_a_move_is_stored_before_it_is_answered_and_a_restart_keeps_it() -> None:
    store = MemoryStore(1000)
    store.durable = True
    async with ScriptedGateway.begin(store) as gateway:
        await submit(gateway, "running", *"abcd", timeout=10_000.0)
        held = Held(store, "commit")
        moving = asyncio.create_task(gateway.queue.move("ann", "d", before="b"))
        await held.entered.wait()
        await turns()
        assert not moving.done()
        held.go_on.set()
        await moving
        saved = sorted(await store.unfinished("m"), key=lambda task: task.rank)
        assert [task.task_id for task in saved] == ["running", "a", "d", "b", "c"]
    async with ScriptedGateway.begin(store) as gateway:
        await gateway.watch("ann")
        await gateway.clock.advance(5.0)
        assert await finish(gateway) == ["running", "a", "d", "b", "c"]


async def test_a_move_that_is_not_stored_in_time_says_so() -> None:
    """The caller of a server whose disk hangs is told to come again, instead of waiting with it."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a", "b")
        held = Held(gateway.store, "commit")
        moving = asyncio.create_task(gateway.queue.move("ann", "b", to="first"))
        await held.entered.wait()
        await gateway.clock.advance(11.0)
        with pytest.raises(StorageUnavailable):
            await moving
        held.go_on.set()
        await turns()
        assert await order(gateway) == ["b", "a"]
        await finish(gateway)


def waiting(number: int, priority: int, rank: float) -> ActiveTask:
    task = make_task(f"t{number}")
    task.rank = rank
    task.params = msgspec.structs.replace(task.params, priority=priority)
    active = ActiveTask(task=task, sequence=number, bytes=0)
    active.runs = [OutputRun(active=active, output=task.outputs[0], sequence=number)]
    return active


def in_order(tasks: Sequence[ActiveTask]) -> list[str]:
    return [
        active.task.task_id
        for active in sorted(tasks, key=lambda one: (-one.task.params.priority, one.task.rank, one.sequence))
    ]


RANKS = st.lists(st.tuples(st.integers(-1, 1), st.sampled_from([0.0, 1.0, 2.0])), min_size=2, max_size=6)


@given(
    RANKS, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5) | st.sampled_from(["first", "last"])), max_size=80)
)
def test_any_moves_lead_to_the_order_that_was_asked_for(
    kinds: list[tuple[int, float]], moves: list[tuple[int, Any]]
) -> None:
    """With equal ranks, and after so many halvings of a gap that no number is left in it, too."""
    tasks = [waiting(number, *kind) for number, kind in enumerate(kinds)]
    top = max(active.task.rank for active in tasks)
    for number, to in moves:
        mine = tasks[number % len(tasks)]
        where = tasks[to % len(tasks)] if isinstance(to, int) else to
        if where is mine:
            continue
        expected = [task_id for task_id in in_order(tasks) if task_id != mine.task.task_id]
        place = {"first": 0, "last": len(expected)}.get(where) if isinstance(where, str) else None
        expected.insert(expected.index(where.task.task_id) if place is None else place, mine.task.task_id)
        ranks, priority = new_ranks(tasks, mine, where)
        for moved, rank in ranks.items():
            moved.task.rank = rank
            moved.task.params = msgspec.structs.replace(moved.task.params, priority=priority)
        assert in_order(tasks) == expected
        assert new_ranks(tasks, mine, where)[0] == {}
    # What is accepted next has the next whole number.
    assert all(active.task.rank < top + 1 for active in tasks)
