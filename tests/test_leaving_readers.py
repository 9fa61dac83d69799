"""Clients that leave an answer which goes on: noticed at once, by the end of their connection and not by a timer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web

from clients import Recorder, eventually, hosted
from conftest import Serve
from streams import STREAMS
from xinflight.app import setup
from xinflight.clock import SystemClock
from xinflight.gateway import Gateway
from xinflight.settings import Settings


class Timeless(SystemClock):
    """A clock on which no time ever runs out; it remembers the shortest one that was asked for."""

    shortest = 60.0

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        self.shortest = min(self.shortest, 60.0 if seconds is None else seconds)
        return asyncio.timeout(None)


class Mounted(NamedTuple):
    http: aiohttp.ClientSession
    gateway: Gateway
    clock: Timeless


@pytest.fixture
async def mounted(engine: Recorder, emulate: Serve) -> AsyncIterator[Mounted]:
    app = web.Application()
    settings = Settings(xinference_url=await emulate(engine), default_size="64x64", drain=0.0)
    clock = Timeless()
    gateway = setup(app, settings, clock=clock)
    # Not aiohttp's TestServer, which cancels the handler of a client that left.
    async with hosted(app) as url, aiohttp.ClientSession(url) as http:
        yield Mounted(http, gateway, clock)


@pytest.mark.parametrize("streamed", [True, False])
async def test_closing_an_openai_request_cancels_it(mounted: Mounted, engine: Recorder, streamed: bool) -> None:
    http, gateway, clock = mounted
    body = {"prompt": "boat", "steps": 200, "stream": streamed}
    asking = asyncio.create_task(http.post("/v1/images/generations", json=body).__aenter__(), name="asking")
    await eventually(lambda: engine.posts)
    if streamed:
        (await asking).close()
    else:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await eventually(lambda: engine.aborts)
    await eventually(lambda: not gateway.connections.count)
    # Nobody looks again and again whether the client is still there.
    assert clock.shortest > 1.0


@pytest.mark.parametrize("kind", STREAMS)
async def test_a_stream_ends_with_its_connection(mounted: Mounted, kind: str) -> None:
    http, gateway, _ = mounted
    response = await http.get("/api/v1/events", headers={"Accept": kind})
    await eventually(lambda: gateway.connections.count)
    response.close()
    await eventually(lambda: not gateway.connections.count)


async def test_a_connection_is_used_again_after_a_stream(mounted: Mounted) -> None:
    """What was put in between is taken out again."""
    http, gateway, _ = mounted
    for number in range(3):
        body = {"prompt": "boat", "steps": 1, "task_id": f"t{number}"}
        async with http.post("/api/v1/tasks", json=body, headers={"Accept": "application/x-ndjson"}) as response:
            last = (await response.text()).splitlines()[-1]
            assert '"type":"result"' in last
    assert not gateway.connections.count
