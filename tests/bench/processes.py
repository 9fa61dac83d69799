"""The processes of the benchmark: start them on a core, find their address, read what they used. Linux only."""

import asyncio
import gc
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import uvloop
from aiohttp import web
from msgspec import Struct

__all__ = [
    "Process",
    "answer",
    "cores",
    "cpu_seconds",
    "driven",
    "hosting",
    "resident_bytes",
    "running",
    "serve_until_terminated",
]

STARTUP = 60.0
"""Seconds that a process may take until it serves, on a machine that is busy with other things."""
_ADDRESS = re.compile(r" is at (http://\S+)")

J = TypeVar("J")
T = TypeVar("T")


class Process(Struct, frozen=True):
    """A server that runs: its pid, and its base URL without the slash at the end."""

    pid: int
    url: str


@asynccontextmanager
async def hosting(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free port inside the block, and yield its URL. Tuned as `xinflight serve` is."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def serve_until_terminated(serving: AbstractAsyncContextManager[str], name: str) -> None:
    """Serve, print the URL to stderr, and stop at SIGTERM. The collector is set as `xinflight serve` sets it."""
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    async with serving as url:
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 1000)
        print(f"{name} is at {url}", file=sys.stderr, flush=True)
        await terminated.wait()


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


def driven(module: str, job: Struct, returns: type[T], *, core: int | None, environ: Mapping[str, str]) -> T:
    """Run the load of a module in a process of its own (see `answer`), and return what it measured.

    Raises:
        subprocess.CalledProcessError: it failed; its traceback went to stderr.
    """
    command = [sys.executable, "-m", module, msgspec.json.encode(job).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as child:
        try:
            if core is not None:
                os.sched_setaffinity(child.pid, {core})
            printed, _ = child.communicate()
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command[:3])
    return msgspec.json.decode(printed, type=returns)


def answer(job: type[J], drive: Callable[[J], Coroutine[None, None, object]]) -> None:
    """Run the load that the first argument of this process describes, and print what it measured, both as JSON."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    given = msgspec.json.decode(sys.argv[1], type=job)
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(drive(given))))


def cores() -> tuple[int | None, int | None]:
    """Return the cores for the server under test and for the load, or None twice where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[-1], usable[0]) if len(usable) > 1 else (None, None)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds, user and system, that all threads of a process have used, also those that ended.

    By its CPU clock (clock_getcpuclockid(3)), whose number the kernel makes of the pid: /proc counts in 10 ms.
    """
    return time.clock_gettime(~pid << 3 | 2)


def resident_bytes(pid: int) -> int:
    """Return how much memory of a process is resident (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
