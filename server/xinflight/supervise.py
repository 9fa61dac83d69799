"""Supervise long-lived asyncio tasks: log and report every failure, and restart the task with backoff."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from msgspec import Struct, field

from xinflight.clock import Clock
from xinflight.telemetry import UNCOUNTED, Telemetry

__all__ = ["LONGEST_PAUSE", "SHORTEST_PAUSE", "STEADY", "Supervisor"]

log = structlog.stdlib.get_logger(__name__)

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a failed task is restarted. The pause doubles with each consecutive failure."""
STEADY = 60.0
"""Seconds of running after which earlier failures no longer count."""


class _Supervised(Struct, eq=False, kw_only=True):
    """A supervised task. `started` is the monotonic time of its latest start, None while it waits for a restart."""

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]
    finishing: asyncio.Event = field(default_factory=asyncio.Event)
    started: float | None = None
    failures: int = 0


class Supervisor:
    """Owner of the long-lived asyncio tasks of one gateway, each with a unique name.

    A task that returns is finished. A task that fails is logged with its traceback, listed in `failing`, and
    restarted after a pause that doubles from SHORTEST_PAUSE to LONGEST_PAUSE, so `run`
    must be able to continue where it was.
    """

    def __init__(self, clock: Clock, telemetry: Telemetry = UNCOUNTED) -> None:
        self._clock = clock
        self._telemetry = telemetry
        # One entry per call of `start`: a handful per gateway, whatever clients do.
        self._supervised: dict[str, _Supervised] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def failing(self) -> list[str]:
        """Names of the tasks that failed and have not run for STEADY seconds since."""
        return [one.name for one in self._supervised.values() if one.failures and not self._steady(one)]

    def _steady(self, one: _Supervised) -> bool:
        return one.started is not None and self._clock.monotonic() - one.started >= STEADY

    def start(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `run()` as a task until it returns, `stop` or `close`. Raise ValueError if the name is in use."""
        if name in self._tasks:
            raise ValueError(f"a task {name!r} is running already")
        one = self._supervised[name] = _Supervised(name=name, run=run)
        # A new context: its log lines must not carry the connection id of the caller.
        task = asyncio.create_task(self._keep_running(one), name=name, context=contextvars.Context())
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._forget(name))

    def _forget(self, name: str) -> None:
        del self._tasks[name], self._supervised[name]

    async def _keep_running(self, one: _Supervised) -> None:
        while True:
            one.started = self._clock.monotonic()
            try:
                await one.run()
                return
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                assert task is not None  # this is one
                # Without a cancel of this task, `run` awaited a cancelled future: a failure like any other.
                if task.cancelling():
                    raise
                self._failed(one, error)
            except Exception as error:
                self._failed(one, error)
            if one.finishing.is_set():
                return
            pause = min(SHORTEST_PAUSE * 2.0 ** (one.failures - 1), LONGEST_PAUSE)
            try:
                async with self._clock.timeout(pause):
                    await one.finishing.wait()
            except TimeoutError:
                pass

    def _failed(self, one: _Supervised, error: BaseException) -> None:
        one.failures = 1 if self._steady(one) else one.failures + 1
        one.started = None
        self._telemetry.task_failed(one.name)
        log.error("background task failed", name=one.name, failures=one.failures, exc_info=error)

    async def finish(self, name: str) -> None:
        """Wait until a task returns or fails; it is not restarted from now on.

        A pause before a restart ends at once. Does nothing if there is no such task.
        """
        if name in self._tasks:
            self._supervised[name].finishing.set()
            await asyncio.wait([self._tasks[name]])

    async def stop(self, name: str) -> None:
        """Cancel a task and wait for its end. Does nothing if there is no such task."""
        if name in self._tasks:
            task = self._tasks[name]
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """Cancel all tasks and wait for their ends."""
        await asyncio.gather(*(self.stop(name) for name in list(self._tasks)))
