"""Tasks that are to be cancelled when nobody is there: the grace begins with the last one who leaves."""

import asyncio

import msgspec
import pytest

from factories import accept, make_task
from scripted_gateway import Held, ScriptedGateway, turns
from xinflight.model import Task
from xinflight.protocol import State
from xinflight.storage import MemoryStore


async def test_a_task_that_wants_no_viewerless_life_ends_after_the_grace() -> None:
    """`on_disconnect: cancel` acts when its owner had no follower for the grace, not before, and not for others."""
    async with ScriptedGateway.begin(disconnect_grace=30.0) as gateway:
        for owner in ("ann", "bob"):
            await gateway.join(owner)
        await gateway.submit("ann", task_id="stays")
        await gateway.submit("ann", task_id="goes", on_disconnect="cancel")
        await gateway.submit("bob", task_id="his", on_disconnect="cancel")
        gateway.leave("ann")
        await gateway.clock.advance(29.0)
        await gateway.drain()
        assert gateway.ends("ann", "goes") == []
        # Back in time, then away again: the grace starts anew.
        await gateway.join("ann")
        await gateway.clock.advance(10.0)
        gateway.leave("ann")
        await gateway.clock.advance(29.0)
        await gateway.drain()
        assert gateway.ends("ann", "goes") == []
        await gateway.clock.advance(2.0)
        await gateway.drain()
        (end,) = gateway.ends("ann", "goes")
        assert type(end.message).__name__ == "Cancelled"
        assert gateway.ends("ann", "stays") == []
        assert gateway.ends("bob", "his") == []
        gateway.leave("bob")
        while gateway.upstream.pending:
            for post in gateway.upstream.pending:
                post.end("image")
            await turns()


async def test_a_second_follower_keeps_the_first_ones_task() -> None:
    """The grace starts with the last follower's going."""
    async with ScriptedGateway.begin(disconnect_grace=30.0) as gateway:
        await gateway.join("ann")
        await gateway.join("ann")
        await gateway.submit("ann", task_id="a", on_disconnect="cancel")
        gateway.leave("ann")
        await gateway.clock.advance(100.0)
        await gateway.drain()
        assert gateway.ends("ann", "a") == []
        gateway.leave("ann")
        await gateway.clock.advance(31.0)
        gateway.upstream.pending[0].end("aborted")
        await turns()
        await gateway.drain()
        assert len(gateway.ends("ann", "a")) == 1


async def test_an_owner_who_leaves_before_the_acceptance_is_stored() -> None:
    """The grace starts with the acceptance where nobody is there any more: such a task must not run for nobody."""
    async with ScriptedGateway.begin(disconnect_grace=30.0) as gateway:
        await gateway.join("ann")
        store = Held(gateway.store, "commit")
        submitting = asyncio.create_task(gateway.submit(task_id="a", on_disconnect="cancel"))
        await store.entered.wait()
        gateway.leave("ann")
        await gateway.clock.advance(31.0)
        store.go_on.set()
        assert isinstance(await submitting, Task)
        await gateway.clock.advance(29.0)
        assert gateway.unfinished("ann", "a")
        await gateway.clock.advance(2.0)
        gateway.upstream.pending[0].end("aborted")
        await turns()
        await gateway.drain()
        assert len(gateway.ends("ann", "a")) == 1


@pytest.mark.parametrize("returns", [True, False])
async def test_the_grace_of_those_who_are_away_starts_with_a_restart(*, returns: bool) -> None:
    """What the last process left for nobody is cancelled after the grace, unless its owner returns."""
    store = MemoryStore(1000)
    for task_id, mode in (("goes", "cancel"), ("stays", "continue")):
        task = make_task(task_id, pool="m")
        task.params = msgspec.structs.replace(task.params, on_disconnect=mode)
        task.deadline = 1_800_000_000.0
        await store.commit([accept(task)])
    async with ScriptedGateway.begin(store, disconnect_grace=30.0) as gateway:
        await gateway.clock.advance(29.0)
        assert gateway.unfinished("ann", "goes")
        if returns:
            await gateway.join("ann")
        await gateway.clock.advance(2.0)
        for post in gateway.upstream.pending:
            post.end("aborted" if post.aborted else "image")
        await turns()
        for post in gateway.upstream.pending:
            post.end("image")
        await turns()
        tasks = {task_id: await store.task("ann", task_id) for task_id in ("goes", "stays")}
        states = [task.state for task in tasks.values() if task is not None]
        assert states == [State.COMPLETED if returns else State.CANCELLED, State.COMPLETED]
