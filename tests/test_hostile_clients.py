"""Attacks on a real server, one at a time, beside two honest clients: they are served, and nothing is left behind."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from attacks import ATTACKS, MALLORY, Target
from clients import LONG, Recorder, WireClient, eventually
from conftest import Serve
from server_process import Server, running
from streams import NDJSON, lines

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux what a process has"),
]

ANN = {"X-Forwarded-User": "ann", "X-Forwarded-For": "192.0.2.1"}
BOB = {"X-Forwarded-User": "bob", "X-Forwarded-For": "192.0.2.2"}
ENOUGH = 5
"""Generations that each honest client finishes while an attack goes on."""
WAVES = 5
MEMORY = 120_000_000
"""Bytes that a server may have more after an attack: Python gives back little of what thousands of sockets took."""


class Held(NamedTuple):
    """What a process has."""

    descriptors: int
    threads: int
    memory: int


def held(server: Server) -> Held:
    """Ask Linux what the process of a server has."""
    proc = Path("/proc") / str(server.process.pid)
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    resident = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Held(len(list((proc / "fd").iterdir())), int(status["Threads"]), resident)


class Honest:
    """A client that has one generation after the other; `done` counts those that were completed."""

    def __init__(self) -> None:
        self.done = 0

    async def by_websocket(self, url: str, over: asyncio.Event) -> None:
        async with WireClient.connect(url, headers=ANN) as client:
            while not over.is_set():
                task_id = f"ws-{self.done}"
                assert (await client.ask(action="generate", prompt="boat", task_id=task_id))["type"] == "ack"
                assert (await client.ends(task_id))[task_id]["type"] == "result"
                assert (await client.ask(action="ping"))["type"] == "pong"
                self.done += 1

    async def by_rest(self, url: str, over: asyncio.Event) -> None:
        while not over.is_set():
            # A connection of its own for each: new ones must get in, too.
            async with aiohttp.ClientSession(url, headers=BOB) as http:
                async with http.post(
                    "/api/v1/tasks", json={"prompt": "boat"}, headers={"Accept": NDJSON}
                ) as response:
                    assert response.status == 202 or response.status == 200
                    seen = [line.data["type"] async for line in lines(response)]
                assert seen[-1] == "result"
            self.done += 1


@asynccontextmanager
async def attacked(url: str, attack: Callable[[Target], Awaitable[None]]) -> AsyncIterator[list[int]]:
    """Attack wave by wave inside the block, at least until it ends; yield the number of waves that were whole."""
    waves = [0]

    async def repeat() -> None:
        # What thousands of connections hold is bounded by the number of waves; after them the last one stands.
        async with AsyncExitStack() as stack:
            while waves[0] < WAVES:
                await attack(Target(url, stack))
                waves[0] += 1
            await asyncio.Event().wait()

    attacking = asyncio.create_task(repeat(), name="attack")
    try:
        yield waves
    finally:
        attacking.cancel()
        (error,) = await asyncio.gather(attacking, return_exceptions=True)
        assert isinstance(error, asyncio.CancelledError), error


async def warm_up(server: Server) -> Held:
    """Have everything loaded that a server keeps; return what it has then.

    Over HTTP, where no ping has to be answered in time.
    """
    before = held(server)
    over = asyncio.Event()
    first = Honest()
    serving = asyncio.create_task(first.by_rest(server.url, over), name="first")
    await eventually(lambda: first.done >= 3)
    over.set()
    await serving
    await eventually(lambda: held(server).descriptors <= before.descriptors + 5)
    return held(server)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_honest_clients_are_served(
    engine: Recorder, emulate: Serve, tmp_path: Path, attack: Callable[[Target], Awaitable[None]]
) -> None:
    # The honest ones have half of it to answer a ping, in the process that attacks.
    settings = {"auth": "proxy", "trusted_proxies": "127.0.0.1", "heartbeat": 30}
    async with running(tmp_path / "data", await emulate(engine), **settings) as server:
        before = await warm_up(server)
        ann, bob, over = Honest(), Honest(), asyncio.Event()
        async with attacked(server.url, attack) as waves, asyncio.TaskGroup() as honest:
            honest.create_task(ann.by_websocket(server.url, over), name="ann")
            honest.create_task(bob.by_rest(server.url, over), name="bob")
            await eventually(lambda: waves[0] >= WAVES and min(ann.done, bob.done) >= ENOUGH, 5 * LONG)
            over.set()
        await released(server, before)
    noise = [line for line in server.log if "task accepted" not in line and "task ended" not in line]
    assert len(noise) < 300
    assert not [line for line in noise if "Traceback" in line or '"level":"error"' in line]


async def test_peers_that_stopped_are_let_go(engine: Recorder, emulate: Serve, tmp_path: Path) -> None:
    """Sockets whose peers keep them open and answer no ping, as after a cut cable or SIGSTOP: nothing stays."""
    settings = {"auth": "proxy", "trusted_proxies": "127.0.0.1", "heartbeat": 1}
    async with running(tmp_path / "data", await emulate(engine), **settings) as server, AsyncExitStack() as stack:
        before = await warm_up(server)
        target = Target(server.url, stack)
        stopped = [await target.websocket(MALLORY) for _ in range(80)]
        # The first one is served, so the others are, too, or will be.
        assert b" 101 " in await stopped[0].reader.readuntil(b"\r\n\r\n")
        await eventually(lambda: sum("connection closed" in line for line in server.log) >= len(stopped))
        await released(server, before)


async def released(server: Server, before: Held) -> None:
    """Wait until a server has given back what an attack took, but for the memory that Python keeps."""
    async with aiohttp.ClientSession(server.url, headers=MALLORY) as http, http.ws_connect("/ws/generate") as ws:
        await ws.send_json({"action": "cancel", "scope": "all", "ref": "c"})
    await eventually(lambda: held(server).descriptors <= before.descriptors + 10)
    await eventually(lambda: held(server).memory <= before.memory + MEMORY)
    assert held(server).threads <= before.threads + 10
    print(f"before {before}, after {held(server)}")
