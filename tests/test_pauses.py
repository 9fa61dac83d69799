"""Pauses: what waits is held, what runs goes on, and nothing but an unpause, a cancel or the timeout ends them."""

from pathlib import Path
from typing import Any

import pytest

from scripted_gateway import ScriptedGateway, turns
from xinflight.errors import NotFound
from xinflight.model import Task
from xinflight.protocol import Progress, QueueInfo, State, Step, UpstreamState
from xinflight.storage import MemoryStore, SqliteStore, Store
from xinflight.tasks.paused_owners import PausedOwners


async def submit(gateway: ScriptedGateway, *task_ids: str, owner: str = "ann", **fields: Any) -> None:
    for task_id in task_ids:
        assert isinstance(await gateway.submit(owner, task_id=task_id, **fields), Task)
    await turns()


async def end_all(gateway: ScriptedGateway, how: str = "image") -> None:
    while gateway.upstream.pending:
        gateway.upstream.pending[0].end(how)
        await turns()
    await gateway.drain()


def ended(gateway: ScriptedGateway, owner: str = "ann") -> list[str | None]:
    """Return the tasks of an owner that have ended, in the order of their ends."""
    return [event.message.task_id for event in gateway.sent[owner] if event.ends]


def steps(gateway: ScriptedGateway, task_id: str) -> list[Step]:
    """Return the steps that ann was told of a task, each once."""
    messages = [event.message for event in gateway.sent["ann"] if event.message.task_id == task_id]
    told = [message.step for message in messages if isinstance(message, Progress)]
    return [step for number, step in enumerate(told) if told[number - 1 : number] != [step]]


async def test_a_paused_task_is_passed_by_others_until_it_is_unpaused() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a", "b")
        for _ in range(2):
            (paused,) = await gateway.queue.pause("ann", "a", paused=True)
            assert (paused.task_id, paused.was) == ("a", State.QUEUED)
            await gateway.drain()
        await end_all(gateway)
        assert ended(gateway) == ["running", "b"]
        assert len(gateway.upstream.posts) == 2
        for _ in range(2):
            await gateway.queue.pause("ann", "a", paused=False)
        await turns()
        await end_all(gateway)
        assert ended(gateway) == ["running", "b", "a"]
        assert Step.PAUSED in steps(gateway, "a")


async def test_what_runs_goes_on_and_the_rest_of_its_task_is_held() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "a", n=3)
        await gateway.queue.pause("ann", "a", paused=True)
        gateway.upstream.pending[0].end("image")
        await turns()
        assert gateway.upstream.pending == []
        task = gateway.pools.find("ann", "a")
        assert task is not None
        assert [output.state for output in task.outputs] == [State.COMPLETED, State.QUEUED, State.QUEUED]
        await gateway.queue.pause("ann", "a", paused=False)
        await turns()
        await end_all(gateway)
        assert ended(gateway) == ["a"]


async def test_a_pause_of_everything_holds_what_is_there_and_what_comes_but_nothing_of_others() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a")
        await submit(gateway, "his", owner="bob")
        changed = await gateway.queue.pause("ann", None, paused=True)
        assert {task.task_id: task.was for task in changed} == {"running": State.STARTING, "a": State.QUEUED}
        assert await gateway.queue.pause("ann", None, paused=True) == []
        await submit(gateway, "later")
        await end_all(gateway)
        assert (ended(gateway), ended(gateway, "bob")) == (["running"], ["his"])
        # One of them goes on alone.
        await gateway.queue.pause("ann", "later", paused=False)
        await turns()
        await end_all(gateway)
        assert ended(gateway) == ["running", "later"]
        assert (await gateway.queue.of_owner("ann")).waiting > 0
        await gateway.queue.pause("ann", None, paused=False)
        await submit(gateway, "last")
        await end_all(gateway)
        assert ended(gateway) == ["running", "later", "a", "last"]
        assert await gateway.queue.of_owner("ann") == QueueInfo(outputs=[], waiting=0, paused=False, held=False)


async def test_what_is_held_goes_on_in_its_order() -> None:
    async with ScriptedGateway.begin() as gateway:
        await gateway.queue.pause("ann", None, paused=True)
        await submit(gateway, *"abc")
        await gateway.queue.move("ann", "c", to="first")
        assert [output.task_id for output in (await gateway.queue.of_owner("ann")).outputs] == ["c", "a", "b"]
        await gateway.queue.pause("ann", None, paused=False)
        await turns()
        await end_all(gateway)
        assert ended(gateway) == ["c", "a", "b"]


@pytest.mark.parametrize("end", ["cancel", "timeout", "leave"])
async def test_what_is_held_can_be_cancelled_and_expires(end: str) -> None:
    """The timeout keeps running, and so does the grace of an owner who has left."""
    async with ScriptedGateway.begin(disconnect_grace=30.0) as gateway:
        await gateway.join("ann")
        await gateway.queue.pause("ann", None, paused=True)
        await submit(gateway, "a", timeout=60.0, on_disconnect="cancel")
        if end == "cancel":
            await gateway.front.cancel("ann", "a")
        elif end == "leave":
            gateway.leave("ann")
            await gateway.clock.advance(31.0)
        else:
            await gateway.clock.advance(61.0)
        await turns()
        await gateway.drain()
        (event,) = gateway.ends("ann", "a")
        if end == "timeout":
            assert (event.message.state, event.message.step) == (State.EXPIRED, Step.PAUSED)  # type: ignore[union-attr]
        else:
            assert event.message.upstream == "never_started"  # type: ignore[union-attr]
        assert gateway.upstream.posts == []
        # It is no error to be late.
        (late,) = await gateway.queue.pause("ann", "a", paused=False)
        assert late.was in (State.CANCELLED, State.EXPIRED)


async def test_nobody_pauses_what_is_not_there_or_not_theirs() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "running", "a")
        for owner, task_id in (("ann", "unknown"), ("bob", "a")):
            with pytest.raises(NotFound):
                await gateway.queue.pause(owner, task_id, paused=True)
        assert await gateway.queue.pause("bob", None, paused=True) == []
        await end_all(gateway)
        assert ended(gateway) == ["running", "a"]


async def test_an_output_whose_model_went_away_is_held_when_it_comes_back_to_the_queue() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "a")
        await gateway.queue.pause("ann", "a", paused=True)
        gateway.upstream.pending[0].end("gone")
        gateway.upstream.become(UpstreamState.READY, "two", "old")
        gateway.upstream.vanished.clear()
        for _ in range(10):
            await gateway.clock.advance(2.0)
        gateway.upstream.become(UpstreamState.READY, "m", "two", "old")
        await gateway.clock.advance(5.0)
        await gateway.drain()
        assert gateway.upstream.pending == []
        assert steps(gateway, "a")[-1] is Step.PAUSED
        await gateway.queue.pause("ann", None, paused=False)
        await turns()
        await end_all(gateway)
        assert ended(gateway) == ["a"]


async def test_a_refused_key_ends_what_was_held_once_it_is_let_go() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "a", "b")
        await gateway.queue.pause("ann", "b", paused=True)
        await end_all(gateway)
        gateway.upstream.become(UpstreamState.UNAUTHORISED)
        await turns()
        assert gateway.unfinished("ann", "b")
        await gateway.queue.pause("ann", "b", paused=False)
        await turns()
        await gateway.drain()
        (event,) = gateway.ends("ann", "b")
        assert event.message.code == "upstream_auth"  # type: ignore[union-attr]


async def test_a_restart_keeps_both_kinds_of_pauses() -> None:
    store = MemoryStore(1000)
    store.durable = True
    async with ScriptedGateway.begin(store) as gateway:
        await submit(gateway, "a", "b", timeout=10_000.0)
        await gateway.queue.pause("ann", "b", paused=True)
        await gateway.queue.pause("bob", None, paused=True)
        await end_all(gateway)
    async with ScriptedGateway.begin(store) as gateway:
        await gateway.watch("ann")
        await submit(gateway, "c")
        await submit(gateway, "his", owner="bob")
        await end_all(gateway)
        assert ended(gateway) == ["c"]
        assert ended(gateway, "bob") == []
        queue = await gateway.queue.of_owner("bob")
        (held,) = queue.outputs
        assert (held.task_id, held.step, queue.paused) == ("his", Step.PAUSED, True)
        await gateway.queue.pause("bob", None, paused=False)
        await gateway.queue.pause("ann", None, paused=False)
        await turns()
        await end_all(gateway)
        assert (ended(gateway), ended(gateway, "bob")) == (["c", "b"], ["his"])


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_stores_keep_who_paused(kind: str, tmp_path: Path) -> None:
    store: Store = MemoryStore(10) if kind == "memory" else SqliteStore(tmp_path, full=False)
    await store.open()
    for owner in ("bob", "ann", "ann", "cem"):
        await store.set_paused(owner, paused=True)
    for owner in ("bob", "bob", "nobody"):
        await store.set_paused(owner, paused=False)
    assert await store.paused_owners() == ["ann", "cem"]
    await store.close()


async def test_identities_that_cost_nothing_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of paused owners without a task the oldest are forgotten; whoever has tasks is not."""
    monkeypatch.setattr("xinflight.tasks.paused_owners.IDLE_OWNERS", 3)
    store = MemoryStore(10)
    owners = PausedOwners(store, lambda owner: owner == "busy")
    for owner in ("busy", *"abcdef"):
        await owners.add(owner)
    assert [owner for owner in ("busy", *"abcdef") if owner in owners] == ["busy", "d", "e", "f"]
    assert await store.paused_owners() == ["busy", "d", "e", "f"]
    again = PausedOwners(store, lambda _: False)
    await again.open()
    assert "busy" in again


async def test_a_move_of_what_is_held_is_told() -> None:
    """It has no place that would change: without the order, the board stood still until the end of the pause."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.queue.pause("ann", None, paused=True)
        await submit(gateway, *"abc")
        await gateway.clock.advance(2.0)
        await gateway.drain()
        before = len(gateway.queues["ann"])
        await gateway.queue.move("ann", "c", to="first")
        await gateway.clock.advance(1.0)
        await gateway.drain()
        (told,) = gateway.queues["ann"][before:]
        assert [output.task_id for output in told.outputs] == ["c", "a", "b"]
        # Nothing more moves: nothing more is told.
        await gateway.clock.advance(2.0)
        await gateway.drain()
        assert len(gateway.queues["ann"]) == before + 1
