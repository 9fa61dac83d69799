"""What a start does with what an earlier process left: for what only waited, next to nothing."""

from typing import Any

import pytest

from clients import Steps
from factories import accept, make_task
from scripted_gateway import ScriptedGateway, turns
from xinflight.protocol import State
from xinflight.storage import MemoryStore

pytestmark = pytest.mark.slow


async def left(count: int, **states: State) -> MemoryStore:
    """Return a store with tasks that waited; those named were in other states."""
    store = MemoryStore(1000)
    tasks = [make_task(f"t{number}", pool="m") for number in range(count)]
    for task in tasks:
        task.deadline = 1_800_000_000.0
        task.outputs[0].state = states.get(task.task_id, State.QUEUED)
    await store.commit([accept(task) for task in tasks])
    return store


async def cancel_all(gateway: ScriptedGateway) -> None:
    await gateway.front.cancel_all("ann", [])
    for post in gateway.upstream.pending:
        post.end("aborted")
    await turns()


async def test_only_requests_that_may_have_been_sent_are_asked_about_and_stopped() -> None:
    """What only waited is not mentioned upstream; it goes on at once, in its order."""
    store = await left(50, t0=State.STARTING, t1=State.RUNNING)
    ids = [task.outputs[0].request_id for task in await store.unfinished("m")]
    async with ScriptedGateway.begin(store=store) as gateway:
        await turns()
        assert sorted(path.split("/")[-2] for path in gateway.upstream.aborts) == sorted(ids[:2])
        assert len(gateway.upstream.posts) == 1
        for number in range(3):
            assert gateway.unfinished("ann", f"t{number}")
            gateway.upstream.pending[0].end("image")
            await turns()
            assert not gateway.unfinished("ann", f"t{number}")
        await cancel_all(gateway)


async def test_a_request_is_stored_before_it_is_sent() -> None:
    """At the moment of every POST the store names its id: a crash right after it finds it."""
    async with ScriptedGateway.begin() as gateway:
        send = gateway.upstream.serve

        async def looked_at(method: str, path: str, body: Any) -> bytes:
            if method == "POST" and not path.endswith("/abort"):
                (task,) = await gateway.store.unfinished("m")
                (output,) = task.outputs
                sent = output.announced or output.state is State.STARTING
                named.append((sent, output.request_id == body["request_id"]))
            return await send(method, path, body)

        named: list[tuple[bool, bool]] = []
        gateway.upstream.serve = looked_at  # type: ignore[method-assign]
        await gateway.submit(task_id="a")
        await turns()
        gateway.upstream.pending[0].end("died")
        await turns()
        await gateway.clock.advance(1.0)
        gateway.upstream.pending[0].end("image")
        await turns()
    assert named == [(True, True)] * 2


@pytest.mark.parametrize("state", [State.QUEUED, State.CANCELLING])
async def test_a_start_costs_the_same_for_each_however_many_there_are(state: State) -> None:
    """A thousand that wait, or that a crash caught in their cancel, take no longer each than fifty."""

    async def start(count: int) -> float:
        store = await left(count, **{f"t{number}": state for number in range(count)})
        with Steps() as steps:
            async with ScriptedGateway.begin(store=store) as gateway:
                await turns(20 * count)
                so_far = steps.count
                await cancel_all(gateway)
        return so_far / count

    assert await start(1000) < 1.3 * await start(50)
