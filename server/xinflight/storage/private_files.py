"""What all files of a data folder share: only their owner may read them, and a rename can outlive the machine."""

import os
from pathlib import Path

__all__ = ["open_private", "sync_folder"]


def open_private(path: str, flags: int) -> int:
    """Open a file that only its owner may read, from its first byte on: an `opener` of `open`."""
    return os.open(path, flags, 0o600)


def sync_folder(folder: Path) -> None:
    """Make a rename outlive the machine: it is kept by the folder, not by the file (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
