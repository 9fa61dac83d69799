"""A flag that one task waits for."""

import asyncio

__all__ = ["Wake"]


class Wake:
    """An `asyncio.Event` with at most one waiter: without the queue of waiters, which takes 700 bytes of each."""

    __slots__ = ("_is_set", "_waiter")

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        return self._is_set

    def set(self) -> None:
        """Set the flag and wake the waiter."""
        self._is_set = True
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None

    def clear(self) -> None:
        """Reset the flag."""
        self._is_set = False

    def wait(self) -> asyncio.Future[None]:
        """Return a future that is done once the flag is set. Cancelling it has no effect on the flag."""
        assert self._waiter is None or self._waiter.done(), "somebody waits already"
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._is_set:
            waiter.set_result(None)
        else:
            self._waiter = waiter
        return waiter
