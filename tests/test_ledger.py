"""The ledger: each output ends once, only legal moves are made, and an end counts when it is stored."""

import asyncio
from itertools import product

import pytest

from factories import make_task
from scripted_gateway import Held, ScriptedGateway, turns
from xinflight.errors import Internal, TaskUnfinished
from xinflight.model import MOVES, MediaInfo
from xinflight.protocol import CancelOutcome, State
from xinflight.tasks.runs import OutputRun

FILE = MediaInfo(media_type="image/jpeg", width=64, height=64, bytes=100)


async def waiting_run(gateway: ScriptedGateway) -> OutputRun:
    """Return a run that waits behind another one."""
    for task_id in ("running", "a"):
        await gateway.submit(task_id=task_id)
    await turns()
    active = gateway.runner("m").ledger.tasks.find("ann", "a")
    assert active is not None
    return active.runs[0]


async def finish(gateway: ScriptedGateway) -> None:
    while gateway.upstream.pending:
        gateway.upstream.pending[0].end("image")
        await turns()


@pytest.mark.parametrize("first", ["cancel", "fail"])
async def test_an_output_ends_once(first: str) -> None:
    """Whoever comes second changes nothing; an output that is made after its end is a bug that shows."""
    async with ScriptedGateway.begin() as gateway:
        run = await waiting_run(gateway)
        ledger = gateway.runner("m").ledger
        if first == "cancel":
            ledger.cancel(run, CancelOutcome.NEVER_STARTED)
            ledger.fail(run, Internal())
            ledger.expire(run.active)
        else:
            ledger.fail(run, Internal())
            ledger.cancel(run, CancelOutcome.NEVER_STARTED)
        with pytest.raises(AssertionError):
            _ = ledger.complete(run, FILE)
        await turns()
        await gateway.drain()
        (end,) = gateway.ends("ann", "a")
        assert type(end.message).__name__ == ("Cancelled" if first == "cancel" else "Error")
        assert (run.output.code, run.output.upstream) == (
            (None, CancelOutcome.NEVER_STARTED) if first == "cancel" else ("internal", None)
        )
        await finish(gateway)


@pytest.mark.parametrize(("state", "to"), [pair for pair in product(State, State) if pair[1] not in MOVES[pair[0]]])
def test_an_illegal_move_raises_and_changes_nothing(state: State, to: State) -> None:
    output = make_task().outputs[0]
    output.state = state
    with pytest.raises(AssertionError, match=f"{state} can't become {to}"):
        output.move(to)
    assert output.state is state


async def test_an_ended_task_is_known_here_until_its_end_is_stored() -> None:
    """Whoever asks meanwhile finds the end, not what the store still has; nothing is deleted before."""
    async with ScriptedGateway.begin() as gateway:
        await waiting_run(gateway)
        commits = Held(gateway.store, "commit")
        await gateway.front.cancel("ann", "a")
        await commits.entered.wait()
        task = await gateway.front.find("ann", "a")
        assert task is not None
        assert (task.state, task.ended) == (State.CANCELLED, True)
        kept = await gateway.store.task("ann", "a")
        assert kept is not None
        assert not kept.ended
        with pytest.raises(TaskUnfinished):
            await gateway.front.delete("ann", "a")
        assert gateway.ends("ann", "a") == []
        commits.go_on.set()
        await turns()
        assert not gateway.unfinished("ann", "a")
        assert await gateway.front.delete("ann", "a") is not None
        await gateway.drain()
        assert len(gateway.ends("ann", "a")) == 1
        await finish(gateway)


async def test_a_task_ends_with_its_last_output_only() -> None:
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a", n=3)
        await turns()
        await gateway.front.cancel("ann", "a", 2)
        for number in range(2):
            await gateway.drain()
            assert gateway.ends("ann", "a") == [], number
            gateway.upstream.pending[0].end("image")
            await turns()
        await gateway.drain()
        (end,) = gateway.ends("ann", "a")
        assert end.message.cancelled == [2]  # type: ignore[union-attr]
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("output")]
