"""One lock per key, which exists only while somebody uses it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

__all__ = ["KeyLocks"]


class _Lock(Struct):
    lock: asyncio.Lock
    users: int = 0


class KeyLocks:
    """Locks by key, as many as are held or waited for."""

    def __init__(self) -> None:
        self._locks: dict[str, _Lock] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold the lock of a key inside the block; others wait for it in the order in which they came."""
        locked = self._locks.setdefault(key, _Lock(asyncio.Lock()))
        locked.users += 1
        try:
            async with locked.lock:
                yield
        finally:
            locked.users -= 1
            if not locked.users:
                del self._locks[key]
