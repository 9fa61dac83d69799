"""The standalone server's end, as a real process that is told to stop."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from clients import LONG, WireClient
from server_process import LOOPS

pytestmark = pytest.mark.process


class Server:
    """A running `xinflight serve --demo`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    def tell(self, signal_number: int) -> None:
        self.process.send_signal(signal_number)

    async def code(self) -> int:
        """Return its exit code."""
        async with asyncio.timeout(LONG):
            return await self.process.wait()


@asynccontextmanager
async def server(folder: Path, loop: str = "uvloop", **environ: str) -> AsyncIterator[Server]:
    """Start a server on a free port, on one of LOOPS; whatever happens, it is gone afterwards."""
    given: Mapping[str, str] = {**os.environ, "XINFLIGHT_DATA_DIR": str(folder), **environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOOPS[loop], "serve", "--demo", "--port", "0"),
        env=given,
        cwd=folder.parent,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(LONG):
            url = None
            while url is None:
                line = (await process.stderr.readline()).decode()
                assert line, "it ended before it was there"
                url = re.search(r"xinflight is at (http://\S+)", line)
        reading = asyncio.create_task(process.stderr.read())
        yield Server(process, url[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    await reading


async def test_a_server_that_is_told_to_stop(tmp_path: Path) -> None:
    """It says so, closes with 1012 after the drain time, ends with 0, and its tasks go on after the next start."""
    folder = tmp_path / "data"
    async with server(folder, XINFLIGHT_DRAIN="0.3") as first:
        async with WireClient.connect(first.url) as client:
            for task_id in ("a", "b"):
                await client.ask(action="generate", prompt="boat", task_id=task_id, size="64x64", steps=4)
            await client.until(lambda m: m.get("state") == "running")
            first.tell(signal.SIGTERM)
            notice = await client.until(lambda m: m["type"] == "notice" and m["kind"] == "draining")
            assert notice["message"]
            await client.closed()
            assert client.ws.close_code == 1012
        assert await first.code() == 0
    async with server(folder) as second, WireClient.connect(second.url) as client:
        for task_id in ("a", "b"):
            ack = await client.ask(action="generate", prompt="boat", task_id=task_id, size="64x64", steps=4)
            assert ack["type"] == "ack"
        ends = await client.ends("a", "b")
        assert {end["type"] for end in ends.values()} == {"result"}


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_second_signal_stops_at_once(tmp_path: Path, loop: str) -> None:
    """Who can't wait for the drain tells it twice."""
    async with server(tmp_path / "data", loop, XINFLIGHT_DRAIN="600") as running:
        async with WireClient.connect(running.url) as client:
            await client.ask(action="generate", prompt="boat", size="64x64", steps=200)
            running.tell(signal.SIGTERM)
            await client.until(lambda m: m["type"] == "notice" and m["kind"] == "draining")
            running.tell(signal.SIGTERM)
            assert await running.code() == -signal.SIGTERM


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_server_stops_at_once(tmp_path: Path, number: int, loop: str) -> None:
    """Open connections without tasks are closed and hold nothing up."""
    async with (
        server(tmp_path / "data", loop, XINFLIGHT_DRAIN="600") as running,
        connect(running.url.replace("http", "ws") + "ws/generate") as ws,
    ):
        await ws.recv()
        running.tell(number)
        assert await running.code() == 0
        await ws.wait_closed()
        assert ws.close_code == 1012
