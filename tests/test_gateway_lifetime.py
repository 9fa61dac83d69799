"""A gateway inside a host's process: its close ends whoever reads, and a start that fails leaves nothing behind."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clients import Recorder, eventually, hosted
from conftest import Serve
from xinflight import Gateway, Settings, setup
from xinflight.demo import Faults
from xinflight.errors import ShuttingDown
from xinflight.storage import Retention
from xinflight.upstream import Xinference


def gateway(settings: Settings) -> tuple[web.Application, Gateway]:
    app = web.Application()
    return app, setup(app, settings)


async def test_the_iterator_of_a_generation_ends_with_the_gateway(
    engine: Recorder, emulate: Serve, tmp_path: Path
) -> None:
    """Where tasks are kept, it is told that the gateway closes; the same call finds the task after the next start."""
    settings = Settings(
        xinference_url=await emulate(engine), default_size="64x64", drain=0.0, data_dir=str(tmp_path / "data")
    )
    engine.faults = Faults(freeze=1, requests=1)
    seen: list[str] = []

    async def read(gateway: Gateway, begun: asyncio.Event) -> None:
        async for event in gateway.generate(owner="ann", prompt="boat", task_id="a"):
            seen.append(type(event).__name__)
            begun.set()

    app, first = gateway(settings)
    begun = asyncio.Event()
    async with hosted(app):
        reading = asyncio.create_task(read(first, begun))
        await begun.wait()
    done, _ = await asyncio.wait([reading], timeout=5.0)
    assert done, "it waits for ever"
    assert isinstance(reading.exception(), ShuttingDown)
    assert seen[0] == "Accepted"
    engine.thaw()
    app, second = gateway(settings)
    async with hosted(app):
        await read(second, begun)
    assert seen[-1] == "Result"


async def test_the_iterator_is_told_the_end_where_nothing_is_kept(engine: Recorder, emulate: Serve) -> None:
    """There, the task fails before the gateway closes, and that end is the last event."""
    engine.faults = Faults(freeze=1)
    app, first = gateway(Settings(xinference_url=await emulate(engine), default_size="64x64", drain=0.0))
    begun = asyncio.Event()
    events: list[Any] = []

    async def read() -> None:
        async for event in first.generate(owner="ann", prompt="boat"):
            events.append(event)
            begun.set()

    async with hosted(app):
        reading = asyncio.create_task(read())
        await begun.wait()
        engine.faults = Faults()
    await asyncio.wait_for(reading, 5.0)
    assert events[-1].code == "shutting_down"
    engine.thaw()


@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize(("part", "method"), [(Xinference, "_probe"), (Retention, "start")])
async def test_a_start_that_fails_leaves_nothing_behind(
    part: type, method: str, cancelled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails, or is cancelled: no thread, task or session stays, and the next one can use the folder."""
    settings = Settings(xinference_url="http://127.0.0.1:1", data_dir=str(tmp_path / "data"), drain=0.0)

    async def broken(self: object) -> None:
        raise asyncio.CancelledError if cancelled else RuntimeError("broken")

    def broken_at_once(self: object) -> None:
        raise asyncio.CancelledError if cancelled else RuntimeError("broken")

    tasks = asyncio.all_tasks()
    with monkeypatch.context() as patch:
        patch.setattr(part, method, broken if method == "_probe" else broken_at_once)
        _, failing = gateway(settings)
        with pytest.raises(asyncio.CancelledError if cancelled else RuntimeError):
            await failing.__aenter__()
    assert asyncio.all_tasks() == tasks
    await eventually(lambda: not [thread for thread in threading.enumerate() if "xinflight store" in thread.name])
    _, working = gateway(settings)
    async with working:
        assert working.supervisor.failing == []
