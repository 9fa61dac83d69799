"""What `xinflight doctor` prints about the data folder: whether a server can use it, and how full its disk is."""

import os
import sqlite3
from pathlib import Path

from xinflight.cli.logs import printable
from xinflight.cli.server import data_folder
from xinflight.settings import Settings
from xinflight.storage import MIGRATIONS, schema_of

__all__ = ["describe_data"]

LITTLE = 0.05
"""Share of the disk below which there is something to do: an alert starts there, and uploads are refused."""


def describe_data(settings: Settings) -> tuple[list[str], bool]:
    """Return the lines about the data folder, and whether a server can start on it. It changes nothing."""
    folder = data_folder(settings, demo=False)
    try:
        said, to_do, usable = _state(folder)
    except (OSError, sqlite3.Error) as error:
        said, to_do, usable = f"not usable ({error})", "look at its permissions and its disk", False
    lines = [f"Data         {folder}: {said}"]
    if to_do:
        lines.append(f"To do        {to_do}")
    return [printable(line) for line in lines], usable


def _state(folder: Path) -> tuple[str, str, bool]:
    """Return what is there, what to do about it, and whether a server can start."""
    database = folder / "xinflight.db"
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    disk = os.statvfs(there)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    said = f"{free / 1e9:.1f} GB of {size / 1e9:.1f} GB free"
    if not os.access(there, os.W_OK | os.X_OK):
        return said, f"this user can't write to {there}: give it to the server's user, or run this as that one", False
    if not database.exists():
        return f"new, {said}", "", True
    said = f"database of {database.stat().st_size / 1e6:.1f} MB, {said}"
    schema = schema_of(database)
    if schema > len(MIGRATIONS):
        return said, "a newer version of xinflight has written it: start that one", False
    if schema < len(MIGRATIONS):
        return f"{said}; the next start brings it up to date", "back it up with the version that serves it", True
    if free < size * LITTLE:
        return said, "make room, or lower history_bytes or history_age", True
    return said, "", True
