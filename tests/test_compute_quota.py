"""Compute seconds per owner and day: used up, refused over every API until midnight (UTC), then there again."""

from contextlib import AsyncExitStack

import aiohttp
import pytest

from clients import Recorder, ShiftedClock, WireClient, eventually
from conftest import Serve
from streams import shared_server
from xinflight.errors import QuotaExceeded
from xinflight.gateway import Gateway

ANN, BOB = {"X-User": "ann"}, {"X-User": "bob"}
LIMIT = "0.001 compute seconds per day"


async def used_up(client: WireClient, gateway: Gateway) -> None:
    """Have a generation that takes longer than is allowed, and wait until it is charged."""
    assert (await client.ask(action="generate", prompt="boat", task_id="a"))["type"] == "ack"
    await client.ends("a")
    store = gateway.journal.store

    async def charged() -> bool:
        await gateway.journal.store_charges()
        return bool(await store.usage("ann", first="2000-01-01", last="9999-12-31"))

    while not await charged():
        await client.ask(action="ping")


async def test_a_days_compute_seconds(
    clock: ShiftedClock, engine: Recorder, emulate: Serve, stack: AsyncExitStack
) -> None:
    server = shared_server(xinference_url=await emulate(engine), seconds_per_day=0.001)
    url, gateway = await stack.enter_async_context(server)
    client = await stack.enter_async_context(WireClient.connect(url, headers=ANN))
    http = await stack.enter_async_context(aiohttp.ClientSession(url))
    assert client.seen[0]["limits"]["seconds_per_day"] == 0.001
    await used_up(client, gateway)

    refusal = await client.ask(action="generate", prompt="boat", task_id="b")
    assert (refusal["code"], refusal["limit"], refusal["retryable"]) == ("quota_exceeded", LIMIT, True)
    assert 0 < refusal["retry_after"] <= 86400
    midnight = clock.time() + refusal["retry_after"]
    assert abs(midnight - 86400 * round(midnight / 86400)) < 60
    async with http.post("/api/v1/tasks", json={"prompt": "boat"}, headers=ANN) as response:
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 86400
        assert (await response.json(content_type=None))["code"] == "quota_exceeded"
    async with http.post("/v1/images/generations", json={"prompt": "boat"}, headers=ANN) as response:
        assert response.status == 429
        assert (await response.json())["error"]["code"] == "quota_exceeded"
    with pytest.raises(QuotaExceeded):
        await anext(gateway.generate(owner="ann", prompt="boat"))
    # What is known is not one more, and another owner has a quota of his own.
    assert (await client.ask(action="generate", prompt="boat", task_id="a"))["type"] == "ack"
    async with http.post("/api/v1/tasks", json={"prompt": "boat"}, headers=BOB) as response:
        assert response.status == 202

    clock.advance(refusal["retry_after"] + 1)
    assert (await client.ask(action="generate", prompt="boat", task_id="c"))["type"] == "ack"
    await client.ends("c")
    await eventually(lambda: not gateway._pools.size)
