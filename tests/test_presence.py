"""Peers that freeze, vanish or do not read: noticed in time, nothing left behind, nobody else hurt."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.client import connect

from clients import LONG, PAINTER, Recorder, ShiftedClock, WireClient, eventually, hosted
from xinflight.app import setup
from xinflight.connection import Session
from xinflight.connection.outbox import WAITING_ANSWERS
from xinflight.demo import Faults, serve_emulator
from xinflight.gateway import Gateway
from xinflight.settings import Settings
from xinflight.web import websocket as web_ws

HEARTBEAT = 1.0

FROZEN = """
import asyncio, sys
from websockets.asyncio.client import connect

async def main():
    async with connect(sys.argv[1]) as ws:
        await ws.recv()
        await ws.send('{"action":"generate","prompt":"boat","task_id":"a","steps":200}')
        await ws.recv()
        print("ready", flush=True)
        async for frame in ws:
            pass

asyncio.run(main())
"""

Mounted = tuple[Gateway, str, Recorder]


@pytest.fixture
async def mount(stack: AsyncExitStack) -> Callable[..., Awaitable[Mounted]]:
    """Mount a gateway in an application of its own, everything in memory; give it with its URL and its upstream."""

    async def start(**settings: Any) -> Mounted:
        engine = Recorder([PAINTER])
        upstream = await stack.enter_async_context(serve_emulator(engine))
        app = web.Application()
        given = {"default_size": "64x64", "heartbeat": HEARTBEAT, "drain": 0.0, **settings}
        gateway = setup(app, Settings(xinference_url=upstream, **given))
        return gateway, await stack.enter_async_context(hosted(app)), engine

    return start


def socket_url(url: str) -> str:
    """Return the address of the WebSocket."""
    return url.replace("http", "ws", 1) + "ws/generate"


def unfinished(gateway: Gateway, task_id: str) -> bool:
    """Tell whether a task is on its way."""
    return gateway._pools.find("local", task_id) is not None


def left_behind(gateway: Gateway) -> list[object]:
    """Return what is still there of connections."""
    bus: Any = gateway.journal.bus
    writers = [task for task in asyncio.all_tasks() if task.get_name().startswith("writer")]
    return [*gateway.connections.all(), *gateway._front._presence._subscribers, *bus._listeners, *writers]


@asynccontextmanager
async def client_process(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a client that starts a long generation and reads on; it is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FROZEN, socket_url(url), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(LONG):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.process
async def test_a_frozen_process_is_noticed_by_the_heartbeat(
    mount: Callable[..., Awaitable[Mounted]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP sends no FIN: the missing pong tells, and then no session, subscriber, writer or transport is left."""
    # Half of it is what a client has to answer a ping: enough for a process on a machine that is busy.
    heartbeat = 4.0
    gateway, url, engine = await mount(heartbeat=heartbeat)
    engine.faults = Faults(freeze=3)
    aborted: list[web.Request] = []
    abort = web_ws._abort

    def note(request: web.Request) -> None:
        aborted.append(request)
        abort(request)

    monkeypatch.setattr(web_ws, "_abort", note)
    async with client_process(url) as process:
        assert gateway.connections.count == 1
        # A living client is not taken for dead: it answers the pings.
        await asyncio.sleep(1.5 * heartbeat)
        assert gateway.connections.count == 1
        os.kill(process.pid, signal.SIGSTOP)
        await eventually(lambda: not left_behind(gateway))
        # A polite close would wait for the frozen peer to take what is in the buffers.
        assert len(aborted) == 1
        # Its task goes on, for that is what `on_disconnect` says by default.
        assert unfinished(gateway, "a")
        await gateway.cancel("local", "a")
        await eventually(lambda: engine.aborts)
        engine.thaw()
        await eventually(lambda: not unfinished(gateway, "a"))


@pytest.mark.process
async def test_a_process_that_is_killed_is_noticed_at_once(mount: Callable[..., Awaitable[Mounted]]) -> None:
    """The kernel closes its connection; nothing waits for a heartbeat."""
    gateway, url, _ = await mount(heartbeat=3600.0)
    async with client_process(url) as process:
        process.kill()
        await process.wait()
        await eventually(lambda: not left_behind(gateway))
    await gateway.cancel("local", "a")


async def test_a_torn_connection_leaves_nothing(mount: Callable[..., Awaitable[Mounted]]) -> None:
    """A reset in the middle of a generation is an end of the connection, and of that only."""
    gateway, url, _ = await mount(heartbeat=3600.0)
    async with WireClient.connect(url) as client:
        await client.ask(action="generate", prompt="boat", task_id="a")
        transport: Any = client.ws._writer.transport
        transport.abort()
        await eventually(lambda: not left_behind(gateway))
    await eventually(lambda: not unfinished(gateway, "a"))
    task = await gateway.journal.store.task("local", "a")
    assert task is not None
    assert task.state == "completed"


async def test_pings_of_the_client_are_answered(mount: Callable[..., Awaitable[Mounted]]) -> None:
    """Both kinds: the WebSocket's own, and the application's for browsers."""
    _, url, _ = await mount()
    async with connect(socket_url(url)) as ws:
        async with asyncio.timeout(LONG):
            await (await ws.ping())
            await ws.recv()
            await ws.send('{"action":"ping","nonce":"n","ref":"r"}')
            assert json.loads(await ws.recv()) == {"type": "pong", "nonce": "n", "ref": "r"}
            await ws.send('{"action":"ping"}')
            assert json.loads(await ws.recv()) == {"type": "pong"}


async def test_owners_are_counted_by_their_connections(
    clock: ShiftedClock, mount: Callable[..., Awaitable[Mounted]]
) -> None:
    """`on_disconnect: cancel` through a real socket: it ends after the grace, and a reconnect in time keeps it."""
    gateway, url, engine = await mount(disconnect_grace=60.0)
    engine.faults = Faults(freeze=1)
    async with WireClient.connect(url) as client:
        for task_id in ("goes", "stays"):
            mode = "cancel" if task_id == "goes" else "continue"
            await client.ask(action="generate", prompt="boat", task_id=task_id, on_disconnect=mode)
    await eventually(lambda: not gateway.connections.count)
    clock.advance(40.0)
    async with WireClient.connect(url) as client:
        clock.advance(40.0)
        await client.ask(action="ping")
        assert unfinished(gateway, "goes")
    await eventually(lambda: not gateway.connections.count)
    await eventually(lambda: engine.posts)
    clock.advance(70.0)
    await eventually(lambda: engine.aborts)
    engine.thaw()
    await eventually(lambda: not unfinished(gateway, "goes"))
    assert len(engine.aborts) == 1
    assert unfinished(gateway, "stays")
    await gateway.cancel("local", "stays")


@asynccontextmanager
async def deaf(url: str) -> AsyncIterator[asyncio.StreamWriter]:
    """Open a WebSocket that is written to and never read, with small buffers."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    writer.write(
        f"GET /ws/generate HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b"101" in await reader.readline()
    try:
        yield writer
    finally:
        writer.transport.abort()


def masked(payload: bytes) -> bytes:
    """Return a text frame with a mask of zeros (RFC 6455 section 5.2)."""
    assert 126 <= len(payload) < 2**16
    return b"\x81\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload


async def test_who_does_not_read_is_dropped_and_hurts_nobody(mount: Callable[..., Awaitable[Mounted]]) -> None:
    """Answers for a deaf client are bounded in number; it is dropped in time while another is served as ever."""
    gateway, url, _ = await mount()
    fields = {"action": "generate", "prompt": "图" * 5000, "negative_prompt": "图" * 5000, "task_id": "big"}
    frame = masked(json.dumps(fields, ensure_ascii=False).encode())
    most = 0
    async with deaf(url) as writer, WireClient.connect(url) as other:
        sessions = [one for one in gateway.connections.all() if isinstance(one, Session)]
        (session,) = [one for one in sessions if one.connection_id != other.seen[0]["connection_id"]]

        async def shout() -> None:
            # Ended by the drop: each ack is as large as its question.
            while True:
                writer.write(frame)
                await writer.drain()

        shouting = asyncio.create_task(shout())
        try:
            async with asyncio.timeout(LONG):
                while session in gateway.connections.all():
                    most = max(most, len(session.outbox._answers))
                    assert (await other.ask(action="ping"))["type"] == "pong"
        finally:
            shouting.cancel()
            await asyncio.gather(shouting, return_exceptions=True)
        await other.ask(action="generate", prompt="boat", task_id="mine")
        assert (await other.ends("mine"))["mine"]["type"] == "result"
        await eventually(lambda: gateway.connections.count == 1)
    assert 0 < most <= WAITING_ANSWERS


async def test_a_full_server_says_come_back(mount: Callable[..., Awaitable[Mounted]]) -> None:
    """One connection more than the setting is closed with 1013, and fits when another has gone."""
    gateway, url, _ = await mount(connections=1)
    async with WireClient.connect(url), connect(socket_url(url)) as ws:
        await ws.wait_closed()
        assert ws.close_code == 1013
    await eventually(lambda: not gateway.connections.count)
    async with WireClient.connect(url) as client:
        assert client.seen[0]["type"] == "welcome"
