"""Clock interface and the system clock. Tests pass a clock that they can advance."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

__all__ = ["Clock", "SystemClock", "Timer"]


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call. Does nothing if it has run already."""


class Clock(Protocol):
    """Source of time for the whole package. Durations are seconds as float."""

    def time(self) -> float:
        """Return Unix time in seconds, for people and other machines."""

    def monotonic(self) -> float:
        """Return monotonic seconds, for measuring durations."""

    async def sleep(self, seconds: float) -> None:
        """Sleep. Safe to cancel."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Schedule `callback` on the running loop after `seconds`."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Return a context manager that raises TimeoutError after `seconds`, or never if None."""


class SystemClock:
    """Clock of this machine and of the running event loop."""

    def time(self) -> float:
        """Return Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return monotonic seconds of the machine."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Schedule `callback` on the running loop after `seconds`."""
        return asyncio.get_running_loop().call_later(seconds, callback)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Return `asyncio.timeout(seconds)`."""
        return asyncio.timeout(seconds)
