"""Python's collector of reference cycles, set for a server: seldom in the way, and never far behind."""

import gc

from xinflight.clock import Clock

__all__ = ["collect_cycles", "settle_collector"]

YOUNG = 5.0
"""Seconds between two collections of what was made of late; they take a few milliseconds."""
ALL = 60.0
"""Seconds between two collections of everything, at the least."""
SHARE = 0.002
"""Share of the time that collections of everything may take: with a million objects they take half a second each."""


def settle_collector() -> None:
    """Leave out of collections what a started server keeps for good, and make those by count rare.

    By default they stop a busy server for 100 ms at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)


async def collect_cycles(clock: Clock) -> None:
    """Collect on a timer, until cancelled.

    A connection that is torn while it is written to leaves its answer in a cycle (the exception of asyncio's future,
    its traceback, the frame that holds the future), and by count alone such answers would stay for hours.
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
