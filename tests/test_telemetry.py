"""What happens is told once, with the times that people feel; what waits and runs is counted as it changes."""

from collections import Counter

import pytest

from factories import accept, make_task
from scripted_gateway import RecordingTelemetry, ScriptedGateway, turns
from xinflight.errors import StorageUnavailable
from xinflight.journal.journal import CHARGE_SECONDS
from xinflight.protocol import State
from xinflight.storage import MemoryStore
from xinflight.tasks import PoolLoad
from xinflight.telemetry import UNCOUNTED, Telemetry
from xinflight.upstream import TEXT2IMAGE, Attempt

KIND = "text2image"


def recounted(gateway: ScriptedGateway) -> dict[str, Counter[tuple[str, State]]]:
    """Count the unfinished outputs of each pool by looking at all of them."""
    return {
        runner.pool: Counter(
            (run.task.kind, run.output.state)
            for active in runner.ledger.tasks.all()
            for run in active.runs
            if not run.output.ended
        )
        for runner in gateway.pools.runners()
    }


def load(gateway: ScriptedGateway, pool: str = "m") -> PoolLoad:
    """Return the load of a pool; hold that what is counted on the way is what there is."""
    loads = {runner.pool: runner.load() for runner in gateway.pools.runners()}
    assert {pool: +Counter(load.outputs) for pool, load in loads.items()} == recounted(gateway)
    assert all(number >= 0 for each in loads.values() for number in each.outputs.values())
    return loads[pool]


async def test_an_output_is_told_from_its_acceptance_to_its_end() -> None:
    async with ScriptedGateway.begin() as gateway:
        telemetry = gateway.telemetry
        await gateway.submit(task_id="a", model="m")
        await gateway.submit(task_id="b", model="m")
        await turns()
        assert load(gateway) == PoolLoad(
            pool="m",
            tasks=2,
            outputs={(KIND, State.QUEUED): 1, (KIND, State.STARTING): 1},
            waiting=1,
            slots=1,
            taken=1,
            quarantined=0,
        )
        assert telemetry.of("started") == [["m", KIND, 0.0]]
        assert telemetry.of("attempt_sent") == [["m", KIND]]
        began = gateway.clock.time()
        await gateway.clock.advance(5.0)
        assert not telemetry.of("first_progress")
        [post] = gateway.upstream.pending
        gateway.upstream.advance(post, 0.5)
        while not telemetry.of("first_progress"):
            await gateway.clock.advance(1.0)
        took = gateway.clock.time() - began
        [[model, kind, seconds]] = telemetry.of("first_progress")
        assert (model, kind) == ("m", KIND)
        assert took - 1.0 <= seconds <= took
        assert telemetry.of("polled")
        assert load(gateway).outputs[KIND, State.RUNNING] == 1
        post.end("image")
        await turns()
        assert telemetry.of("output_ended") == [["m", KIND, State.COMPLETED, took]]
        assert telemetry.of("started") == [["m", KIND, 0.0], ["m", KIND, took]]
        assert len(telemetry.of("first_progress")) == 1
        assert load(gateway).tasks == 1
        gateway.upstream.pending[0].end("image")
        await turns()
        assert load(gateway).tasks == load(gateway).taken == 0
        # Its result was the first that anybody saw of it.
        assert telemetry.of("first_progress")[1] == ["m", KIND, took]
        await gateway.clock.advance(CHARGE_SECONDS)
        writes = sum(writes for _, writes in telemetry.of("committed"))
        # And of the one that had to wait, that its request is sent; the other one is charged for its time.
        assert writes == 2 * len(("accept", "output", "end")) + len(("sending", "charge"))
        assert not telemetry.of("commit_failed")


async def test_the_first_progress_of_what_nobody_watches_is_not_told() -> None:
    async with ScriptedGateway.begin() as gateway:
        gateway.watching = False
        await gateway.submit(task_id="a")
        await turns()
        gateway.upstream.pending[0].end("image")
        await turns()
        assert len(gateway.telemetry.of("output_ended")) == 1
        assert not gateway.telemetry.of("first_progress")


async def test_attempts_that_fail_are_told_by_code_whether_tried_again_or_not() -> None:
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a", model="m")
        for how in ("busy", "died", "gone", "error"):
            await gateway.clock.advance(10.0)
            gateway.upstream.pending[0].end(how)
            await turns()
        assert gateway.telemetry.of("attempt_failed") == [
            ["m", KIND, code] for code in ("upstream_busy", "upstream_died", "model_not_found", "upstream_failed")
        ]
        assert len(gateway.telemetry.of("attempt_sent")) == 4
        assert [ended[2] for ended in gateway.telemetry.of("output_ended")] == [State.FAILED]
        assert load(gateway).tasks == 0


@pytest.mark.parametrize("model", ["m", "old"])
async def test_a_cancel_is_told_with_its_outcome_and_the_slot_that_it_leaves_behind(model: str) -> None:
    """A request that goes on holds its slot in quarantine until it is known to have ended."""
    async with ScriptedGateway.begin() as gateway:
        for task_id in ("a", "b"):
            await gateway.submit(task_id=task_id, model=model)
        await turns()
        [post] = gateway.upstream.pending
        for task_id in ("b", "a"):
            await gateway.front.cancel("ann", task_id)
        await turns()
        told = [["never_started", 0.0]]
        if model == "m":
            assert load(gateway, model).outputs[KIND, State.CANCELLING] == 1
            assert load(gateway, model).quarantined == 0
            assert gateway.telemetry.of("cancelled") == told
            await gateway.clock.advance(TEXT2IMAGE.timeouts.silence / 2)
            [_, (outcome, seconds)] = gateway.telemetry.of("cancelled")
            assert outcome == "unconfirmed"
            assert TEXT2IMAGE.timeouts.confirm <= seconds <= TEXT2IMAGE.timeouts.silence / 2
        else:
            assert gateway.telemetry.of("cancelled") == [*told, ["running_on", 0.0]]
        assert (load(gateway, model).taken, load(gateway, model).quarantined) == (1, 1)
        post.end("aborted")
        await gateway.clock.advance(10.0)
        assert (load(gateway, model).taken, load(gateway, model).quarantined) == (0, 0)


async def test_what_waits_while_it_is_paused_waits_anew_afterwards() -> None:
    """The pause is the owner's own; it is not the queue's."""
    async with ScriptedGateway.begin() as gateway:
        for task_id in ("a", "b"):
            await gateway.submit(task_id=task_id, model="m")
        await turns()
        await gateway.queue.pause("ann", "b", paused=True)
        assert load(gateway).waiting == 0
        await gateway.clock.advance(100.0)
        gateway.upstream.pending[0].end("image")
        await turns()
        await gateway.queue.pause("ann", "b", paused=False)
        await turns()
        assert gateway.telemetry.of("started") == [["m", KIND, 0.0], ["m", KIND, 0.0]]
        gateway.upstream.pending[0].end("image")
        await turns()


async def test_what_a_held_server_has_in_quarantine_is_told_of_all_its_slots() -> None:
    """A hold starts nothing; without its free slots, one quarantined slot of many would look like all of them."""
    async with ScriptedGateway.begin() as gateway:
        await gateway.submit(task_id="a", model="old")
        await turns()
        await gateway.front.cancel("ann", "a")
        gateway.queue.hold(held=True)
        for pool in ("m", "old"):
            assert load(gateway, pool).slots == 1
        assert (load(gateway, "old").taken, load(gateway, "old").quarantined) == (1, 1)
        gateway.upstream.pending[0].end("aborted")
        await turns()


async def test_requests_of_the_last_life_hold_their_slots_in_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    store, task = MemoryStore(1000), make_task("a", pool="m")
    task.deadline = 1_800_000_000.0
    task.outputs[0].state = State.RUNNING
    await store.commit([accept(task)])
    progress = 0.5

    async def shows(attempt: Attempt) -> float:
        return progress

    monkeypatch.setattr(Attempt, "progress", shows)
    async with ScriptedGateway.begin(store) as gateway:
        await gateway.clock.advance(5.0)
        assert (load(gateway).taken, load(gateway).quarantined) == (1, 1)
        progress = 1.0
        await gateway.clock.advance(10.0)
        assert (load(gateway).taken, load(gateway).quarantined) == (1, 0)
        gateway.upstream.pending[0].end("image")
        await turns()
        assert load(gateway).tasks == 0


async def test_a_store_that_accepts_nothing_is_told() -> None:
    async with ScriptedGateway.begin() as gateway:

        async def refuse(writes: object) -> None:
            raise StorageUnavailable(detail="full")

        commit, gateway.store.commit = gateway.store.commit, refuse  # type: ignore[method-assign, assignment]
        await gateway.submit(task_id="a")
        gateway.store.commit = commit  # type: ignore[method-assign]
        assert gateway.telemetry.of("commit_failed") == [[]]


async def test_a_background_task_that_fails_is_told_each_time() -> None:
    async with ScriptedGateway.begin() as gateway:

        async def fail() -> None:
            raise KeyError("a bug")

        gateway.supervisor.start("flaky", fail)
        await gateway.clock.advance(2.5)
        assert gateway.telemetry.of("task_failed") == [["flaky"], ["flaky"]]
        await gateway.supervisor.stop("flaky")


def test_the_default_counts_nothing() -> None:
    """Every method exists in the recording one, takes what it says, and returns None by default."""
    recording = RecordingTelemetry()
    names = [name for name in vars(Telemetry) if not name.startswith("_")]
    assert len(names) > 10
    for name in names:
        arguments = [""] * (getattr(Telemetry, name).__code__.co_argcount - 1)
        assert getattr(UNCOUNTED, name)(*arguments) is None
        getattr(recording, name)(*arguments)
    assert [name for name, *_ in recording.calls] == names
