"""The processes of the benchmark: start them on a core, find their address, read what they used. Linux only."""

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web
from msgspec import Struct

__all__ = ["Process", "cores", "cpu_seconds", "resident_bytes", "running", "serve_until_terminated"]

STARTUP = 60.0
"""Seconds that a process may take until it serves, on a machine that is busy with other things."""
_ADDRESS = re.compile(r" is at (http://\S+)")


class Process(Struct, frozen=True):
    """A server that runs: its pid, and its base URL without the slash at the end."""

    pid: int
    url: str


async def serve_until_terminated(app: web.Application, name: str) -> None:
    """Serve on a free port, print the URL to stderr, and stop at SIGTERM. Tuned as `xinflight serve` is."""
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 1000)
        print(f"{name} is at http://127.0.0.1:{runner.addresses[0][1]}", file=sys.stderr, flush=True)
        await terminated.wait()
    finally:
        await runner.cleanup()


@contextmanager
def running(command: Sequence[str], log: Path, *, core: int | None, environ: Mapping[str, str]) -> Iterator[Process]:
    """Run a server inside the block; its stderr goes to the file `log`, in which it prints its address.

    A file, as in production: a pipe would charge the server for the speed of whoever reads it.

    Raises:
        RuntimeError: it ended, or did not print an address within STARTUP seconds; the text ends with its log.
    """
    with log.open("wb") as stderr:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, env=environ)
    try:
        if core is not None:
            # Before it has threads: those inherit this.
            os.sched_setaffinity(child.pid, {core})
        yield Process(child.pid, _address(child, log))
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _address(child: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(int(STARTUP / 0.05)):
        found = _ADDRESS.search(log.read_text("utf-8", "replace"))
        if found is not None:
            return found[1].rstrip("/")
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"{child.args!r} does not serve:\n{log.read_text('utf-8', 'replace')[-4000:]}")


def cores() -> tuple[int | None, int | None]:
    """Return the cores for the server under test and for the load, or None twice where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[-1], usable[0]) if len(usable) > 1 else (None, None)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds, user and system, that all threads of a process have used (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    # Fields 14 and 15, utime and stime; the third is the first after the name.
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return how much memory of a process is resident (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
