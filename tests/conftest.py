"""Fixtures for every test: blocking calls on the loop are errors, and a whole server is one fixture away.

It also keeps the lanes apart: what a test of the fast lane must not do fails it.
"""

import gc
import itertools
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from blockbuster import BlockBuster, blockbuster_ctx

from clients import PAINTER, Recorder, ShiftedClock, WireClient
from factories import lease
from http_peer import TRANSPORTS
from xinflight import app
from xinflight.cli import serving
from xinflight.demo import EmulatedModel, Emulator, EmulatorOptions, serve_emulator
from xinflight.settings import Settings
from xinflight.storage import MemoryStore, SqliteStore, Store

# A machine may be as slow as it likes: no example has to be over in a certain time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

LANES_OF_FIXTURES = {"browser": "browser", "_installed": "xinference", "disk": "process", "read_only": "process"}
"""A test that takes one of these fixtures is in this lane, whether its author marked it or not."""
LANES_WITH_PROCESSES = {"process", "browser", "xinference"}
STARTS_A_PROCESS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.exec", "os.system"}
"""The audit events of everything that makes a process."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose fixtures tell their lane."""
    for item in items:
        for fixture in LANES_OF_FIXTURES.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(LANES_OF_FIXTURES[fixture])


def pytest_collection_finish() -> None:
    """Spare the collector what lives to the end: six thousand tests, which every full collection would look at."""
    gc.freeze()


class FastLane:
    """Fails a test that starts a process without being marked for it: it would be in the fast lane by mistake."""

    def __init__(self) -> None:
        self._unmarked: str | None = None
        sys.addaudithook(self._audit)

    def _audit(self, event: str, _: object) -> None:
        if self._unmarked is not None and event in STARTS_A_PROCESS:
            raise AssertionError(f"{self._unmarked} starts a process ({event}): mark it `process`")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch one test, its fixtures included."""
        marked = any(item.get_closest_marker(lane) for lane in LANES_WITH_PROCESSES)
        self._unmarked = None if marked else item.nodeid
        try:
            return (yield)
        finally:
            self._unmarked = None


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    config.pluginmanager.register(FastLane())


@pytest.fixture(autouse=True)
def logs_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what a test configures of the logs from the next one: a cached logger would keep it for ever."""
    configure = structlog.configure
    monkeypatch.setattr(structlog, "configure", lambda **how: configure(**how | {"cache_logger_on_first_use": False}))
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """Turn a blocking call on the event loop into an error."""
    with blockbuster_ctx("xinflight") as blockbuster:
        # Mounting looks for templates and assets: once, before anything is served.
        for function in blockbuster.functions.values():
            function.can_block_in("xinflight/app.py", "setup")
            # A traceback that is logged reads its source lines, once for each file.
            function.can_block_in("linecache.py", ("checkcache", "updatecache", "getlines"))
            function.can_block_in("rich/traceback.py", ("extract", "_render_stack"))
        yield blockbuster


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ShiftedClock:
    """Give the clock of every gateway that the test mounts afterwards; the emulator has its own."""
    clock = ShiftedClock()
    monkeypatch.setattr(app, "SystemClock", lambda: clock)
    return clock


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """Give a port on which a test may listen as often as it likes: to the end of the test nobody else is given it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        if sys.platform != "linux":
            # Elsewhere nobody can listen on a port that is bound.
            holder.close()
        yield port


@pytest.fixture(params=TRANSPORTS)
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send requests to Xinference by each transport in turn; other tests take httptools."""
    monkeypatch.setattr("xinflight.upstream.client.create_transport", request.param)


Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Close what a test opened, the last first."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Give each implementation of the store in turn, open, with the pool of the factories leased."""
    made: Store = MemoryStore(1000) if request.param == "memory" else SqliteStore(tmp_path / "data", full=False)
    await made.open()
    await lease(made)
    yield made
    await made.close()


@pytest.fixture
async def engine() -> Recorder:
    """Give an emulator with one model; change its faults at any time, and read what it was asked."""
    return Recorder([PAINTER])


@pytest.fixture
async def emulate(stack: AsyncExitStack) -> Serve:
    """Serve an emulator over HTTP; return its base URL."""

    async def start(engine: Emulator) -> str:
        return await stack.enter_async_context(serve_emulator(engine))

    return start


@pytest.fixture
async def serve(stack: AsyncExitStack, tmp_path: Path) -> Serve:
    """Start xinflight with some settings on a free port; return its base URL."""
    folders = itertools.count(1)

    async def start(**settings: Any) -> str:
        folder = tmp_path / ("data" if (number := next(folders)) == 1 else f"data-{number}")
        settings = {"data_dir": str(folder), "drain": 0.0, **settings}
        url, _ = await stack.enter_async_context(serving(Settings(port=0, **settings), demo=False))
        return url

    return start


@pytest.fixture
async def server(engine: Recorder, emulate: Serve, serve: Serve) -> str:
    """Give the base URL of a xinflight in front of `engine`."""
    return await serve(xinference_url=await emulate(engine), default_size="64x64")


@pytest.fixture
async def client(server: str, stack: AsyncExitStack) -> WireClient:
    """Give a client of `server`."""
    return await stack.enter_async_context(WireClient.connect(server))


@pytest.fixture
async def demo_url(stack: AsyncExitStack, tmp_path: Path) -> str:
    """Give the base URL of a server on the demo engine, as `make run` starts it."""
    url, _ = await stack.enter_async_context(
        serving(Settings(port=0, data_dir=str(tmp_path / "demo"), drain=0.0), demo=True)
    )
    return url


Front = Callable[..., Awaitable[tuple[Recorder, WireClient]]]


@pytest.fixture
async def front(emulate: Serve, serve: Serve, stack: AsyncExitStack) -> Front:
    """Start an emulator with some models, a xinflight in front of it, and a client; settings by name."""

    async def start(
        *models: EmulatedModel, options: EmulatorOptions | None = None, **settings: Any
    ) -> tuple[Recorder, WireClient]:
        engine = Recorder(models or (PAINTER,), options=options)
        url = await serve(**{"xinference_url": await emulate(engine), "default_size": "64x64", **settings})
        return engine, await stack.enter_async_context(WireClient.connect(url))

    return start
