"""Background tasks: none dies unseen, each is started again after a pause, and closing leaves none behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs

from clients import FakeClock
from scripted_gateway import ScriptedGateway, turns
from streams import shared_server
from xinflight.journal import MemoryBus
from xinflight.storage import MemoryStore
from xinflight.supervise import LONGEST_PAUSE, STEADY, Supervisor
from xinflight.tasks import Pools


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def supervisor(clock: FakeClock) -> AsyncIterator[Supervisor]:
    """Give a supervisor; afterwards hold that it left nothing running."""
    supervisor = Supervisor(clock)
    yield supervisor
    await supervisor.close()
    assert not {task.get_name() for task in asyncio.all_tasks()} & {"prober", "recovery", "journal", "runs", "pauses"}


class Flaky:
    """Fails each time, once told to; otherwise waits."""

    def __init__(self) -> None:
        self.starts = 0
        self.fail = asyncio.Event()

    async def run(self) -> None:
        self.starts += 1
        await self.fail.wait()
        raise KeyError("a bug")


async def test_a_failure_is_logged_and_told_and_the_task_is_started_again(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    flaky = Flaky()
    supervisor.start("prober", flaky.run)
    await turns()
    assert supervisor.failing == []
    with capture_logs() as logs:
        flaky.fail.set()
        await turns()
    (line,) = logs
    assert (line["log_level"], line["name"]) == ("error", "prober")
    assert isinstance(line["exc_info"], KeyError)
    assert supervisor.failing == ["prober"]
    flaky.fail.clear()
    await clock.advance(1.0)
    assert flaky.starts == 2
    assert supervisor.failing == ["prober"]
    await clock.advance(STEADY)
    assert supervisor.failing == []


async def test_the_pause_doubles_up_to_its_bound_and_starts_anew_after_a_steady_time(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    flaky = Flaky()
    flaky.fail.set()
    supervisor.start("prober", flaky.run)
    await turns()
    for failures, pause in enumerate((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_PAUSE, LONGEST_PAUSE), start=1):
        assert flaky.starts == failures
        await clock.advance(pause - 0.01)
        assert flaky.starts == failures
        await clock.advance(0.01)
    flaky.fail.clear()
    await clock.advance(LONGEST_PAUSE + STEADY)
    starts = flaky.starts
    flaky.fail.set()
    await turns()
    await clock.advance(1.0)
    assert flaky.starts == starts + 1


async def test_a_future_that_was_cancelled_elsewhere_is_a_failure_too(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    """A CancelledError that nobody sent to the task itself must not end it for good."""
    awaited: list[asyncio.Future[None]] = []

    async def run() -> None:
        awaited.append(asyncio.get_running_loop().create_future())
        await awaited[-1]

    supervisor.start("recovery", run)
    await turns()
    awaited[0].cancel()
    await turns()
    assert supervisor.failing == ["recovery"]
    await clock.advance(1.0)
    assert len(awaited) == 2


async def test_closing_cancels_and_awaits_those_that_run_and_those_that_pause(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    ends: list[str] = []

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ends.append("awaited")

    flaky = Flaky()
    flaky.fail.set()
    supervisor.start("runs", run)
    supervisor.start("pauses", flaky.run)
    await turns()
    await supervisor.close()
    assert ends == ["awaited"]
    assert supervisor.failing == []
    await clock.advance(1.0)
    assert flaky.starts == 1


async def test_one_that_returns_is_over_and_its_name_is_free(supervisor: Supervisor, clock: FakeClock) -> None:
    starts: list[int] = []

    async def run() -> None:
        starts.append(1)

    supervisor.start("recovery", run)
    with pytest.raises(ValueError, match="recovery"):
        supervisor.start("recovery", run)
    await turns()
    await clock.advance(LONGEST_PAUSE)
    assert starts == [1]
    supervisor.start("recovery", run)
    await turns()
    assert starts == [1, 1]


async def test_finishing_waits_for_the_own_end_and_skips_the_pause(supervisor: Supervisor) -> None:
    """A writer that failed gets one more try before its owner closes, and no third one."""
    flaky = Flaky()
    flaky.fail.set()
    supervisor.start("journal", flaky.run)
    await turns()
    assert flaky.starts == 1
    await supervisor.finish("journal")
    assert flaky.starts == 2
    assert supervisor.failing == []
    await supervisor.finish("journal")


async def test_a_task_has_a_log_context_of_its_own(supervisor: Supervisor) -> None:
    """Who starts a task lends it nothing: its lines would carry a connection that has long gone."""
    seen: list[dict[str, object]] = []

    async def run() -> None:
        seen.append(structlog.contextvars.get_contextvars())

    with structlog.contextvars.bound_contextvars(connection="c1"):
        supervisor.start("prober", run)
    await turns()
    assert seen == [{}]


@pytest.mark.parametrize(
    ("name", "part", "method", "pause"),
    [
        ("pools", Pools, "_assign", 0.0),
        ("retention", MemoryStore, "prune", 60.0),
        ("journal", MemoryBus, "publish", 0.0),
    ],
)
async def test_the_server_outlives_a_failure_of_each_background_task(
    name: str, part: type, method: str, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in one of them costs one round of it: afterwards tasks still end, and it is called again."""
    calls: list[str] = []
    real = getattr(part, method)

    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(method)
        if len(calls) == 1:
            raise KeyError("a bug")
        return real(self, *args, **kwargs)

    async with ScriptedGateway.begin() as gateway:
        await gateway.watch("ann")
        monkeypatch.setattr(part, method, broken)
        gateway.upstream.changed()
        await gateway.clock.advance(pause)
        await gateway.submit(task_id="first")
        await turns()
        assert gateway.supervisor.failing == [name]
        await gateway.clock.advance(pause + 1.0)
        assert len(calls) >= 2
        await gateway.submit(task_id="second")
        await turns()
        for _ in range(2):
            gateway.upstream.pending[0].end("image")
            await turns()
        await gateway.drain()
        assert len(gateway.ends("ann", "second")) == 1
        await gateway.clock.advance(STEADY)
        assert gateway.supervisor.failing == []


async def test_health_names_a_background_task_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server still takes work, so it is 200; whoever watches it reads that something is wrong, and what."""

    async def broken(self: MemoryStore, **_: object) -> None:
        raise KeyError("a bug")

    async def health(http: aiohttp.ClientSession, base: str) -> tuple[int, Any]:
        async with http.get(f"{base}/healthz") as answer:
            return answer.status, await answer.json()

    nobody = "http://127.0.0.1:1"
    async with aiohttp.ClientSession() as http:
        async with shared_server(xinference_url=nobody) as (base, _):
            assert await health(http, base) == (200, {"status": "degraded", "upstream": "unreachable"})
        monkeypatch.setattr(MemoryStore, "prune", broken)
        async with shared_server(xinference_url=nobody) as (base, _):
            status, told = await health(http, base)
    assert (status, told["status"], told["failing"]) == (200, "degraded", ["retention"])
