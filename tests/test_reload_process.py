"""SIGHUP to a real server, with and without a terminal, and what its service manager is told."""

import asyncio
import os
import pty
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from clients import LONG, WireClient, eventually
from server_process import Server, launch, running

pytestmark = pytest.mark.process

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def configure(tmp_path: Path) -> Callable[[str], object]:
    """Give a function that writes the settings file, which is there already."""
    write = (tmp_path / "xinflight.toml").write_text
    write('log_level = "warning"\n')
    return write


async def hang_up(server: Server, marker: str) -> str:
    """Send SIGHUP; return the first new line of the log with a text."""
    before = len(server.log)
    server.process.send_signal(signal.SIGHUP)
    await eventually(lambda: any(marker in line for line in server.log[before:]))
    return next(line for line in server.log[before:] if marker in line)


async def test_settings_that_changed(
    tmp_path: Path, configure: Callable[[str], object], stack: AsyncExitStack
) -> None:
    """Limits and the log level take effect at once, the rest is named, and a damaged file changes nothing."""
    async with running(tmp_path / "data", NOBODY) as server:
        client = await stack.enter_async_context(WireClient.connect(server.url))
        assert (await client.ask(action="generate", prompt="boat"))["type"] == "ack"
        configure('log_level = "info"\ntasks_per_owner = 1\nheartbeat = 5\n')
        told = await hang_up(server, "change with the next start only")
        assert '"heartbeat"' in told
        assert '"port"' not in told, "it was given by a flag, which still stands"
        assert (await client.ask(action="generate", prompt="boat"))["code"] == "too_many_tasks"
        configure("tasks_per_owner = 2\nsize_min = 9000\n")
        assert "size_min" in await hang_up(server, "settings not reloaded")
        assert (await client.ask(action="generate", prompt="boat"))["code"] == "too_many_tasks"
        configure('log_level = "info"\ntasks_per_owner = 2\n')
        assert "tasks_per_owner" in await hang_up(server, "settings reloaded")
        assert (await client.ask(action="generate", prompt="boat"))["type"] == "ack"
        # Opening a pipe waits for whoever writes to it: the server could not even stop.
        (tmp_path / "xinflight.toml").unlink()
        os.mkfifo(tmp_path / "xinflight.toml")
        assert "no regular file" in await hang_up(server, "settings not reloaded")
        server.terminate()
        assert await server.ended() == 0


async def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    """The server of a window that was closed must not run on unseen; that of one which is there reloads."""
    master, slave = pty.openpty()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("XINFLIGHT_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from xinflight.cli import main; main()", "serve", "--port", "0"),
        *("--data-dir", str(tmp_path / "data"), "--xinference", NOBODY),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
        cwd=tmp_path,
        env=environ,
    )
    os.close(slave)
    try:
        await asyncio.to_thread(_read_until, master, b"Ctrl+C stops it")
        process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(_read_until, master, b"settings reloaded")
        # The kernel sends SIGHUP to the session of a terminal that goes.
        os.close(master)
        assert await asyncio.wait_for(process.wait(), LONG) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _take_terminal() -> None:
    """Make the terminal at stdin that of the new session."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(descriptor: int, text: bytes) -> None:
    read = b""
    while text not in read:
        read += os.read(descriptor, 4096)


# The service manager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Give the socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        yield manager


async def told(manager: socket.socket) -> list[str]:
    """Return what the service manager is told next."""
    data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(manager, 4096), LONG)
    return data.decode().split("\n")


async def test_what_a_service_manager_is_told(
    tmp_path: Path, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    server = await launch(tmp_path / "data", NOBODY)
    try:
        await server.up()
        seen = [await told(manager) for _ in range(3)]
        assert ["READY=1"] in seen
        assert ["WATCHDOG=1"] in seen
        async with aiohttp.ClientSession() as http, http.get(f"{server.url}readyz") as response:
            assert response.status == 200
        server.process.send_signal(signal.SIGHUP)
        while (said := await told(manager))[0] != "RELOADING=1":
            assert said == ["WATCHDOG=1"]
        name, _, value = said[1].partition("=")
        assert (name, value.isdigit()) == ("MONOTONIC_USEC", True)
        while await told(manager) != ["READY=1"]:
            pass
        server.terminate()
        while await told(manager) != ["STOPPING=1"]:
            pass
        assert await server.ended() == 0
    finally:
        if server.process.returncode is None:
            await server.kill()
