"""The command `xinflight demo`: the demo engine alone, as a stand-in for Xinference."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

import click

from xinflight.cli.logs import set_up_logs
from xinflight.cli.server import CantListen
from xinflight.clock import SystemClock
from xinflight.demo import DemoUnavailable, Emulator, demo_emulator, serve_emulator

__all__ = ["demo"]


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="P",
    default=9997,
    help="Port to bind to (9997, as Xinference; 0 chooses a free one).",
)
def demo(port: int) -> None:
    """Serve the demo engine alone, as a stand-in for Xinference, until Ctrl+C."""
    set_up_logs("warning")
    try:
        asyncio.run(_run(port, _greet))
    except (CantListen, DemoUnavailable) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        # Ctrl+C where the event loop has no signal handlers (Windows); the engine has shut down by now.
        pass


async def _run(port: int, started: Callable[[str, Emulator], None]) -> None:
    """Serve the engine on a loopback port until SIGINT or SIGTERM; call `started(url, engine)` once it is open.

    Raises:
        CantListen: the port is in use, or needs more rights.
        DemoUnavailable: the extra `demo` is not installed.
    """
    stop = asyncio.Event()
    with contextlib.suppress(NotImplementedError):
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
    engine = demo_emulator(SystemClock())
    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(serve_emulator(engine, port=port))
        except OSError as error:
            # asyncio puts a long text into `strerror`.
            why = os.strerror(error.errno) if error.errno else str(error)
            raise CantListen(f"Can't listen on 127.0.0.1:{port}: {why}; try another --port.") from None
        started(url, engine)
        await stop.wait()


def _greet(url: str, engine: Emulator) -> None:
    """Print the address of the engine and what its models can do."""
    models = engine.models().values()
    width = max(len(model.uid) for model in models)
    listed = "".join(f"\n  {model.uid:<{width}}  {', '.join(model.abilities)}" for model in models)
    click.echo(f"The demo engine is at {url}{listed}\n  Ctrl+C stops it", err=True)
