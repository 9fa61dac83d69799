"""A server that may open few files, and more silent connections than that: it serves on, and its log stays short."""

import asyncio
import resource
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from clients import WireClient
from server_process import LOOPS, running
from xinflight.web.connections import SILENCE

pytestmark = pytest.mark.process

FILES = 300
SILENT = 2 * FILES


@pytest.fixture
def many_files() -> None:
    """Let the test itself open more than the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * SILENT
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("loop", LOOPS)
async def test_more_silent_connections_than_file_descriptors(
    tmp_path: Path, stack: AsyncExitStack, loop: str
) -> None:
    """Who has a socket goes on, who comes is served, and tasks are stored all the while."""
    began = time.monotonic()
    async with running(tmp_path / "data", "http://127.0.0.1:9", FILES, loop) as server:
        port = urlsplit(server.url).port
        neighbour = await stack.enter_async_context(WireClient.connect(server.url))
        for number in range(SILENT):
            silent = stack.enter_context(socket.socket())
            silent.setblocking(False)
            await asyncio.get_running_loop().sock_connect(silent, ("127.0.0.1", port))
            if number % 100 == 99:
                ack = await neighbour.ask(action="generate", prompt="boat", task_id=f"t{number}")
                assert ack["type"] == "ack"
                async with aiohttp.ClientSession(server.url) as http, http.get("/api/v1/tasks") as response:
                    assert response.status == 200
    assert not [line for line in server.log if "resource" in line or "Too many open files" in line]
    told = len([line for line in server.log if "too many connections" in line])
    assert 1 <= told <= 1 + (time.monotonic() - began) // SILENCE
    assert len(server.log) < 50
