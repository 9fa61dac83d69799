"""Tuning of Python's garbage collector for a server: short pauses, and bounded garbage."""

import gc

from xinflight.clock import Clock

__all__ = ["collect_cycles", "settle_collector"]

YOUNG = 5.0
"""Seconds between collections of the young generations, which take a few milliseconds."""
ALL = 60.0
"""Minimum seconds between two full collections."""
SHARE = 0.002
"""Share of the time that full collections may take: each takes half a second with a million objects."""


def settle_collector() -> None:
    """Exclude the objects of a started server from collection, and make automatic collections rare.

    With Python's defaults these pause a busy server for 100 ms at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


async def collect_cycles(clock: Clock) -> None:
    """Run the garbage collector periodically, until cancelled.

    A connection that is lost during a write leaves its response in a reference cycle (the exception of asyncio's
    future, its traceback, the frame with the future). Automatic collections alone would keep such responses for
    hours.
    """
    done, pause = clock.monotonic(), ALL
    while True:
        await clock.sleep(YOUNG)
        started = clock.monotonic()
        if started - done < pause:
            gc.collect(1)
            continue
        gc.collect()
        done = clock.monotonic()
        pause = max(ALL, (done - started) / SHARE)
