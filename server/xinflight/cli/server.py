"""The standalone server: an application of its own, built on `setup` like anybody's."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import platformdirs
import structlog
from aiohttp import web

from xinflight.app import setup
from xinflight.cli.collector import collect_cycles, settle_collector
from xinflight.clock import SystemClock
from xinflight.demo import demo_emulator, serve_emulator
from xinflight.settings import Settings
from xinflight.supervise import Supervisor
from xinflight.web import (
    Connections,
    Token,
    hide_versions,
    is_loopback,
    kept_token,
    most_connections,
    raise_descriptor_limit,
)

__all__ = ["CantListen", "run", "serving"]

log = structlog.stdlib.get_logger(__name__)

IDLE = 75.0
"""Seconds that a connection may have without a whole request: before the first one, within one, between two."""


class CantListen(Exception):
    """The port can't be opened; the text says why, and what to try."""


async def run(settings: Settings, *, demo: bool, started: Callable[[str, Settings], None]) -> None:
    """Serve until SIGINT or SIGTERM; `started(url, settings)` is called when the port is open.

    Raises:
        CantListen: the port is taken, or the address is none of this machine.
        StoreUnusable: the data folder can't be used.
        DemoUnavailable: the extra `demo` is not installed.
    """
    stop = asyncio.Event()
    # Windows has no signal handlers of a loop: there Ctrl+C cancels this coroutine (asyncio.run), which stops it too.
    with contextlib.suppress(NotImplementedError):
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
    raise_descriptor_limit(settings.connections)
    async with serving(settings, demo=demo) as (url, settings):
        settle_collector()
        supervisor = Supervisor(SystemClock())
        supervisor.start("collector", lambda: collect_cycles(SystemClock()))
        try:
            started(url, settings)
            await stop.wait()
        finally:
            await supervisor.close()
        log.info("stopping; once more stops at once", seconds=settings.drain)
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(name)


@asynccontextmanager
async def serving(settings: Settings, *, demo: bool) -> AsyncIterator[tuple[str, Settings]]:
    """Serve inside the block; yield the URL to open and the settings in effect. Errors as `run`."""
    async with AsyncExitStack() as stack:
        if demo:
            url = await stack.enter_async_context(serve_emulator(demo_emulator(SystemClock())))
            settings = msgspec.structs.replace(settings, xinference_url=url, api_key=None, model=None)
        folder = _data_folder(settings, demo=demo)
        settings = msgspec.structs.replace(settings, data_dir=str(folder))
        wanted = not is_loopback(settings.host) if settings.auth is None else settings.auth
        token = kept_token(folder) if wanted else None
        connections = Connections(most_connections(settings.connections), SystemClock())
        app = web.Application(middlewares=[connections.middleware])
        hide_versions(app)
        gateway = setup(app, settings, page=True, token=token)
        # A body is read as it was sent: inflating a stranger's 200 KB to 200 MB would stop the loop for everybody.
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=5.0, auto_decompress=False, keepalive_timeout=IDLE
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None  # there after the setup
        try:
            listening = await connections.listen(runner.server, settings.host, settings.port)
        except OSError as error:
            raise _cant_listen(settings, error) from None
        stack.callback(listening.close)
        # Before the runner's cleanup, which reads nothing more from any connection (aiohttp/web_protocol.py,
        # data_received): pongs and cancels would be lost while what runs has its time.
        stack.push_async_callback(gateway.drain)
        yield _page_url(settings, listening.sockets[0].getsockname()[1], token), settings


def _cant_listen(settings: Settings, error: OSError) -> CantListen:
    """Return the error that tells why the port can't be opened, and what to try."""
    match error.errno:
        case errno.EADDRINUSE:
            cure = f"try --port {settings.port + 1}"
        case errno.EACCES:
            cure = "ports below 1024 need more rights, try --port 8000"
        case _:
            cure = "look at --host: it must be an address of this machine"
    if error.errno is None or isinstance(error, socket.gaierror):
        # From Python 3.13 on, an address of another machine has no number; a name that is not found never had one.
        why = error.strerror or str(error)
    else:
        # asyncio writes an essay into `strerror`.
        why = os.strerror(error.errno)
    return CantListen(f"Can't listen on {settings.host}:{settings.port}: {why}; {cure}.")


def _data_folder(settings: Settings, *, demo: bool) -> Path:
    """Return the folder for what is kept: the one of the settings, else the platform's for user data."""
    if settings.data_dir is not None:
        return Path(settings.data_dir)
    return platformdirs.user_data_path("xinflight") / ("demo" if demo else "server")


def _page_url(settings: Settings, port: int, token: Token | None) -> str:
    """Return the URL for a browser; a token rides in the fragment, which browsers don't send."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}/" + (f"#token={token.secret}" if token is not None else "")
