"""Measure what a generation costs: the bare handler, xinflight, and with BASE an older xinflight, in one run.

`make bench` runs this. Every round measures each of them once, one after the other, so that what the machine does
meanwhile meets all of them. Options are environment variables: see `bench.options`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.load import Load, Measured
from bench.options import Options
from bench.processes import Process, cores, running
from bench.report import report

__all__ = ["BARE", "ROOT", "checked_out", "compare", "environ"]

ROOT = Path(__file__).parents[2]
BARE = "bare handler"


class Contender(Struct, frozen=True):
    """A server to measure: the bare handler where `tree` is None, else the xinflight of a source tree."""

    name: str
    tree: Path | None
    log_level: str = ""


def compare(options: Options) -> dict[str, list[Measured]]:
    """Measure every contender once per round and return the figures of each, in the order of the rounds.

    Raises:
        RuntimeError: a server does not start, or answered with an error.
        subprocess.CalledProcessError: the load failed, or there is no commit `base`.
    """
    with ExitStack() as stack:
        contenders = [Contender(BARE, None)]
        if options.base:
            older = stack.enter_context(checked_out(options.base))
            contenders.append(Contender(f"{options.base}, log level info", older, "info"))
        contenders += [Contender(f"xinflight, log level {level}", ROOT, level) for level in ("info", "warning")]
        figures: dict[str, list[Measured]] = {contender.name: [] for contender in contenders}
        for number in range(options.rounds):
            for contender in contenders:
                print(f"round {number + 1} of {options.rounds}: {contender.name}", file=sys.stderr, flush=True)
                figures[contender.name].append(_measure(contender, options))
    return figures


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Unpack a commit into a temporary folder, from which it runs with the packages of this environment."""
    with tempfile.TemporaryDirectory(prefix="xinflight-base-") as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        # Where setup.cfg maps it: otherwise it would be found in this tree's editable installation.
        page = Path(folder) / "server/xinflight/client_static"
        if not page.exists():
            page.symlink_to(Path(folder) / "client_static")
        yield Path(folder)


def _measure(contender: Contender, options: Options) -> Measured:
    """Start an upstream, the server and the load, all new, and return the figures."""
    server_core, load_core = cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xinflight-bench-")))
        replicas, generation = str(options.clients), str(options.generation)
        command = _python("-m", "bench.fake_upstream", replicas, generation)
        upstream = stack.enter_context(
            running(command, folder / "upstream", core=load_core, environ=environ(ROOT / "tests"))
        )
        server = stack.enter_context(_serving(contender, upstream, folder, server_core))
        load = Load(
            url=server.url,
            upstream_url=upstream.url,
            server_pid=server.pid,
            upstream_pid=upstream.pid,
            clients=options.clients,
            seconds=options.seconds,
            generation=options.generation,
            core=load_core,
        )
        command = _python("-m", "bench.load", msgspec.json.encode(load).decode())
        answer = subprocess.run(command, env=environ(ROOT / "tests"), stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(answer.stdout, type=Measured)


@contextmanager
def _serving(contender: Contender, upstream: Process, folder: Path, core: int | None) -> Iterator[Process]:
    if contender.tree is None:
        command = _python("-m", "bench.bare_handler", upstream.url)
        variables = environ(ROOT / "tests")
    else:
        options = ["--port", "0", "--data-dir", str(folder / "data"), "--xinference", upstream.url]
        command = _python("-c", "from xinflight.cli import main; main()", "serve", *options)
        variables = environ(contender.tree / "server")
        variables |= {"XINFLIGHT_LOG_LEVEL": contender.log_level, "XINFLIGHT_DRAIN": "0"}
    with running(command, folder / "server", core=core, environ=variables) as server:
        yield server


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def environ(modules: Path) -> dict[str, str]:
    """Return the environment without settings of xinflight, and with a folder whose modules come first."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("XINFLIGHT_")}
    return {**inherited, "PYTHONPATH": str(modules)}


def main() -> None:
    """Measure and print the report, as Markdown."""
    if sys.platform != "linux":
        sys.exit("The benchmark reads /proc and pins processes to cores: it needs Linux.")
    options = Options.from_environ()
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    print(report(compare(options), options, commit), flush=True)


if __name__ == "__main__":
    main()
