"""Pictures as files of a folder, each under an id that was drawn before it was made."""

import asyncio
import os
from collections.abc import Collection
from pathlib import Path

from xinflight.images import Kept, sniff

__all__ = ["FileImages"]


class FileImages:
    """Keep each picture in `folder`/xy/<id>, written aside and renamed, so that it is there whole or not at all.

    `full` makes each survive the death of the machine, too.
    """

    def __init__(self, folder: Path, *, full: bool) -> None:
        self._folder = folder
        self._full = full

    def _path(self, picture_id: str) -> Path:
        return self._folder / picture_id[:2] / picture_id

    async def put(self, picture_id: str, data: bytes, media_type: str) -> None:
        """Write a picture; raise OSError when the disk does not take it. Cancelling leaves it whole or absent."""
        await asyncio.to_thread(self._put, picture_id, data)

    def _put(self, picture_id: str, data: bytes) -> None:
        path = self._path(picture_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{picture_id}")
        try:
            with aside.open("wb") as file:
                file.write(data)
                if self._full:
                    file.flush()
                    os.fsync(file.fileno())
            aside.replace(path)
            if self._full:
                _sync_folder(path.parent)
        except OSError:
            aside.unlink(missing_ok=True)
            raise

    async def get(self, picture_id: str) -> Kept | None:
        """Return a picture as its file."""
        return await asyncio.to_thread(self._get, picture_id)

    def _get(self, picture_id: str) -> Kept | None:
        path = self._path(picture_id)
        try:
            with path.open("rb") as file:
                media_type = sniff(file.read(16))
        except OSError:
            return None
        return None if media_type is None else Kept(media_type=media_type, path=path)

    async def read(self, picture_id: str) -> bytes | None:
        """Return a picture's bytes."""
        try:
            return await asyncio.to_thread(self._path(picture_id).read_bytes)
        except OSError:
            return None

    async def delete(self, picture_id: str) -> None:
        """Delete a picture's file, if it is there."""
        await asyncio.to_thread(self._path(picture_id).unlink, missing_ok=True)

    async def sweep(self, known: Collection[str]) -> int:
        """Delete every file that is not the picture of a known id; return how many there were."""
        return await asyncio.to_thread(self._sweep, known)

    def _sweep(self, known: Collection[str]) -> int:
        unknown = 0
        for file in self._folder.glob("*/*"):
            if file.name not in known:
                file.unlink(missing_ok=True)
                unknown += 1
        return unknown


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive the machine: it is kept by the folder, not by the file (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
