"""What is measured: the bare handler, the tutorial's form, and xinflight in its variants, started alike."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from msgspec import Struct

from bench.fake_upstream import SMALL
from bench.processes import cores, running
from bench.stalls import VARIABLE

__all__ = ["BARE", "EQUAL", "PEERS", "ROOT", "SPEED_EQUAL", "TUTORIAL", "XINFLIGHT", "XINFLIGHT_SPEED"]
__all__ += ["Contender", "Stage", "environ", "staged"]

ROOT = Path(__file__).parents[2]
UNBOUND = "1000000"
"""Polls per second that are never reached, so that each generation is polled as often as its progress needs."""
MANY = {
    "XINFLIGHT_DRAIN": "0",
    # Without a log-in all clients are one owner; these limits are for one.
    "XINFLIGHT_TASKS": "100000",
    "XINFLIGHT_TASKS_PER_OWNER": "100000",
    "XINFLIGHT_CONNECTIONS": "15000",
}


class Contender(Struct, frozen=True, kw_only=True):
    """A server to measure. The last four fields are for xinflight only."""

    name: str
    form: Literal["bare", "tutorial", "xinflight"] = "xinflight"
    speed: bool = False
    """Whether it finds the packages of the extra `speed`."""
    equal_polls: bool = False
    """Whether it may poll as often as the bare handler does, rather than as its default budget says."""
    log_level: str = "info"
    tree: Path = ROOT


BARE = Contender(name="bare handler", form="bare")
TUTORIAL = Contender(name="FastAPI tutorial", form="tutorial")
EQUAL = Contender(name="xinflight, equal polls", equal_polls=True)
SPEED_EQUAL = Contender(name="xinflight[speed], equal polls", equal_polls=True, speed=True)
XINFLIGHT = Contender(name="xinflight")
XINFLIGHT_SPEED = Contender(name="xinflight[speed]", speed=True)
PEERS = (BARE, TUTORIAL, XINFLIGHT, XINFLIGHT_SPEED)
"""Those of scenarios in which the number of polls does not matter."""


class Stage(Struct, kw_only=True):
    """A server under test and its upstream, both running."""

    url: str
    upstream_url: str
    server_pid: int
    upstream_pid: int
    generation: float
    """Seconds that the upstream takes for an image."""


@contextmanager
def staged(
    contender: Contender, *, slots: int, generation: float, pixels: int = SMALL, stalls: Path | None = None
) -> Iterator[Stage]:
    """Start an upstream and the server inside the block, all new, each on its core where there are two.

    `stalls` is a file for how late the server's loop was, which costs it CPU (`bench.stalls`).

    Raises:
        RuntimeError: one of them does not start.
    """
    server_core, load_core = cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="xinflight-bench-")))
        command = [sys.executable, "-m", "bench.fake_upstream", str(slots), str(generation), str(pixels)]
        variables = environ(ROOT / "tests")
        upstream = stack.enter_context(running(command, folder / "upstream", core=load_core, environ=variables))
        command, variables = _command(contender, upstream.url, folder, stalls)
        server = stack.enter_context(running(command, folder / "server", core=server_core, environ=variables))
        yield Stage(
            url=server.url,
            upstream_url=upstream.url,
            server_pid=server.pid,
            upstream_pid=upstream.pid,
            generation=generation,
        )


def _command(
    contender: Contender, upstream_url: str, folder: Path, stalls: Path | None
) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment of a server."""
    watched = {} if stalls is None else {VARIABLE: str(stalls)}
    if contender.form != "xinflight":
        module = "bench.bare_handler" if contender.form == "bare" else "bench.tutorial"
        return [sys.executable, "-m", module, upstream_url], environ(ROOT / "tests") | watched
    code = "from xinflight.cli import main; main()"
    if stalls is not None:
        code = f"from bench.stalls import watch_runners; watch_runners(); {code}"
    if not contender.speed:
        # As where the extra is not installed: to import them is an error.
        code = f"import sys; sys.modules.update(uvloop=None, httptools=None); {code}"
    options = ["--port", "0", "--data-dir", str(folder / "data"), "--xinference", upstream_url]
    variables = environ(contender.tree / "server", ROOT / "tests") | MANY | watched
    variables["XINFLIGHT_LOG_LEVEL"] = contender.log_level
    if contender.equal_polls:
        variables["XINFLIGHT_POLLS_PER_SECOND"] = UNBOUND
    return [sys.executable, "-c", code, "serve", *options], variables


def environ(*modules: Path) -> dict[str, str]:
    """Return the environment without settings of xinflight, and with folders whose modules come first."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("XINFLIGHT_")}
    return {**inherited, "PYTHONPATH": os.pathsep.join(map(str, modules))}
