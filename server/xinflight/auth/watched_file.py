"""A file that is read again whenever it was replaced, while the server runs."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from xinflight.clock import Clock
from xinflight.errors import StoreUnusable

__all__ = ["CHECK", "WatchedFile"]

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

CHECK = 1.0
"""Seconds between two looks at the file. A look is a `stat` in a thread."""


class WatchedFile(Generic[T]):
    """What `read` makes of a file. While it is damaged or missing, `content` is that of its last good version.

    `read` runs in a thread and raises StoreUnusable.
    """

    def __init__(self, path: Path, read: Callable[[], T], empty: T, clock: Clock) -> None:
        self._path = path
        self._read = read
        self._clock = clock
        self._version: tuple[int, ...] | str | None = None
        self._reading = asyncio.Lock()
        self.content = empty

    async def open(self) -> None:
        """Read the file for the first time; raise StoreUnusable if it is damaged."""
        # Looked at before: whatever replaces it while it is read is read once more.
        self._version = await asyncio.to_thread(self._look)
        self.content = await asyncio.to_thread(self._read)

    async def run(self, changed: Callable[[T], None]) -> None:
        """Reload the file whenever it was replaced and call `changed` with the earlier content, until cancelled."""
        while True:
            await self._clock.sleep(CHECK)
            await self.reload(changed)

    async def reload(self, changed: Callable[[T], None]) -> None:
        """Read the file now if it was replaced; then call `changed` with the earlier content."""
        async with self._reading:
            version = await asyncio.to_thread(self._look)
            if version == self._version:
                return
            # Each version is tried once, so a damaged one is logged once.
            self._version = version
            try:
                if not isinstance(version, tuple):
                    raise StoreUnusable(version or f"{self._path} is missing")
                content = await asyncio.to_thread(self._read)
            except StoreUnusable as error:
                log.error("file not read; its last good version stays valid", file=self._path.name, reason=str(error))
                return
            before, self.content = self.content, content
            log.info("file read again", file=self._path.name)
        changed(before)

    def _look(self) -> tuple[int, ...] | str | None:
        """Return what changes with every replacement; a reason if that can't be found out, None without a file."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return str(error)
        return status.st_ino, status.st_mtime_ns, status.st_size
