"""Files of outputs in memory. Above a number of bytes, the oldest are deleted."""

import asyncio
from collections.abc import Collection

from xinflight.model import MediaInfo, identify
from xinflight.storage.blobs import StoredFile

__all__ = ["MemoryBlobs"]


class MemoryBlobs:
    """Keep at most `max_bytes` of files, and always the newest one."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._files: dict[str, StoredFile] = {}
        self._thumbnails: dict[str, StoredFile] = {}
        self._thumbnail_bytes = 0

    @property
    def thumbnail_bytes(self) -> int:
        """Bytes of all thumbnails."""
        return self._thumbnail_bytes

    async def open(self) -> None:
        """Do nothing: memory needs no preparation."""

    def close(self) -> None:
        """Do nothing."""

    async def put(self, output_id: str, data: bytes) -> MediaInfo:
        """Keep a file."""
        info = await asyncio.to_thread(identify, data)
        await self.delete(output_id)
        self._files[output_id] = StoredFile(media_type=info.media_type, data=data)
        self._bytes += len(data)
        await self._shrink()
        return info

    async def identify(self, output_id: str) -> MediaInfo | None:
        """Return media type and size of a file."""
        data = await self.read(output_id)
        return None if data is None else await asyncio.to_thread(identify, data)

    async def get(self, output_id: str) -> StoredFile | None:
        """Return a file."""
        return self._files.get(output_id)

    async def read(self, output_id: str) -> bytes | None:
        """Return the bytes of a file."""
        kept = self._files.get(output_id)
        return None if kept is None else kept.data

    async def sweep(self, known: Collection[str], now: float) -> int:
        """Delete what is unknown: in memory there is no place to set it aside."""
        unknown = self._files.keys() - set(known)
        for output_id in unknown:
            await self.delete(output_id)
        return len(unknown)

    async def thumbnail(self, output_id: str) -> StoredFile | None:
        """Return the thumbnail of a file."""
        return self._thumbnails.get(output_id)

    async def put_thumbnail(self, output_id: str, data: bytes) -> None:
        """Keep a thumbnail; with the files it counts towards the maximum."""
        if output_id in self._files:
            self._forget_thumbnail(output_id)
            self._thumbnails[output_id] = StoredFile(media_type="image/webp", data=data)
            self._thumbnail_bytes += len(data)
            await self._shrink()

    async def delete(self, output_id: str) -> None:
        """Delete a file and its thumbnail."""
        kept = self._files.pop(output_id, None)
        if kept is not None and kept.data is not None:
            self._bytes -= len(kept.data)
        self._forget_thumbnail(output_id)

    async def _shrink(self) -> None:
        while self._bytes + self._thumbnail_bytes > self._max_bytes and len(self._files) > 1:
            await self.delete(next(iter(self._files)))

    def _forget_thumbnail(self, output_id: str) -> None:
        kept = self._thumbnails.pop(output_id, None)
        if kept is not None and kept.data is not None:
            self._thumbnail_bytes -= len(kept.data)
