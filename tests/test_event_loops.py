"""The event loop of the standalone server: uvloop's where it is installed, else asyncio's."""

import sys
from pathlib import Path

import pytest
import uvloop

from clients import WireClient
from server_process import LOOPS, running
from xinflight.cli.server import event_loop_factory
from xinflight.settings import Settings


def test_the_loop_of_uvloop() -> None:
    """It is used where the extra `speed` is installed, unless the setting says otherwise."""
    assert event_loop_factory(Settings()) is uvloop.new_event_loop
    assert event_loop_factory(Settings(speed=False)) is None


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server starts all the same, on asyncio's loop."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert event_loop_factory(Settings()) is None


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("loop", LOOPS)
async def test_a_server_on_each_loop(tmp_path: Path, loop: str) -> None:
    """It loads uvloop or does not, and serves."""
    async with (
        running(tmp_path / "data", "http://127.0.0.1:9", loop=loop) as server,
        WireClient.connect(server.url) as client,
    ):
        assert (await client.ask(action="ping"))["type"] == "pong"
        assert ("uvloop" in _mapped_files(server.process.pid)) == (loop == "uvloop")


def _mapped_files(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text("ascii", "replace")
