"""Thumbnails of images: made at their first use, and kept beside the images."""

import asyncio
from collections.abc import Callable

import structlog

from xinflight.errors import NotFound, RateLimited, StorageUnavailable
from xinflight.imaging import check_pillow, has_pillow, thumbnail
from xinflight.settings import Settings
from xinflight.storage import Blobs, StoredFile
from xinflight.threads import on_thread

__all__ = ["THUMBNAIL_SIDE", "Thumbnails", "worth_a_thumbnail"]

log = structlog.stdlib.get_logger(__name__)

THUMBNAIL_SIDE = 512
"""Maximum pixels of the longer side of a thumbnail: what an image takes among many on a usual screen."""
SMALL_BYTES = 2**16
"""Bytes up to which an image of that size needs no thumbnail: it would be as large."""
AT_ONCE = 2
"""Thumbnails that are made at once, each with up to 16 bytes of memory for each pixel of its image."""
WAITING = 500
"""Requests that may wait for their turn: those of some eighty browsers, which open six connections each."""


def worth_a_thumbnail(media_type: str, width: int, height: int, size: int) -> bool:
    """Return whether a file of `size` bytes is an image that is larger than its thumbnail, by pixels or by bytes."""
    return media_type.startswith("image/") and (max(width, height) > THUMBNAIL_SIDE or size > SMALL_BYTES)


class Thumbnails:
    """Return thumbnails of images, making those that are not there."""

    def __init__(self, blobs: Blobs, settings: Settings) -> None:
        self._blobs = blobs
        self._settings = settings
        # An image has the same turn each time, so that it is never decoded twice.
        self._turns = [asyncio.Lock() for _ in range(AT_ONCE)]
        self._waiting = 0

    @property
    def available(self) -> bool:
        """Whether thumbnails can be made here."""
        return has_pillow()

    async def get(self, output_id: str, wanted: Callable[[], bool]) -> StoredFile:
        """Return the thumbnail of an output; with False from `wanted` when its turn has come, it is not made.

        Raises:
            NotFound: there is no such file, or it is no image.
            BadImage: the image can't be decoded.
            ImagesUnsupported: Pillow is not installed.
            RateLimited: too many wait already.
        StorageUnavailable: the image can't be read now.
        """
        kept = await self._blobs.thumbnail(output_id)
        if kept is not None:
            return kept
        check_pillow()
        if self._waiting >= WAITING:
            raise RateLimited(retry_after=1.0)
        self._waiting += 1
        try:
            async with self._turns[ord(output_id[-1]) % AT_ONCE]:
                return await self._blobs.thumbnail(output_id) or await self._make(output_id, wanted)
        finally:
            self._waiting -= 1

    async def _make(self, output_id: str, wanted: Callable[[], bool]) -> StoredFile:
        # Whoever scrolls fast asks for hundreds, and closes the connections of those that are out of sight.
        stored = await self._blobs.get(output_id) if wanted() else None
        if stored is None or not stored.media_type.startswith("image/"):
            raise NotFound(field="output_id")
        try:
            data = await on_thread(_made, stored, self._settings.upload_pixels)
        except FileNotFoundError:
            raise NotFound(field="output_id") from None
        except OSError as error:
            raise StorageUnavailable(detail=str(error)) from None
        try:
            await self._blobs.put_thumbnail(output_id, data)
        except OSError as error:
            log.warning("thumbnail not kept", error=str(error))
        return StoredFile(media_type="image/webp", data=data)


def _made(stored: StoredFile, max_pixels: int) -> bytes:
    """Return the thumbnail of an image. Takes some 40 ms for a million pixels."""
    data = stored.data
    if data is None:
        assert stored.path is not None  # either bytes or a path
        data = stored.path.read_bytes()
    return thumbnail(data, THUMBNAIL_SIDE, max_pixels=max_pixels)
