"""What one owner may have open: the same bound over every API, and others don't feel it."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from clients import Recorder, WireClient, painter
from conftest import Serve
from scripted_gateway import ScriptedGateway, turns
from streams import shared_server
from xinflight.demo import Faults
from xinflight.errors import (
    AccountBusy,
    ShuttingDown,
    StorageUnavailable,
    TaskIdConflict,
    TooManyTasks,
    XinflightError,
)
from xinflight.gateway import Gateway
from xinflight.model import Task

USER = {"X-User": "ann"}
LIMIT = "2 per owner"


@pytest.fixture
def engine() -> Recorder:
    """Give an engine that never comes to an end by itself."""
    engine = Recorder([painter()])
    engine.faults = Faults(freeze=1)
    return engine


@pytest.fixture
async def shared(engine: Recorder, emulate: Serve) -> AsyncIterator[tuple[str, Gateway]]:
    """Give a server with several owners that may have two tasks each; let its engine go on at the end."""
    async with shared_server(xinference_url=await emulate(engine), tasks_per_owner=2) as (base, gateway):
        yield base, gateway
        engine.faults = Faults()
        engine.thaw()


async def test_one_bound_over_every_api(shared: tuple[str, Gateway], stack: AsyncExitStack) -> None:
    """Tasks of two sockets and of REST count together; each API refuses the next one with the same code and limit."""
    base, gateway = shared
    first = await stack.enter_async_context(WireClient.connect(base, headers=USER))
    second = await stack.enter_async_context(WireClient.connect(base, headers=USER))
    http = await stack.enter_async_context(aiohttp.ClientSession(base, headers=USER))
    assert first.seen[0]["limits"]["tasks_per_owner"] == 2
    assert (await first.ask(action="generate", prompt="boat", task_id="a"))["type"] == "ack"
    async with http.post("/api/v1/tasks", json={"prompt": "boat", "task_id": "b"}) as answer:
        assert answer.status == 202
    for client in (first, second):
        refusal = await client.ask(action="generate", prompt="boat", task_id="c")
        assert (refusal["code"], refusal["limit"], refusal["retryable"]) == ("too_many_tasks", LIMIT, True)
        assert 1.0 <= refusal["retry_after"] <= 600.0
    for accept in ("application/json", "text/event-stream", "application/x-ndjson"):
        async with http.post("/api/v1/tasks", json={"prompt": "boat"}, headers={"Accept": accept}) as answer:
            problem = await answer.json(content_type=None)
            assert (answer.status, problem["code"], problem["limit"]) == (429, "too_many_tasks", LIMIT)
            assert int(answer.headers["Retry-After"]) == math.ceil(problem["retry_after"])
    async with http.post("/v1/images/generations", json={"prompt": "boat"}) as answer:
        assert answer.status == 429
        assert (await answer.json())["error"]["code"] == "too_many_tasks"
    with pytest.raises(TooManyTasks) as refused:
        await anext(gateway.generate(owner="ann", prompt="boat"))
    assert refused.value.limit == LIMIT


async def test_a_known_id_is_not_one_more_and_an_end_makes_room(
    shared: tuple[str, Gateway], stack: AsyncExitStack
) -> None:
    base, _ = shared
    client = await stack.enter_async_context(WireClient.connect(base, headers=USER))
    for task_id in ("a", "b", "a"):
        assert (await client.ask(action="generate", prompt="boat", task_id=task_id))["type"] == "ack"
    await client.ask(action="cancel", task_id="b")
    await client.ends("b")
    assert (await client.ask(action="generate", prompt="boat", task_id="c"))["type"] == "ack"


async def test_others_have_a_bound_of_their_own(shared: tuple[str, Gateway], stack: AsyncExitStack) -> None:
    base, _ = shared
    client = await stack.enter_async_context(WireClient.connect(base, headers=USER))
    other = await stack.enter_async_context(WireClient.connect(base, headers={"X-User": "somebody-else"}))
    for task_id in ("a", "b"):
        await client.ask(action="generate", prompt="boat", task_id=task_id)
    assert (await client.ask(action="generate", prompt="boat"))["type"] == "error"
    assert (await other.ask(action="generate", prompt="boat"))["type"] == "ack"


async def test_a_known_id_is_answered_whatever_a_new_one_is_refused_for() -> None:
    """Although nothing asks the store for the id before."""
    async with ScriptedGateway.begin(tasks_per_owner=1) as gateway:
        ended = await gateway.submit(task_id="ended")
        await turns()
        gateway.upstream.pending[0].end("image")
        await turns()
        assert isinstance(await gateway.submit(task_id="running"), Task)
        await turns()

        async def known(refusal: type[XinflightError]) -> None:
            assert isinstance(await gateway.submit(task_id="fresh"), refusal)
            again = await gateway.submit(task_id="ended")
            assert isinstance(ended, Task)
            assert isinstance(again, Task)
            assert again.uid == ended.uid
            other = await gateway.submit(task_id="ended", prompt="something else", steps=10_000)
            assert isinstance(other, TaskIdConflict)

        await known(TooManyTasks)
        gateway.journal.broken = True
        await known(StorageUnavailable)
        gateway.journal.broken = False
        with gateway.front.refusing("ann"):
            await known(AccountBusy)
        draining = asyncio.ensure_future(gateway.front.drain(0.0))
        await gateway.clock.advance(1.0)
        await draining
        await known(ShuttingDown)


async def test_a_task_counts_once_also_in_the_turn_in_which_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedGateway.begin(tasks_per_owner=2) as gateway:
        counts: list[int] = []
        submit = gateway.pools.submit

        def submitting(task: Task, address: str | None) -> None:
            submit(task, address)
            asyncio.get_running_loop().call_soon(again)

        def again() -> None:
            counts.append(gateway.pools.count("ann") + len(gateway.front._accepting.get("ann", ())))

        monkeypatch.setattr(gateway.pools, "submit", submitting)
        assert isinstance(await gateway.submit(task_id="a"), Task)
        await turns()
        assert counts == [1]
