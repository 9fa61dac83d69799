"""Places in the queue: everybody who watches hears of every move, and nobody hears what has not changed."""

from asyncio import gather
from typing import Any

import pytest

from kit import Steps
from life import Life, turns
from xinflight.model import Task
from xinflight.protocol import Progress


def places(life: Life, task_id: str, owner: str = "ann") -> list[int]:
    """Return the places that an owner was told of a task, each once."""
    found: list[int] = []
    for event in life.told[owner]:
        message = event.message
        if isinstance(message, Progress) and message.task_id == task_id and message.position is not None:
            if found[-1:] != [message.position]:
                found.append(message.position)
    return found


def waits(life: Life, owner: str = "ann") -> list[str]:
    """Return of which tasks an owner was told a place, as often as it was told."""
    messages = [event.message for event in life.told[owner]]
    return [m.task_id for m in messages if isinstance(m, Progress) and m.position is not None]


async def submit(life: Life, *task_ids: str, owner: str = "ann", **fields: Any) -> None:
    for task_id in task_ids:
        assert isinstance(await life.submit(owner, task_id=task_id, **fields), Task)


async def work(life: Life, seconds: int, *, so_far: int = 0) -> None:
    """Let the picture that runs come further: it takes 10 s."""
    for done in range(so_far + 1, so_far + seconds + 1):
        await life.clock.advance(1.0)
        life.upstream.advance(life.upstream.pending[0], done / 10)


async def finish(life: Life) -> None:
    """Make everything that is left."""
    while life.upstream.pending:
        life.upstream.pending[0].end("picture")
        await turns()


async def test_places_follow_every_move_although_others_arrive() -> None:
    """A new task within the second after a move does not swallow the news of the move."""
    async with Life.begin() as life:
        life.manager.followed("ann")
        await submit(life, "running", *"abcde")
        await turns()
        await life.clock.advance(2.0)
        await life.drain()
        for number in range(5):
            life.upstream.pending[0].end("picture")
            await turns()
            await submit(life, f"new-{number}")
            await life.clock.advance(1.1)
            await life.drain()
        for place, task_id in enumerate("abcde", start=1):
            assert places(life, task_id) == list(range(place, 0, -1))
        assert places(life, "new-4")[-1:] == [5]
        await finish(life)


async def test_a_new_one_hears_its_place_at_once() -> None:
    """Its first snapshot has it, also that of one who goes before others."""
    async with Life.begin() as life:
        await submit(life, "running", "a", "b")
        await submit(life, "first", priority=1)
        await life.drain()
        assert [places(life, task_id) for task_id in ("running", "a", "b", "first")] == [[], [1], [2], [1]]
        await finish(life)


async def test_many_moves_within_a_second_are_one_message() -> None:
    """What people can read, whatever the queue does; one who is back at the old place hears nothing."""
    async with Life.begin() as life:
        life.manager.followed("ann")
        await submit(life, "running", "last")
        for number in range(20):
            await submit(life, f"x{number}", priority=1)
        for number in range(19):
            await life.manager.cancel("ann", f"x{number}")
            await life.drain()
        await life.clock.advance(1.1)
        await life.drain()
        assert waits(life).count("last") == 2
        assert places(life, "last") == [1, 2]
        for number in range(20, 40):
            await submit(life, f"x{number}", priority=1)
            await life.manager.cancel("ann", f"x{number}")
        await life.clock.advance(2.0)
        await life.drain()
        assert places(life, "last") == [1, 2]
        await finish(life)


async def test_waiting_is_told_again_only_when_it_is_news() -> None:
    """A time that passes as it was told is no news; a place, or a time that is off by more than a fifth, is."""
    async with Life.begin(tasks_per_owner=5000) as life:
        life.manager.followed("ann")
        await submit(life, "known")
        await turns()
        await work(life, 10)
        life.upstream.pending[0].end("picture")
        await turns()
        count = 200
        await submit(life, "running", *(f"t{number}" for number in range(count)))
        await turns()
        await work(life, 3)
        await life.drain()
        before = len(waits(life))
        # Right as told: the one that runs needs 10 s.
        await work(life, 6, so_far=3)
        await life.drain()
        assert len(waits(life)) == before
        # Everybody moves up: one message each.
        life.upstream.pending[0].end("picture")
        await turns()
        await life.clock.advance(1.0)
        await life.drain()
        assert sorted(waits(life)[before:]) == sorted(f"t{number}" for number in range(1, count))
        # It takes much longer than told: those in front hear of it, those for whom it matters little don't.
        before = len(waits(life))
        await life.clock.advance(30.0)
        await life.drain()
        late = waits(life)[before:]
        assert {"t1", "t2"} <= set(late)
        assert f"t{count - 1}" not in late
        assert len(late) < count / 2
        await finish(life)


async def test_who_does_not_watch_is_told_when_coming_back() -> None:
    """Nothing is told to nobody; whoever comes back is up to date within a second."""
    async with Life.begin() as life:
        life.manager.followed("ann")
        await submit(life, "running", "a", "b")
        await submit(life, "c", owner="bob")
        await life.clock.advance(2.0)
        await life.drain()
        before = waits(life, "bob")
        life.upstream.pending[0].end("picture")
        await turns()
        await life.clock.advance(2.0)
        await life.drain()
        assert places(life, "b") == [2, 1]
        assert waits(life, "bob") == before
        life.manager.followed("bob")
        await life.clock.advance(1.1)
        await life.drain()
        assert places(life, "c", "bob") == [3, 2]
        await finish(life)


@pytest.mark.parametrize("watched", [True, False])
async def test_accepting_costs_the_same_however_many_wait(*, watched: bool) -> None:
    """With 1,500 in the queue, as with none, an accept does what it has to do for one task."""
    async with Life.begin(tasks_per_owner=5000) as life:
        if watched:
            life.manager.followed("ann")
        await submit(life, "running")
        await turns()

        async def accept(name: str) -> int:
            with Steps() as steps:
                await submit(life, *(f"{name}{number}" for number in range(20)))
                await turns()
            await life.drain()
            return steps.count

        first = await accept("first")
        for number in range(1500):
            await submit(life, f"t{number}")
        await life.drain()
        assert await accept("last") < 1.2 * first
        await life.manager.cancel_all("ann", [])
        await finish(life)


async def test_a_burst_of_accepts_costs_the_same_for_each() -> None:
    """A thousand that are stored in one batch take no longer each than ten."""

    async def burst(count: int) -> float:
        async with Life.begin(tasks_per_owner=5000) as life:
            await submit(life, "running")
            await turns()
            generates = [life.submit(task_id=f"t{number}") for number in range(count)]
            with Steps() as steps:
                await gather(*generates)
                await turns()
            await life.manager.cancel_all("ann", [])
            await finish(life)
            return steps.count / count

    assert await burst(1000) < 1.5 * await burst(50)
