"""Places in the queue: everybody who watches hears of every move, and nobody hears what has not changed."""

from asyncio import gather
from typing import Any

import pytest

from clients import Steps
from scripted_gateway import ScriptedGateway, turns
from xinflight.model import Task
from xinflight.protocol import Progress


def places(gateway: ScriptedGateway, task_id: str, owner: str = "ann") -> list[int]:
    """Return the places that an owner was told of a task, each once: first with its progress, then in queues."""
    messages = [event.message for event in gateway.sent[owner]]
    told = [m.position for m in messages if isinstance(m, Progress) and m.task_id == task_id]
    told += [place.position for queue in gateway.queues[owner] for place in queue.outputs if place.task_id == task_id]
    found: list[int] = []
    for place in told:
        if place is not None and found[-1:] != [place]:
            found.append(place)
    return found


async def submit(gateway: ScriptedGateway, *task_ids: str, owner: str = "ann", **fields: Any) -> None:
    for task_id in task_ids:
        assert isinstance(await gateway.submit(owner, task_id=task_id, **fields), Task)


async def work(gateway: ScriptedGateway, seconds: int, *, so_far: int = 0) -> None:
    """Let the image that runs come further: it takes 10 s."""
    for done in range(so_far + 1, so_far + seconds + 1):
        await gateway.clock.advance(1.0)
        gateway.upstream.advance(gateway.upstream.pending[0], done / 10)


async def finish(gateway: ScriptedGateway) -> None:
    """Make everything that is left."""
    while gateway.upstream.pending:
        gateway.upstream.pending[0].end("image")
        await turns()


async def test_places_follow_every_move_although_others_arrive() -> None:
    """A new task within the second after a move does not swallow the news of the move."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", *"abcde")
        await turns()
        await gateway.clock.advance(2.0)
        await gateway.drain()
        for number in range(5):
            gateway.upstream.pending[0].end("image")
            await turns()
            await submit(gateway, f"new-{number}")
            await gateway.clock.advance(1.1)
            await gateway.drain()
        for place, task_id in enumerate("abcde", start=1):
            assert places(gateway, task_id) == list(range(place, 0, -1))
        assert places(gateway, "new-4")[-1:] == [5]
        await finish(gateway)


async def test_what_starts_at_once_has_no_place() -> None:
    """Of several outputs that come together, the places are those of the outputs that find no free slot."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "together", n=5, model="two")
        await gateway.drain()
        snapshots = [event.message for event in gateway.sent["ann"] if isinstance(event.message, Progress)]
        assert {m.index: m.position for m in snapshots if m.position is not None} == {2: 1, 3: 2, 4: 3}
        assert all(m.state != "queued" for m in snapshots if m.index < 2)
        while gateway.upstream.pending:
            gateway.upstream.pending[0].end("image")
            await turns()


async def test_a_new_one_hears_its_place_at_once() -> None:
    """Its first snapshot has it, also that of one who goes before others."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a", "b")
        await submit(gateway, "first", priority=1)
        await gateway.drain()
        assert [places(gateway, task_id) for task_id in ("running", "a", "b", "first")] == [[], [1], [2], [1]]
        await finish(gateway)


async def test_many_moves_within_a_second_are_one_message() -> None:
    """What people can read, whatever the queue does; one who is back at the old place hears nothing."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "last")
        for number in range(20):
            await submit(gateway, f"x{number}", priority=1)
        for number in range(19):
            await gateway.front.cancel("ann", f"x{number}")
            await gateway.drain()
        await gateway.clock.advance(1.1)
        await gateway.drain()
        assert places(gateway, "last") == [1, 2]
        told = len(gateway.queues["ann"])
        for number in range(20, 40):
            await submit(gateway, f"x{number}", priority=1)
            await gateway.front.cancel("ann", f"x{number}")
        await gateway.clock.advance(2.0)
        await gateway.drain()
        assert len(gateway.queues["ann"]) == told
        await finish(gateway)


async def test_waiting_is_told_again_only_when_it_is_news() -> None:
    """A time that passes as it was told is no news; a place, or a time that is off by more than a fifth, is."""
    async with ScriptedGateway.begin(tasks_per_owner=5000) as gateway:
        await submit(gateway, "known")
        await turns()
        await work(gateway, 10)
        gateway.upstream.pending[0].end("image")
        await turns()
        await submit(gateway, "running", *(f"t{number}" for number in range(50)))
        await turns()
        await work(gateway, 3)
        await gateway.drain()
        told = gateway.queues["ann"]
        before = len(told)
        # Right as told: the one that runs needs 10 s.
        await work(gateway, 6, so_far=3)
        await gateway.drain()
        assert len(told) == before
        # Everybody moves up: one message.
        gateway.upstream.pending[0].end("image")
        await turns()
        await gateway.clock.advance(1.0)
        await gateway.drain()
        assert len(told) == before + 1
        assert [place.task_id for place in told[-1].outputs] == [f"t{number}" for number in range(1, 50)]
        # It takes much longer than told: that is told again, though not every second.
        await gateway.clock.advance(10.0)
        await gateway.drain()
        assert before + 1 < len(told) < before + 11
        await finish(gateway)


async def test_who_does_not_watch_is_told_when_coming_back() -> None:
    """Nothing is told to nobody; whoever comes back is up to date within a second."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a", "b")
        # In turn with ann: first, a, second, b.
        await submit(gateway, "first", "second", owner="bob")
        await gateway.clock.advance(2.0)
        await gateway.unwatch("bob")
        before = list(gateway.queues["bob"])
        gateway.upstream.pending[0].end("image")
        await turns()
        await gateway.clock.advance(2.0)
        await gateway.drain()
        assert places(gateway, "b")[-2:] == [4, 3]
        assert gateway.queues["bob"] == before
        await gateway.watch("bob")
        await gateway.clock.advance(1.1)
        await gateway.drain()
        assert places(gateway, "second", "bob") == [3, 2]
        await finish(gateway)


@pytest.mark.parametrize("watched", [True, False])
async def test_accepting_costs_the_same_however_many_wait(*, watched: bool) -> None:
    """With 1,500 in the queue, as with none, an accept does what it has to do for one task."""
    async with ScriptedGateway.begin(tasks_per_owner=5000) as gateway:
        if watched:
            await submit(gateway, "running")
        await turns()

        async def accept(name: str) -> int:
            with Steps() as steps:
                await submit(gateway, *(f"{name}{number}" for number in range(20)))
                await turns()
            await gateway.drain()
            return steps.count

        first = await accept("first")
        for number in range(1500):
            await submit(gateway, f"t{number}")
        await gateway.drain()
        assert await accept("last") < 1.2 * first
        await gateway.front.cancel_all("ann", [])
        await finish(gateway)


async def test_a_burst_of_accepts_costs_the_same_for_each() -> None:
    """A thousand that are stored in one batch take no longer each than ten."""

    async def burst(count: int) -> float:
        async with ScriptedGateway.begin(tasks_per_owner=5000) as gateway:
            await submit(gateway, "running")
            await turns()
            generates = [gateway.submit(task_id=f"t{number}") for number in range(count)]
            with Steps() as steps:
                await gather(*generates)
                await turns()
            await gateway.front.cancel_all("ann", [])
            await finish(gateway)
            return steps.count / count

    assert await burst(1000) < 1.5 * await burst(50)
