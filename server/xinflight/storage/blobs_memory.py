"""Pictures in memory, the oldest forgotten first when there are too many bytes."""

import asyncio
from collections.abc import Collection

from xinflight.model import MediaInfo, identify
from xinflight.storage.blobs import StoredFile

__all__ = ["MemoryBlobs"]


class MemoryBlobs:
    """Keep at most `kept_bytes` of pictures, and always the newest one."""

    def __init__(self, kept_bytes: int) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._pictures: dict[str, StoredFile] = {}

    async def put(self, output_id: str, data: bytes) -> MediaInfo:
        """Keep a picture."""
        info = await asyncio.to_thread(identify, data)
        await self.delete(output_id)
        self._pictures[output_id] = StoredFile(media_type=info.media_type, data=data)
        self._bytes += len(data)
        while self._bytes > self._kept_bytes and len(self._pictures) > 1:
            await self.delete(next(iter(self._pictures)))
        return info

    async def identify(self, output_id: str) -> MediaInfo | None:
        """Return what a picture is."""
        data = await self.read(output_id)
        return None if data is None else await asyncio.to_thread(identify, data)

    async def get(self, output_id: str) -> StoredFile | None:
        """Return a picture."""
        return self._pictures.get(output_id)

    async def read(self, output_id: str) -> bytes | None:
        """Return a picture's bytes."""
        kept = self._pictures.get(output_id)
        return None if kept is None else kept.data

    async def sweep(self, known: Collection[str], now: float) -> int:
        """Forget what is unknown: in memory there is no place to set it aside."""
        unknown = self._pictures.keys() - set(known)
        for output_id in unknown:
            await self.delete(output_id)
        return len(unknown)

    async def delete(self, output_id: str) -> None:
        """Forget a picture."""
        kept = self._pictures.pop(output_id, None)
        if kept is not None and kept.data is not None:
            self._bytes -= len(kept.data)
