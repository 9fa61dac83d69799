"""Two owners on one server, over the wire: whoever asks for one image does not wait for hundreds of another's."""

from contextlib import AsyncExitStack

import pytest

from clients import Recorder, WireClient, eventually, painter
from conftest import Serve
from streams import shared_server
from xinflight.demo import Faults

TASKS, EACH = 63, 8


@pytest.mark.parametrize("replicas", [1, 3])
async def test_one_image_waits_for_one_running_job_at_most(
    replicas: int, emulate: Serve, stack: AsyncExitStack
) -> None:
    """While ann has 500 images waiting, bob's single one gets the first slot that becomes free."""
    engine = Recorder([painter(replicas=replicas)])
    engine.script = [Faults(freeze=1)] * replicas
    base, _ = await stack.enter_async_context(shared_server(xinference_url=await emulate(engine)))
    ann = await stack.enter_async_context(WireClient.connect(base, headers={"X-User": "ann"}))
    bob = await stack.enter_async_context(WireClient.connect(base, headers={"X-User": "bob"}))
    for number in range(TASKS):
        task_id = f"t{number}"
        ack = await ann.ask(action="generate", prompt="ann", task_id=task_id, n=EACH, priority=100)
        assert ack["type"] == "ack"
    await eventually(lambda: engine.in_flight["painter"] == replicas)
    assert (await bob.ask(action="generate", prompt="bob", task_id="one"))["type"] == "ack"
    engine.thaw()
    assert (await bob.ends("one"))["one"]["type"] == "result"
    assert engine.prompts.index("bob") == replicas
    assert engine.peak["painter"] == replicas
    # Ann goes on: there is always work in every slot.
    await eventually(lambda: engine.prompts.count("ann") > 2 * replicas)
    await ann.ask(action="cancel", scope="all")
    await ann.ends(*(f"t{number}" for number in range(TASKS)))


async def test_priority_gains_nothing_over_others(emulate: Serve, stack: AsyncExitStack) -> None:
    engine = Recorder([painter()])
    engine.script = [Faults(freeze=1)]
    base, _ = await stack.enter_async_context(shared_server(xinference_url=await emulate(engine)))
    clients = {
        name: await stack.enter_async_context(WireClient.connect(base, headers={"X-User": name}))
        for name in ("ann", "bob", "eve")
    }
    await clients["eve"].ask(action="generate", prompt="eve", task_id="running")
    await eventually(lambda: engine.in_flight["painter"] == 1)
    tasks = [("ann", 0), ("ann", 1), ("bob", -100), ("eve", 100), ("bob", 100)]
    for number, (name, priority) in enumerate(tasks):
        await clients[name].ask(action="generate", prompt=name, task_id=f"t{number}", priority=priority)
    engine.thaw()
    for number, (name, _) in enumerate(tasks):
        await clients[name].ends(f"t{number}")
    # Eve had one already; among the others, who came first.
    assert engine.prompts[:3] == ["eve", "ann", "bob"]
    assert [seen["task_id"] for seen in clients["bob"].seen if seen["type"] == "result"] == ["t4", "t2"]
