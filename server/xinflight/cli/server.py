"""The standalone server: an aiohttp application that mounts one gateway with `setup`."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import platformdirs
import structlog
from aiohttp import web

from xinflight.app import setup
from xinflight.auth import LOCAL, TokenFile
from xinflight.cli.collector import collect_cycles, settle_collector
from xinflight.cli.reload import Reloads, lost_terminal
from xinflight.cli.service_manager import notify_service_manager, notify_watchdog
from xinflight.clock import SystemClock
from xinflight.demo import demo_emulator, serve_emulator
from xinflight.settings import Settings
from xinflight.supervise import Supervisor
from xinflight.web import (
    Connections,
    is_loopback,
    most_connections,
    most_long_lived,
    protect_all,
    raise_descriptor_limit,
)

__all__ = ["CantListen", "data_folder", "event_loop_factory", "resolve_auth", "run", "serving"]

log = structlog.stdlib.get_logger(__name__)


class CantListen(Exception):
    """The server can't listen on its address; the message says why, and what to try."""


def event_loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the server's event loop: uvloop's if it is installed and wanted, else None: asyncio's."""
    if not settings.speed:
        return None
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop


async def run(
    settings: Settings,
    *,
    demo: bool,
    make_token: bool,
    started: Callable[[str, Settings], None],
    read: Callable[[], Settings],
) -> None:
    """Serve until SIGINT or SIGTERM, or until an admin drains the server. `make_token` as `serving`.

    Calls `started(url, settings)` once the port is open. SIGHUP reloads the settings that `read` returns, or
    stops the server if it comes because the terminal is gone.

    Raises:
        CantListen: the port is in use, or the address isn't one of this machine.
        StoreUnusable: the data folder is unusable.
        DemoUnavailable: the extra `demo` is not installed.
    """
    stop = asyncio.Event()
    # Event loops on Windows have no signal handlers: there Ctrl+C cancels this coroutine (asyncio.run), which stops
    # the server as well.
    reloads, on_terminal = Reloads(read), sys.stderr.isatty()
    with contextlib.suppress(AttributeError, NotImplementedError):
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGHUP, lambda: stop.set() if lost_terminal(had_one=on_terminal) else reloads.request()
        )
    raise_descriptor_limit(settings.connections)
    async with serving(settings, demo=demo, make_token=make_token, on_drain=stop.set, reloads=reloads) as (
        url,
        settings,
    ):
        settle_collector()
        supervisor = Supervisor(SystemClock())
        supervisor.start("collector", lambda: collect_cycles(SystemClock()))
        supervisor.start("watchdog", lambda: notify_watchdog(SystemClock()))
        try:
            started(url, settings)
            notify_service_manager("READY=1")
            await stop.wait()
        finally:
            notify_service_manager("STOPPING=1")
            await supervisor.close()
        log.info("stopping; once more stops at once", seconds=settings.drain)
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(name)


@asynccontextmanager
async def serving(
    settings: Settings,
    *,
    demo: bool,
    make_token: bool = True,
    on_drain: Callable[[], None] = lambda: None,
    reloads: Reloads | None = None,
) -> AsyncIterator[tuple[str, Settings]]:
    """Serve inside the block; yield the URL to open and the settings in effect. Errors as `run`.

    With `make_token`, a new data folder gets a first token if one is needed, which is in the fragment of the URL.
    `on_drain` is called when an admin drains the server: the block should end then.
    """
    async with AsyncExitStack() as stack:
        engine: dict[str, str | None] = {}
        if demo:
            url = await stack.enter_async_context(serve_emulator(demo_emulator(SystemClock())))
            engine = {"xinference_url": url, "api_key": None, "model": None}

        most, wanted = most_connections(settings.connections), settings.connections

        def resolve(settings: Settings) -> Settings:
            folder = data_folder(settings, demo=demo)
            # Another number, which a reload may bring, takes effect with the next start, and is told as such.
            same = settings.connections == wanted
            connections = most_long_lived(wanted, most) if same else settings.connections
            return resolve_auth(
                msgspec.structs.replace(settings, data_dir=str(folder), connections=connections, **engine)
            )

        settings = resolve(settings)
        token = None
        if settings.auth == "tokens" and make_token:
            token = await asyncio.to_thread(_first_token, data_folder(settings, demo=demo))
        connections = Connections(most, SystemClock())
        app = web.Application()
        protect_all(app)
        gateway = setup(app, settings, page=True)
        gateway.on_drain = on_drain
        gateway.demo = demo
        runner = web.AppRunner(app, shutdown_timeout=5.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        if reloads is not None:
            gateway.supervisor.start("reload", partial(reloads.run, gateway, resolve))
        assert runner.server is not None  # there after the setup
        try:
            listening = await connections.listen(runner.server, settings.host, settings.port)
        except OSError as error:
            raise _cant_listen(settings, error) from None
        stack.callback(listening.close)
        # Before the runner's cleanup, after which aiohttp ignores received data (web_protocol.py, data_received):
        # pongs and cancels would be lost while running outputs still have time to finish.
        stack.push_async_callback(gateway.drain)
        yield _page_url(settings, listening.sockets[0].getsockname()[1], token), gateway.settings


def _cant_listen(settings: Settings, error: OSError) -> CantListen:
    """Return the error for a failed bind, with its cause and what to try."""
    match error.errno:
        case errno.EADDRINUSE:
            cure = f"try --port {settings.port + 1}"
        case errno.EACCES:
            cure = "ports below 1024 need more rights, try --port 8000"
        case _:
            cure = "look at --host: it must be an address of this machine"
    if error.errno is None or isinstance(error, socket.gaierror):
        # Since Python 3.13 the error for an address of another machine has no errno; that for an unknown name never
        # had one.
        why = error.strerror or str(error)
    else:
        # asyncio puts a long text into `strerror`.
        why = os.strerror(error.errno)
    return CantListen(f"Can't listen on {settings.host}:{settings.port}: {why}; {cure}.")


def resolve_auth(settings: Settings) -> Settings:
    """Return settings with the mode in effect: by default tokens beyond loopback, else none."""
    if settings.auth is not None:
        return settings
    return msgspec.structs.replace(settings, auth="none" if is_loopback(settings.host) else "tokens")


def data_folder(settings: Settings, *, demo: bool) -> Path:
    """Return the data folder: that of the settings, or the platform's folder for user data."""
    if settings.data_dir is not None:
        return Path(settings.data_dir)
    return platformdirs.user_data_path("xinflight") / ("demo" if demo else "server")


def _first_token(folder: Path) -> str | None:
    """Make the token of an admin in a folder that never had one, so that somebody can log in; else return None."""
    file = TokenFile(folder)
    if file.exists():
        return None
    token, _ = file.add(LOCAL.id, now=SystemClock().time(), admin=True)
    return token


def _page_url(settings: Settings, port: int, token: str | None) -> str:
    """Return the URL to open in a browser, with the token in the fragment, which browsers don't send to servers."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}/" + (f"#token={token}" if token is not None else "")
