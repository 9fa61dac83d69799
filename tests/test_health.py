"""What /readyz says to whoever decides where to send work, and /healthz to whoever restarts what is dead."""

import asyncio
import errno
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from clients import LONG, Json, ShiftedClock, WireClient, hosted
from test_storage import Lock, accepted, refused
from xinflight.app import setup
from xinflight.settings import Settings
from xinflight.storage import FileBlobs, sqlite_database
from xinflight.tasks import runner


async def health(url: str) -> tuple[int, str]:
    """Return what /readyz answers. /healthz says the same, with 200 whatever it is."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}readyz") as response:
            said: Json = await response.json()
        async with http.get(f"{url}healthz") as alive:
            assert alive.status == 200
        return response.status, said["status"]


async def becomes(url: str, wanted: tuple[int, str]) -> None:
    """Ask until the answer is the wanted one."""
    async with asyncio.timeout(LONG):
        while True:
            if await health(url) == wanted:
                return
            await asyncio.sleep(0.05)


async def test_a_store_that_takes_nothing(
    stack: AsyncExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No work is taken while nothing can be stored; an idle server is worth another try after a minute.

    That Xinference is away is told, but does not matter: tasks wait for it.
    """
    monkeypatch.setattr(sqlite_database, "BUSY_TIMEOUT", 0.05)
    app, clock = web.Application(), ShiftedClock()
    settings = Settings(xinference_url="http://127.0.0.1:9", data_dir=str(tmp_path / "data"), drain=0.0)
    setup(app, settings, clock=clock)
    url = await stack.enter_async_context(hosted(app))
    client = await stack.enter_async_context(WireClient.connect(url))
    assert await health(url) == (200, "degraded")
    with Lock(tmp_path / "data"):
        await refused(client, "a")
        assert await health(url) == (503, "storage_unavailable")
    assert await health(url) == (503, "storage_unavailable"), "nothing was stored since"
    clock.shift += 61.0
    assert await health(url) == (200, "degraded")


async def test_a_disk_that_is_free_again(
    client: WireClient, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "BUSY_TIMEOUT", 0.05)
    with Lock(tmp_path / "data"):
        await refused(client, "a")
    await accepted(client, "a")
    assert await health(server) == (200, "ok")


async def test_images_that_the_disk_does_not_take(
    client: WireClient, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While finished images are held, no new work is taken."""

    def full(self: FileBlobs, output_id: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runner, "STORAGE_PAUSE", 0.1)
    with monkeypatch.context() as disk:
        disk.setattr(FileBlobs, "_put", full)
        await client.ask(action="generate", prompt="boat", task_id="a")
        await client.until(lambda m: m["type"] == "progress" and m["step"] == "saving")
        await becomes(server, (503, "storage_unavailable"))
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert await health(server) == (200, "ok")
