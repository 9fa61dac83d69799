"""What an owner pays for: the seconds from the first request in a slot until it is free, whatever came of it."""

import pytest
from msgspec.structs import replace

from scripted_gateway import MODELS, ScriptedGateway, turns
from xinflight.errors import TooManyTasks
from xinflight.model import Task, Usage, day_of
from xinflight.protocol import UpstreamState
from xinflight.storage import MemoryStore
from xinflight.tasks import costs


async def submit(gateway: ScriptedGateway, owner: str, *task_ids: str, **fields: object) -> None:
    for task_id in task_ids:
        assert isinstance(await gateway.submit(owner, task_id=task_id, **fields), Task)
    await turns()


async def finish(gateway: ScriptedGateway, seconds: float, how: str = "image") -> None:
    """Let what is under way go on for so long, then end the oldest."""
    await gateway.clock.advance(seconds)
    gateway.upstream.pending[0].end(how)
    await turns()


async def usage(gateway: ScriptedGateway, owner: str = "ann") -> Usage:
    """Return what an owner used today."""
    today = day_of(gateway.clock.time())
    await gateway.journal.store_charges()
    days = await gateway.store.usage(owner, first=today, last=today)
    return days[0] if days else Usage(owner=owner, day=today)


async def test_what_was_made_is_counted() -> None:
    async with ScriptedGateway.begin() as gateway:
        task = await gateway.submit("ann", n=2)
        assert isinstance(task, Task)
        await turns()
        await finish(gateway, 3.0)
        await finish(gateway, 4.0)
        used = await usage(gateway)
        assert used.seconds == pytest.approx(7.0)
        assert used.outputs == 2
        assert used.bytes == sum(output.file.bytes for output in task.outputs if output.file is not None) > 0
        assert await usage(gateway, "bob") == Usage(owner="bob", day=used.day)


async def test_a_slot_of_several_costs_its_part_of_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four side by side pay for one replica together, also while they run for longer than was thought."""
    monkeypatch.setitem(MODELS, "m", replace(MODELS["m"], slots=4))
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "ann", "a", "b", "c", "d")
        assert len(gateway.upstream.pending) == 4
        await gateway.clock.advance(100.0)
        scheduler = gateway.runner("m")._scheduler
        scheduler._charge_overdue()
        assert [job.charged for job in scheduler._jobs.values()] == [pytest.approx(25.0)] * 4
        for _ in range(4):
            await finish(gateway, 0.0)
        assert (await usage(gateway)).seconds == pytest.approx(100.0)
        await submit(gateway, "ann", "e")
        await finish(gateway, 8.0)
        assert (await usage(gateway)).seconds == pytest.approx(102.0)


@pytest.mark.parametrize(("model", "confirmed"), [("m", 2.0), ("old", 6.0)])
async def test_cancelled_work_is_paid_until_its_slot_is_free(model: str, confirmed: float) -> None:
    """With a true cancel soon; where the model can't be stopped it costs as if it had not been cancelled."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "ann", "a", model=model)
        await gateway.clock.advance(4.0)
        await gateway.front.cancel("ann", "a")
        await turns()
        assert (await usage(gateway)).seconds == 0.0
        await finish(gateway, confirmed, "aborted" if model == "m" else "image")
        used = await usage(gateway)
        assert used.seconds == pytest.approx(4.0 + confirmed)
        assert (used.outputs, used.bytes) == (0, 0)


async def test_what_was_never_sent_costs_nothing() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "bob", "running")
        await submit(gateway, "ann", "a", "b")
        await gateway.clock.advance(30.0)
        for task_id in "ab":
            await gateway.front.cancel("ann", task_id)
        await finish(gateway, 1.0)
        assert (await usage(gateway)).seconds == 0.0
        tags = await gateway.store.tags("m")
        assert tags.finish == {"bob": pytest.approx(31.0)}


async def test_what_waits_again_has_paid_for_its_slot() -> None:
    """Its model is gone for good: it pays for what it had of that, and again where it is made."""
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "ann", "a")
        await finish(gateway, 5.0, "died")
        gateway.upstream.become(UpstreamState.READY, "two")
        await turns()
        await gateway.clock.advance(60.0)
        gateway.upstream.become(UpstreamState.READY, "m", "two")
        await turns()
        gone = await usage(gateway)
        assert gone.outputs == 0
        assert gone.seconds >= 5.0
        await gateway.clock.advance(5.0)
        await finish(gateway, 0.0)
        used = await usage(gateway)
        assert used.outputs == 1
        assert used.seconds > gone.seconds


async def test_an_error_is_paid_for() -> None:
    async with ScriptedGateway.begin() as gateway:
        await submit(gateway, "ann", "a")
        await finish(gateway, 5.0, "error")
        used = await usage(gateway)
        assert used.seconds == pytest.approx(5.0)
        assert used.outputs == 0


class Folder(MemoryStore):
    """A store that outlives its gateways, as a folder does."""

    durable = True


async def run_all(gateway: ScriptedGateway, seconds: float) -> list[str]:
    """Let everything be made on one slot, each in so many seconds; return the task ids in their order."""
    made = []
    while gateway.upstream.pending:
        unfinished = [task for owner in ("ann", "bob", "eve") for task in gateway.pools.of_owner(owner)]
        names = {output.request_id: task.task_id for task in unfinished for output in task.outputs}
        made.append(names[gateway.upstream.pending[0].request_id])
        await finish(gateway, seconds)
    return made


@pytest.mark.parametrize("again", [False, True])
async def test_debts_outlive_a_restart(*, again: bool) -> None:
    """Who had the model to themselves before a restart goes behind others after it."""
    store = Folder(1000)
    async with ScriptedGateway.begin(store) as gateway:
        await submit(gateway, "ann", "a")
        await finish(gateway, 20.0)
    async with ScriptedGateway.begin(store if again else None) as gateway:
        await submit(gateway, "eve", "running")
        await submit(gateway, "ann", "b")
        await submit(gateway, "bob", "c")
        assert await run_all(gateway, 1.0) == ["running", "c", "b"] if again else ["running", "b", "c"]


async def test_those_who_wait_at_a_restart_go_back_with_their_debts() -> None:
    """What ann had before counts against the rest of ann's queue, although ann was there first."""
    store = Folder(1000)
    async with ScriptedGateway.begin(store) as gateway:
        await submit(gateway, "ann", "a", "b", "c")
        await submit(gateway, "bob", "d", "e")
        await finish(gateway, 50.0)
    async with ScriptedGateway.begin(store) as gateway:
        assert await run_all(gateway, 10.0) == ["d", "e", "b", "c"]


async def test_the_order_of_acceptance_outlives_a_restart_and_a_clock_that_is_set_back() -> None:
    store = Folder(1000)
    names = [f"t{number}" for number in range(6)]
    async with ScriptedGateway.begin(store) as gateway:
        for name in names[:4]:
            await submit(gateway, "ann", name)
            gateway.clock.now -= 100.0
    async with ScriptedGateway.begin(store) as gateway:
        await submit(gateway, "ann", *names[4:])
        assert await run_all(gateway, 1.0) == names


# When there is room again


async def refused(gateway: ScriptedGateway, owner: str) -> float | None:
    error = await gateway.submit(owner)
    assert isinstance(error, TooManyTasks)
    return error.retry_after


async def test_who_has_too_many_is_told_when_one_of_theirs_ends() -> None:
    async with ScriptedGateway.begin(tasks_per_owner=2) as gateway:
        await submit(gateway, "ann", "a", "b")
        # Nothing is known yet: a guess that falls with the clock, within bounds.
        assert await refused(gateway, "ann") == costs.UNKNOWN
        await gateway.clock.advance(40.0)
        assert await refused(gateway, "ann") == costs.UNKNOWN - 40.0
        await gateway.clock.advance(30.0)
        assert await refused(gateway, "ann") == 1.0
        await finish(gateway, 0.0)
        await finish(gateway, 20.0)
        await submit(gateway, "ann", "c", "d")
        mean = await refused(gateway, "ann")
        assert mean is not None
        await submit(gateway, "bob", "e", "f")
        in_turn = await refused(gateway, "bob")
        assert in_turn is not None
        assert mean < in_turn <= 600.0, "after ann's"
        await run_all(gateway, 1.0)


async def test_a_full_server_tells_when_anything_ends() -> None:
    async with ScriptedGateway.begin(tasks=2) as gateway:
        await submit(gateway, "ann", "a")
        await submit(gateway, "bob", "b")
        await gateway.clock.advance(15.0)
        assert await refused(gateway, "eve") == costs.UNKNOWN - 15.0
        await run_all(gateway, 1.0)


async def test_without_a_model_it_is_a_guess() -> None:
    async with ScriptedGateway.begin(tasks=1) as gateway:
        gateway.upstream.become(UpstreamState.UNREACHABLE)
        await turns()
        await submit(gateway, "ann", "a")
        assert await refused(gateway, "ann") == costs.UNKNOWN


async def test_after_a_restart_costs_are_known() -> None:
    """Else all that starts would be charged a guess at first, which lets the debts of others pass."""
    store = Folder(1000)
    async with ScriptedGateway.begin(store) as gateway:
        await submit(gateway, "ann", "a")
        await finish(gateway, 20.0)
    async with ScriptedGateway.begin(store, tasks=1) as gateway:
        await submit(gateway, "ann", "b")
        assert await refused(gateway, "bob") == 20.0
        await run_all(gateway, 1.0)
