"""How late the event loop of a server under test was, by a timer of a millisecond that runs in it.

Only where the variable BENCH_STALLS names a file, for the timer costs CPU: the server writes it when it ends.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import msgspec
from msgspec import Struct

__all__ = ["VARIABLE", "Stall", "watch_runners", "watching", "worst"]

VARIABLE = "BENCH_STALLS"
PERIOD = 0.001
LEAST = 0.001
"""Seconds; what is less late is not written down."""

T = TypeVar("T")


class Stall(Struct, array_like=True, gc=False):
    """A time at which the loop was late (`time.monotonic()`), and by how many seconds.

    `seconds` are at most those in which the process computed: not what other processes took of the machine.
    """

    at: float
    seconds: float


@asynccontextmanager
async def watching() -> AsyncIterator[None]:
    """Watch the running loop inside the block, if the variable is set."""
    file = os.environ.get(VARIABLE)
    if file is None:
        yield
        return
    seen: list[Stall] = []
    task = asyncio.create_task(_watch(seen), name="stalls")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _write(Path(file), seen)


def _write(file: Path, seen: list[Stall]) -> None:
    file.write_bytes(msgspec.json.encode(seen))


async def _watch(seen: list[Stall]) -> None:
    while True:
        due, used = time.monotonic() + PERIOD, time.process_time()
        await asyncio.sleep(PERIOD)
        now = time.monotonic()
        if now - due > LEAST:
            seen.append(Stall(now, min(now - due, time.process_time() - used)))


def watch_runners() -> None:
    """Have `asyncio.run` and `asyncio.Runner` watch their loops, of whatever make these are."""
    run = asyncio.Runner.run

    def watched(runner: asyncio.Runner, main: Coroutine[Any, Any, T], **options: Any) -> T:
        async def watch() -> T:
            async with watching():
                return await main

        return run(runner, watch(), **options)

    patch.object(asyncio.Runner, "run", watched).start()


def worst(file: Path, began: float, over: float) -> float:
    """Return the most seconds by which the loop was late between two times."""
    stalls = msgspec.json.decode(file.read_bytes(), type=list[Stall])
    return max((stall.seconds for stall in stalls if began <= stall.at <= over), default=0.0)
