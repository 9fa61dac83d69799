"""Requests, messages and connections per owner and per address: the same limits over every transport."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from clients import FakeClock, Json, WireClient, eventually, hosted
from streams import shared_server, who
from test_flooding_sockets import send_at_once
from xinflight.app import setup
from xinflight.errors import RateLimited
from xinflight.gateway import Gateway
from xinflight.rate_limit import PERIOD
from xinflight.request_limits import REFUSED_PER_MINUTE, ClientMeter, RequestLimits
from xinflight.settings import Settings

NOBODY = "http://127.0.0.1:9"
ANN, BOB = {"X-User": "ann"}, {"X-User": "bob"}
NEXT_DOOR = {"X-Forwarded-For": "198.51.100.7"}
PATHS = ["/api/v1/tasks", "/api/v1/models", "/v1/models", "/api/v1/tasks/none", "/api/v1/events"]


@asynccontextmanager
async def limited(**settings: object) -> AsyncIterator[tuple[str, Gateway]]:
    """Serve people by name, behind a proxy that is trusted, on a clock that stands."""
    app = web.Application()
    options = {"xinference_url": NOBODY, "drain": 0.0, "trusted_proxies": ("127.0.0.1",), **settings}
    gateway = setup(app, Settings(**options), authenticate=who)  # type: ignore[arg-type]
    clock = FakeClock()
    gateway.limits = RequestLimits(gateway.settings, clock)
    async with hosted(app) as url:
        yield url, gateway


async def status(http: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> tuple[int, Json]:
    """Return the status of an answer and its headers, with the body of a refusal in `body`."""
    async with http.get(path, headers=headers) as response:
        body = json.loads(await response.read()) if response.status >= 400 else None
        return response.status, {**response.headers, "body": body}


@pytest.mark.parametrize("path", PATHS)
async def test_requests_of_an_owner_over_http(path: str) -> None:
    """Two of them pass, the third is told when to come back; another owner is not touched."""
    async with limited(requests_per_minute=2) as (url, _), aiohttp.ClientSession(url) as http:
        for remaining in (1, 0):
            code, headers = await status(http, path, ANN)
            assert code != 429
            assert headers["RateLimit-Policy"] == '"owner";q=2;w=60'
            assert headers["RateLimit"] == f'"owner";r={remaining};t=30'
        code, headers = await status(http, path, ANN)
        assert (code, headers["Retry-After"]) == (429, "30")
        assert headers["RateLimit"] == '"owner";r=0;t=30'
        if path.startswith("/v1"):
            error = headers["body"]["error"]
            assert (error["code"], error["type"]) == ("rate_limited", "rate_limit_error")
            assert headers["X-Should-Retry"] == "true"
        else:
            problem = headers["body"]
            assert (problem["code"], problem["limit"], problem["retry_after"]) == (
                "rate_limited",
                "2 per minute and owner",
                30.0,
            )
        assert (await status(http, path, BOB))[0] != 429


async def test_one_quota_over_all_transports() -> None:
    async with (
        limited(requests_per_minute=4) as (url, _),
        aiohttp.ClientSession(url) as http,
        WireClient.connect(url, headers=ANN) as client,
        WireClient.connect(url, headers=ANN) as other,
    ):
        assert client.seen[0]["limits"]["requests_per_minute"] == 4
        assert (await client.ask(action="ping"))["type"] == "pong"
        assert (await other.ask(action="ping"))["type"] == "pong"
        assert (await status(http, "/api/v1/models", ANN))[0] == 200
        assert (await status(http, "/v1/models", ANN))[0] == 200
        for socket in (client, other):
            refusal = await socket.ask(action="generate", prompt="boat", task_id="a")
            assert (refusal["type"], refusal["code"], refusal["task_id"]) == ("error", "rate_limited", "a")
            assert (refusal["retryable"], refusal["retry_after"]) == (True, 15.0)
        assert (await status(http, "/api/v1/models", ANN))[0] == 429


async def test_requests_of_an_address() -> None:
    """Whoever they are from, with credentials or without; by the address that the proxy names."""
    async with limited(requests_per_minute_per_address=3) as (url, _), aiohttp.ClientSession(url) as http:
        assert (await status(http, "/api/v1/models", {**ANN, **NEXT_DOOR}))[0] == 200
        assert (await status(http, "/api/v1/models", NEXT_DOOR))[0] == 401
        code, headers = await status(
            http, "/api/v1/models", {**BOB, **NEXT_DOOR, "X-Forwarded-For": "9.9.9.9, 198.51.100.7"}
        )
        assert code == 200
        assert headers["RateLimit-Policy"] == '"address";q=3;w=60, "owner";q=1200;w=60'
        code, headers = await status(http, "/api/v1/models", {**BOB, **NEXT_DOOR})
        assert (code, headers["body"]["limit"]) == (429, "3 per minute and address")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with http.ws_connect("/ws/generate", headers={**ANN, **NEXT_DOOR}):
                pass
        assert refused.value.status == 429
        assert refused.value.headers is not None
        assert refused.value.headers["Retry-After"] == "20"
        assert (await status(http, "/api/v1/models", {**BOB, "X-Forwarded-For": "198.51.100.8"}))[0] == 200
        # Loopback is this machine, or a proxy that stands for everybody.
        for _ in range(5):
            assert (await status(http, "/api/v1/models", BOB))[0] == 200


async def test_without_a_log_in_there_are_no_limits_unless_they_are_set() -> None:
    app = web.Application()
    gateway = setup(app, Settings(xinference_url=NOBODY, drain=0.0))
    assert not gateway.settings.requests_per_minute
    assert not gateway.settings.connections_per_owner
    async with hosted(app) as url, aiohttp.ClientSession(url) as http:
        async with WireClient.connect(url) as client:
            assert "requests_per_minute" not in {k for k, v in client.seen[0]["limits"].items() if v is not None}
        code, headers = await status(http, "/api/v1/models", {})
        assert code == 200
        assert "RateLimit" not in headers
    assert setup(web.Application(), Settings(requests_per_minute=5)).settings.requests_per_minute == 5
    assert setup(web.Application(), Settings(), authenticate=who).settings.requests_per_minute == 1200
    off = setup(web.Application(), Settings(requests_per_minute=0), authenticate=who)
    assert off.settings.requests_per_minute == 0


async def test_a_flood_is_told_then_closed() -> None:
    """What is beyond the limit is refused one by one; far beyond it the connection is closed, and only that one."""
    async with (
        limited(requests_per_minute=10) as (url, gateway),
        WireClient.connect(url, headers=BOB) as neighbour,
        WireClient.connect(url, headers=ANN) as client,
    ):
        began = monotonic()
        send_at_once(client, *[{"action": "ping"}] * 5, *[{}] * 5, *[{"action": "ping"}] * (REFUSED_PER_MINUTE + 500))
        await client.closed()
        # On a slow machine, some more were allowed meanwhile.
        refused = REFUSED_PER_MINUTE * (1.0 + (monotonic() - began) / PERIOD)
        assert client.ws.close_code == 4429
        types = [message.get("code", message["type"]) for message in client.seen[1:]]
        # Not all refusals: what still waits to be sent is dropped with the connection.
        assert types[:10] == ["pong"] * 5 + ["unknown_action"] * 5
        assert set(types[10:]) == {"rate_limited"}
        assert len(types) <= 10 + refused + 1
        await eventually(lambda: gateway.connections.count == 1)
        assert (await neighbour.ask(action="ping"))["type"] == "pong"


async def test_pings_count_and_those_beyond_are_not_answered() -> None:
    async with limited(requests_per_minute=3) as (url, _), aiohttp.ClientSession(url) as http:
        async with http.ws_connect("/ws/generate", headers=ANN, autoping=False) as ws:
            assert (await ws.receive()).type is WSMsgType.TEXT
            for _ in range(5):
                await ws.ping(b"x")
            await ws.send_str("{}")
            frames = [await ws.receive() for _ in range(4)]
            assert [frame.type for frame in frames] == [WSMsgType.PONG] * 3 + [WSMsgType.TEXT]
            for _ in range(REFUSED_PER_MINUTE + 1):
                await ws.ping(b"x")
            while (frame := await ws.receive()).type is WSMsgType.TEXT:
                pass
            assert (frame.type, ws.close_code) == (WSMsgType.CLOSE, 4429)


async def refused_stream(http: aiohttp.ClientSession, headers: dict[str, str]) -> str:
    """Ask for the streams of every API, each refused; return the limit that they name."""
    limits = set()
    for path in ("/api/v1/events", "/api/v1/events"):
        code, answer = await status(http, path, headers)
        assert (code, answer["body"]["code"]) == (503, "too_many_connections")
        limits.add(answer["body"]["limit"])
    for path, options in (
        ("/api/v1/tasks", {"Accept": "text/event-stream"}),
        ("/v1/images/generations", {"Accept": "*/*"}),
    ):
        async with http.post(path, json={"prompt": "boat"}, headers={**headers, **options}) as response:
            assert response.status == 503
            assert "Retry-After" in response.headers
    (limit,) = limits
    return str(limit)


@pytest.mark.parametrize("whose", ["owner", "address"])
async def test_connections(whose: str, stack: AsyncExitStack) -> None:
    """Sockets and streams count together; one too many is told, and when one ends there is room again."""
    setting = {f"connections_per_{whose}": 2}
    url, gateway = await stack.enter_async_context(limited(**setting))
    http = await stack.enter_async_context(aiohttp.ClientSession(url))
    headers = {**ANN, **NEXT_DOOR}
    client = await stack.enter_async_context(WireClient.connect(url, headers=headers))
    assert client.seen[0]["limits"][f"connections_per_{whose}"] == 2
    stream = await http.get("/api/v1/events", headers=headers)
    assert stream.status == 200
    async with http.ws_connect("/ws/generate", headers=headers) as ws:
        assert (await ws.receive()).type is WSMsgType.CLOSE
        assert ws.close_code == 1013
    assert await refused_stream(http, headers) == f"2 connections per {whose}"
    other = BOB if whose == "owner" else {**ANN, "X-Forwarded-For": "198.51.100.8"}
    async with WireClient.connect(url, headers=other):
        pass
    stream.close()
    await eventually(lambda: gateway.connections.count == 1)
    async with WireClient.connect(url, headers=headers):
        pass
    await client.ws.close()
    await eventually(lambda: not gateway.limits._open)
    assert not gateway.limits._open_by_owner
    assert not gateway.limits._open_by_address


async def test_bytes_of_unfinished_tasks() -> None:
    """Long prompts are bounded together, over all connections; an end makes room."""
    async with shared_server(xinference_url=NOBODY, pending_bytes=25_000) as (url, _):
        async with WireClient.connect(url, headers=ANN) as client, aiohttp.ClientSession(url) as http:
            assert client.seen[0]["limits"]["pending_bytes"] == 25_000
            body = {"prompt": "x" * 5000, "negative_prompt": "y" * 5000}
            for task_id in ("a", "b"):
                assert (await client.ask(action="generate", task_id=task_id, **body))["type"] == "ack"
            async with http.post("/api/v1/tasks", json=body, headers=ANN) as response:
                problem = await response.json(content_type=None)
                assert (response.status, problem["code"]) == (429, "too_many_tasks")
                assert problem["limit"] == "25000 bytes per owner"
            async with http.post("/api/v1/tasks", json=body, headers=BOB) as response:
                assert response.status == 202
            await client.ask(action="cancel", task_id="a")
            await client.ends("a")
            assert (await client.ask(action="generate", task_id="c", **body))["type"] == "ack"


async def test_unfinished_tasks_of_an_address() -> None:
    """One person who is many owners has no more of them than `tasks_per_address`; an end makes room."""
    async with (
        limited(tasks_per_address=2) as (url, gateway),
        aiohttp.ClientSession(url) as http,
        WireClient.connect(url, headers={**ANN, **NEXT_DOOR}) as ann,
    ):
        assert ann.seen[0]["limits"]["tasks_per_address"] == 2
        assert (await ann.ask(action="generate", prompt="boat", task_id="a"))["type"] == "ack"

        async def submitted(headers: dict[str, str], path: str = "/api/v1/tasks") -> tuple[int, str]:
            async with http.post(path, json={"prompt": "boat"}, headers=headers) as response:
                return response.status, await response.text()

        assert (await submitted({**BOB, **NEXT_DOOR}))[0] == 202
        for path in ("/api/v1/tasks", "/v1/images/generations"):
            code, body = await submitted({"X-User": "eve", **NEXT_DOOR}, path)
            assert code == 429
            assert "too_many_tasks" in body
        refusal = await ann.ask(action="generate", prompt="boat", task_id="b")
        assert (refusal["code"], refusal["limit"]) == ("too_many_tasks", "2 per address")
        # Others are not touched, nor is the proxy itself, which is at a loopback address.
        assert (await submitted({**BOB, "X-Forwarded-For": "198.51.100.8"}))[0] == 202
        assert (await submitted(BOB))[0] == 202
        await ann.ask(action="cancel", task_id="a")
        await ann.ends("a")
        assert (await ann.ask(action="generate", prompt="boat", task_id="b"))["type"] == "ack"
        await gateway.cancel_all("bob", set())
        await gateway.cancel_all("ann", set())
        await eventually(lambda: not gateway._pools.size)
        assert not any(runner.ledger.tasks._addresses for runner in gateway._pools._runners.values())


def test_a_meter_floods_only_far_beyond_the_limit() -> None:
    clock = FakeClock()
    limits = RequestLimits(Settings(requests_per_minute=10).limited(by_owner=True), clock)
    meter = ClientMeter(limits, "ann", None, clock)
    assert [meter.count() for _ in range(10)] == [None] * 10
    for _ in range(REFUSED_PER_MINUTE):
        assert isinstance(meter.count(), RateLimited)
        assert not meter.flooding
    meter.count()
    assert meter.flooding
