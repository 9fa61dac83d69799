"""The newest files of outputs in memory, in front of the folder: most are fetched once, right after they came."""

from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from xinflight.model import MediaInfo
from xinflight.storage.blobs import Blobs, StoredFile

__all__ = ["RecentBlobs"]

CACHE_BYTES = 32 * 2**20
"""Maximum bytes of files in memory: what a server makes in some seconds."""
FILE_BYTES = 2**23
"""Maximum size of a file in memory, so that a film does not take the place of all images. One of 4 MB is sent from
memory at three quarters of the CPU of sendfile(2), and at half of that of reading it."""
ENTRY_BYTES = 500
"""What an entry takes beside its file, so that tiny files don't pile up."""


class _Folder(Blobs, Protocol):
    """Blobs that are files in a folder."""

    def path(self, output_id: str) -> Path:
        """Return where the file of an id is, if there is one."""


class RecentBlobs:
    """Write each file through to a folder, and remember the newest ones. What is deleted is forgotten first."""

    def __init__(self, blobs: _Folder) -> None:
        self._blobs = blobs
        # The oldest first.
        self._recent: OrderedDict[str, StoredFile] = OrderedDict()
        self._bytes = 0

    async def open(self) -> None:
        """Prepare the place."""
        await self._blobs.open()

    def close(self) -> None:
        """Close the folder."""
        self._blobs.close()

    async def put(self, output_id: str, data: bytes) -> MediaInfo:
        """Keep a file; it is remembered only once it is there."""
        info = await self._blobs.put(output_id, data)
        if len(data) <= FILE_BYTES:
            self._forget(output_id)
            path = self._blobs.path(output_id)
            self._recent[output_id] = StoredFile(media_type=info.media_type, data=data, path=path)
            self._bytes += ENTRY_BYTES + len(data)
            while self._bytes > CACHE_BYTES:
                self._forget(next(iter(self._recent)))
        return info

    async def identify(self, output_id: str) -> MediaInfo | None:
        """Return media type and size of a file as it is kept."""
        return await self._blobs.identify(output_id)

    async def get(self, output_id: str) -> StoredFile | None:
        """Return a file, from memory if it is there."""
        return self._recent.get(output_id) or await self._blobs.get(output_id)

    async def read(self, output_id: str) -> bytes | None:
        """Return the bytes of a file, from memory if they are there."""
        recent = self._recent.get(output_id)
        return await self._blobs.read(output_id) if recent is None else recent.data

    @property
    def thumbnail_bytes(self) -> int:
        """Bytes of all thumbnails."""
        return self._blobs.thumbnail_bytes

    async def thumbnail(self, output_id: str) -> StoredFile | None:
        """Return the thumbnail of a file. None is in memory: browsers keep them."""
        return await self._blobs.thumbnail(output_id)

    async def put_thumbnail(self, output_id: str, data: bytes) -> None:
        """Keep a thumbnail."""
        await self._blobs.put_thumbnail(output_id, data)

    async def delete(self, output_id: str) -> None:
        """Delete a file and its thumbnail."""
        self._forget(output_id)
        await self._blobs.delete(output_id)

    async def sweep(self, known: Collection[str], now: float) -> int:
        """Set aside what is unknown."""
        for output_id in self._recent.keys() - set(known):
            self._forget(output_id)
        return await self._blobs.sweep(known, now)

    def _forget(self, output_id: str) -> None:
        recent = self._recent.pop(output_id, None)
        if recent is not None:
            self._bytes -= ENTRY_BYTES + len(recent.data or b"")
