"""Thumbnails in a folder of their own, which may be deleted at any time: they are made again at their next use."""

from collections.abc import Collection
from pathlib import Path

import structlog

from xinflight.storage.blobs import OWN_ID
from xinflight.storage.private_files import open_private

__all__ = ["ThumbnailFiles"]

log = structlog.stdlib.get_logger(__name__)

RIFF_BYTES = 8
"""What the size in the header of a WebP file does not count (RFC 9649 section 2.3)."""


class ThumbnailFiles:
    """Keep each thumbnail in `folder`/xy/<id> of its output. All calls block.

    They are not synced, since they can be made again: one that a power failure has cut short counts as none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, output_id: str) -> bytes | None:
        """Return a whole thumbnail, or None."""
        try:
            data = self._path(output_id).read_bytes()
        except OSError:
            return None
        return data if int.from_bytes(data[4:8], "little") + RIFF_BYTES == len(data) else None

    def write(self, output_id: str, data: bytes, original: Path) -> int:
        """Keep a thumbnail, if the file that it shows is still there; return how many bytes more are kept.

        Raises OSError: it can't be kept now.
        """
        path = self._path(output_id)
        aside = path.with_name(f".{output_id}")
        for folder in (self._folder, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        replaced = _size(path)
        try:
            with open(aside, "wb", opener=open_private) as file:
                file.write(data)
            aside.replace(path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        if original.exists():
            return len(data) - replaced
        # Deleted meanwhile, and whoever deleted it may have looked for a thumbnail before there was one.
        return -replaced if self.delete(output_id) else 0

    def delete(self, output_id: str) -> int:
        """Delete a thumbnail, if it is there; return its bytes."""
        path = self._path(output_id)
        size = _size(path)
        path.unlink(missing_ok=True)
        return size

    def sweep(self, known: Collection[str]) -> int:
        """Delete what is of no known output, or was not completed; return the bytes of the others."""
        kept = 0
        try:
            for file in self._folder.glob("??/*"):
                if file.name in known:
                    kept += _size(file)
                elif OWN_ID.fullmatch(file.name.removeprefix(".")):
                    file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("folder of thumbnails not tidied", folder=str(self._folder), error=str(error))
        return kept

    def _path(self, output_id: str) -> Path:
        return self._folder / output_id[:2] / output_id


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
