"""Pools: opened and closed as models come and go, and no task is left in one that nobody runs."""

import asyncio

import msgspec

from factories import accept, make_task
from scripted_gateway import Held, ScriptedGateway, turns
from xinflight.model import Task
from xinflight.protocol import State, UpstreamState
from xinflight.storage import MemoryStore
from xinflight.tasks.pool_runner import UNASSIGNED


async def finish(gateway: ScriptedGateway) -> None:
    """Complete whatever is asked for."""
    while gateway.upstream.pending:
        gateway.upstream.pending[0].end("image")
        await turns()


async def become(gateway: ScriptedGateway, state: UpstreamState, *uids: str) -> None:
    """Change the state and the models of the upstream, and apply it."""
    gateway.upstream.become(state, *uids)
    await turns()


def open_pools(gateway: ScriptedGateway) -> set[str]:
    """Return the pools that are run, each by a dispatcher of its own."""
    pools = set(gateway.pools._runners)
    names = gateway.supervisor._tasks.keys()
    assert {name.removeprefix("dispatch ") for name in names if name.startswith("dispatch ")} == pools
    return pools


async def accepted(gateway: ScriptedGateway, owner: str, task_id: str, **fields: object) -> Task:
    task = await gateway.submit(owner, task_id=task_id, **fields)
    assert isinstance(task, Task)
    return task


async def stored(gateway: ScriptedGateway, task_id: str, owner: str = "ann") -> tuple[str, State]:
    """Return pool and state of a task as it is stored."""
    task = await gateway.store.task(owner, task_id)
    assert task is not None
    return task.pool, task.state


async def test_tasks_of_an_unknown_model_are_handed_over_in_the_order_of_their_acceptance() -> None:
    """Whoever asked first is first when the model appears; then owners take turns, each in the order of asking."""
    async with ScriptedGateway.begin() as gateway:
        await become(gateway, UpstreamState.UNREACHABLE, "m")
        names: dict[str, str] = {}
        for number in range(6):
            task = await accepted(gateway, "ann" if number % 3 else "bob", f"t{number}", model="two")
            names[task.outputs[0].request_id] = task.task_id
            assert task.pool == UNASSIGNED
        await become(gateway, UpstreamState.READY, "m")
        assert gateway.upstream.posts == []
        await become(gateway, UpstreamState.READY, "m", "two")
        assert len(gateway.upstream.posts) == 2
        await finish(gateway)
        order = [names[post.request_id] for post in gateway.upstream.posts]
        assert order[:2] == ["t0", "t1"]
        for of_owner in (["t0", "t3"], ["t1", "t2", "t4", "t5"]):
            assert [name for name in order if name in of_owner] == of_owner
        assert {post.uid for post in gateway.upstream.posts} == {"two"}
        assert await stored(gateway, "t1") == ("two", State.COMPLETED)


async def test_an_output_cancelled_meanwhile_holds_up_no_other_of_its_task() -> None:
    """What is left of a task is handed over."""
    async with ScriptedGateway.begin() as gateway:
        await become(gateway, UpstreamState.UNREACHABLE, "m")
        await accepted(gateway, "ann", "a", model="two", n=3)
        await gateway.front.cancel("ann", "a", 1)
        await become(gateway, UpstreamState.READY, "m", "two")
        await finish(gateway)
        assert len(gateway.upstream.posts) == 2
        task = await gateway.store.task("ann", "a")
        assert task is not None
        assert [output.state for output in task.outputs] == [State.COMPLETED, State.CANCELLED, State.COMPLETED]


async def test_writes_that_wait_while_a_task_is_handed_over_are_stored() -> None:
    """They carry the fence of the pool that they were made in, which is not that of the new one."""
    store = MemoryStore(1000)
    for _ in range(5):
        await store.lease(UNASSIGNED)
    async with ScriptedGateway.begin(store) as gateway:
        await become(gateway, UpstreamState.UNREACHABLE, "m")
        await accepted(gateway, "ann", "a", model="two", n=2)
        commits = Held(store, "commit")
        await gateway.front.cancel("ann", "a", 1)
        await turns()
        assert commits.entered.is_set()
        await become(gateway, UpstreamState.READY, "m", "two")
        commits.go_on.set()
        await turns()
        await finish(gateway)
        assert not gateway.journal.broken
        assert await stored(gateway, "a") == ("two", State.COMPLETED)


async def test_a_pool_is_closed_when_its_models_are_gone_and_nothing_waits_there() -> None:
    """One that has a task stays; each is opened again with its model."""
    async with ScriptedGateway.begin() as gateway:
        assert open_pools(gateway) == {UNASSIGNED, "m", "two", "old"}
        await accepted(gateway, "ann", "a", model="old")
        await turns()
        await become(gateway, UpstreamState.READY, "m")
        assert open_pools(gateway) == {UNASSIGNED, "m", "old"}
        await finish(gateway)
        await become(gateway, UpstreamState.READY, "m", "two")
        assert open_pools(gateway) == {UNASSIGNED, "m", "two"}
        await accepted(gateway, "ann", "b", model="two")
        await turns()
        await finish(gateway)
        assert await stored(gateway, "b") == ("two", State.COMPLETED)


async def test_a_task_that_is_accepted_while_its_pool_is_being_opened() -> None:
    """It waits for the pool, and is then run there."""
    async with ScriptedGateway.begin() as gateway:
        await become(gateway, UpstreamState.READY, "m")
        leases = Held(gateway.store, "lease")
        await become(gateway, UpstreamState.READY, "m", "two")
        assert leases.entered.is_set()
        await accepted(gateway, "ann", "a", model="two")
        await turns()
        assert gateway.upstream.posts == []
        leases.go_on.set()
        await turns()
        await finish(gateway)
        assert await stored(gateway, "a") == ("two", State.COMPLETED)


async def test_a_task_that_is_stored_while_its_pool_is_opened() -> None:
    """Accepted when there was no pool for it, and stored when there is: nobody else would hand it over."""
    async with ScriptedGateway.begin() as gateway:
        await become(gateway, UpstreamState.UNREACHABLE, "m")
        commits = Held(gateway.store, "commit")
        accepting = asyncio.create_task(accepted(gateway, "ann", "a", model="two"))
        await commits.entered.wait()
        await become(gateway, UpstreamState.READY, "m", "two")
        commits.go_on.set()
        assert (await accepting).pool == UNASSIGNED
        await turns()
        await finish(gateway)
        assert await stored(gateway, "a") == ("two", State.COMPLETED)


async def test_a_task_that_is_stored_while_its_pool_is_closed() -> None:
    """It waits until its model is there again."""
    async with ScriptedGateway.begin() as gateway:
        commits = Held(gateway.store, "commit")
        accepting = asyncio.create_task(accepted(gateway, "ann", "a", model="two"))
        await commits.entered.wait()
        await become(gateway, UpstreamState.READY, "m")
        assert "two" not in open_pools(gateway)
        commits.go_on.set()
        await accepting
        await turns()
        assert gateway.upstream.posts == []
        assert await stored(gateway, "a") == (UNASSIGNED, State.QUEUED)
        await become(gateway, UpstreamState.READY, "m", "two")
        await finish(gateway)
        assert await stored(gateway, "a") == ("two", State.COMPLETED)


async def test_what_was_under_way_in_a_pool_that_is_gone_is_handed_over_after_a_restart() -> None:
    """Its old request is asked about first, and no change of the upstream comes after that."""
    store = MemoryStore(1000)
    tasks = [make_task(task_id, pool="gone") for task_id in ("under way", "waiting")]
    tasks[0].outputs[0].state = State.RUNNING
    for task in tasks:
        task.deadline = 1_800_000_000.0
    await store.commit([accept(task) for task in tasks])
    async with ScriptedGateway.begin(store) as gateway:
        await turns()
        await finish(gateway)
        assert await stored(gateway, "under way") == ("m", State.COMPLETED)
        assert await stored(gateway, "waiting") == ("m", State.COMPLETED)
        assert "gone" not in open_pools(gateway)


async def test_a_task_whose_model_dies_for_good_goes_on_with_another_if_it_asked_for_none() -> None:
    """It does not wait in its slot for a model that is not coming back."""
    async with ScriptedGateway.begin() as gateway:
        gateway.upstream.models = {}
        await become(gateway, UpstreamState.UNREACHABLE)
        await accepted(gateway, "ann", "a")
        await become(gateway, UpstreamState.READY, "m")
        assert [post.uid for post in gateway.upstream.posts] == ["m"]
        gateway.upstream.vanished["m"] = gateway.upstream.models["m"]
        await become(gateway, UpstreamState.READY, "two")
        gateway.upstream.posts[0].end("died")
        await turns()
        await gateway.clock.advance(30.0)
        assert len(gateway.upstream.posts) == 1, "not before it is known not to come back"
        del gateway.upstream.vanished["m"]
        await gateway.clock.advance(30.0)
        assert [post.uid for post in gateway.upstream.posts] == ["m", "two"]
        await finish(gateway)
        assert await stored(gateway, "a") == ("two", State.COMPLETED)
        assert open_pools(gateway) == {UNASSIGNED, "two"}


async def test_an_output_whose_model_dies_for_good_goes_on_with_another_of_its_pool() -> None:
    """The slot of the model that is gone holds nothing back."""
    async with ScriptedGateway.begin() as gateway:
        both = {uid: msgspec.structs.replace(gateway.upstream.models[uid], pool="both") for uid in ("m", "two")}
        gateway.upstream.models = both
        gateway.upstream.changed()
        await turns()
        for number in range(3):
            await accepted(gateway, "ann", f"t{number}", model="both")
        await turns()
        dying = next(post for post in gateway.upstream.posts if post.uid == "m")
        gateway.upstream.models = {"two": both["two"]}
        gateway.upstream.changed()
        dying.end("died")
        await turns()
        for _ in range(3):
            await gateway.clock.advance(2.0)
            await finish(gateway)
        states = [(await stored(gateway, f"t{number}"))[1] for number in range(3)]
        assert states == [State.COMPLETED] * 3


async def test_a_queue_survives_a_model_that_is_launched_again_between_two_requests() -> None:
    """Until a probe tells that it is gone, requests fail with 404; that must not end one task after the other."""
    async with ScriptedGateway.begin() as gateway:
        for number in range(3):
            await accepted(gateway, "ann", f"t{number}", model="m")
        await turns()
        gateway.upstream.posts[0].end("gone")
        await turns()
        assert len(gateway.upstream.posts) == 1, "the others wait"
        gateway.upstream.vanished["m"] = gateway.upstream.models["m"]
        await become(gateway, UpstreamState.READY, "two")
        await gateway.clock.advance(20.0)
        assert len(gateway.upstream.posts) == 1
        await become(gateway, UpstreamState.READY, "m", "two")
        await gateway.clock.advance(2.0)
        await finish(gateway)
        states = [(await stored(gateway, f"t{number}"))[1] for number in range(3)]
        assert states == [State.COMPLETED] * 3


async def test_an_output_ends_if_its_model_is_listed_and_never_found() -> None:
    """A contradiction that lasts is no reason to wait until the timeout."""
    async with ScriptedGateway.begin() as gateway:
        await accepted(gateway, "ann", "a", model="m")
        await turns()
        for _ in range(5):
            gateway.upstream.pending[0].end("gone")
            await turns()
            await gateway.clock.advance(10.0)
        assert await stored(gateway, "a") == ("m", State.FAILED)
