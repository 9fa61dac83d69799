"""A thread that runs blocking calls one after the other, for one event loop."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

__all__ = ["WorkerThread"]

T = TypeVar("T")

_Call = tuple[Callable[..., Any], tuple[Any, ...], asyncio.Future[Any]]


class WorkerThread:
    """Run calls in their order on a thread of its own, which begins with the first one and ends with `close`.

    A call costs half of what it costs with `run_in_executor` of a ThreadPoolExecutor, where two futures with a lock
    are chained. Calls come from one event loop, whose callers bound how many wait.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closed = False

    def call(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Run a function after all that were handed over before; its result or exception becomes the future's.

        Cancelling the future does not stop the call. Raises RuntimeError after `close`.
        """
        if self._closed:
            raise RuntimeError(f"the thread {self.name!r} is closed")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((function, arguments, done))
        if self._thread is None:
            # A daemon: a process that ends without `close` must not wait for it.
            self._thread = Thread(target=self._work, name=self.name, daemon=True)
            self._thread.start()
        return done

    def close(self) -> None:
        """End the thread after the calls that wait, without waiting for it; safe to call twice."""
        self._closed = True
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, arguments, done = call
            try:
                _tell(done, done.set_result, function(*arguments))
            except BaseException as error:
                # All of them, so that the caller never waits in vain.
                _tell(done, done.set_exception, error)
            # While the thread waits, what it was given and what came of it must not stay in memory.
            del call, function, arguments, done


def _tell(done: asyncio.Future[T], settle: Callable[[Any], None], outcome: object) -> None:
    """Settle a future on its loop, unless it was cancelled meanwhile, or the loop is closed."""

    def settle_unless_done() -> None:
        if not done.done():
            settle(outcome)

    try:
        done.get_loop().call_soon_threadsafe(settle_unless_done)
    except RuntimeError:
        # Nobody is left who could wait.
        pass
