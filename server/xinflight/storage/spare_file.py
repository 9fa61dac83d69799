"""A file that keeps some room on the disk, so that what frees more can be written when the disk is full."""

import os
from pathlib import Path

from xinflight.storage.private_files import open_private

__all__ = ["SPARE_BYTES", "SpareFile"]

SPARE_BYTES = 4 * 2**20
"""Enough to delete a hundred tasks in one transaction, which takes 2 MB of the WAL."""


class SpareFile:
    """Give its room to whoever needs it, and take it back once there is some. All calls block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used = False

    def make(self) -> None:
        """Take the room, if that was not done yet and the disk has it."""
        try:
            disk = os.statvfs(self._path.parent)
            if self._path.exists() or disk.f_bavail * disk.f_frsize < 2 * SPARE_BYTES:
                return
            with open(self._path, "wb", opener=open_private) as file:
                # Bytes that no file system can compress.
                file.write(os.urandom(SPARE_BYTES))
        except OSError:
            self._path.unlink(missing_ok=True)
        else:
            self._used = False

    def take_over(self) -> None:
        """Go on where an earlier process stopped: without the file, and without room for one, it was given away."""
        self.make()
        self._used = not self._path.exists()

    def use(self) -> bool:
        """Give the room away; return whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        self._used = True
        return True

    def restored(self) -> bool:
        """Return whether there is as much room again as was given away."""
        if self._used:
            self.make()
        return not self._used
