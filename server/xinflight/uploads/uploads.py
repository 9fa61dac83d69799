"""Receive, find and delete uploads; what has expired is deleted once no unfinished task uses it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

import structlog

from xinflight.clock import Clock
from xinflight.errors import (
    AccountBusy,
    FrameTooLarge,
    ImageNotFound,
    ShuttingDown,
    StorageUnavailable,
    TooManyUploads,
)
from xinflight.model import UPLOAD_SECONDS, Task, Upload
from xinflight.settings import Settings
from xinflight.storage import Blobs, IncomingFile, PageCursors, Store, StoredFile, UploadFiles
from xinflight.supervise import Supervisor
from xinflight.threads import on_thread, to_end
from xinflight.uploads.image_file import START, check_image, check_start

__all__ = ["Uploads"]

log = structlog.stdlib.get_logger(__name__)

PIECE = 256 * 1024
"""Bytes of an upload that are in memory: so many are written at once."""
AT_ONCE = 16
"""Uploads of an owner that are received at the same time: they count only once they are stored."""
PAUSE = 5.0
"""Seconds between two looks for what has expired."""
REMOVED_AT_ONCE = 100


class Uploads:
    """The uploads of all owners. The task `uploads` deletes what has expired; `close` awaits it."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        settings: Settings,
        clock: Clock,
        supervisor: Supervisor,
    ) -> None:
        self._store = store
        self._blobs = blobs
        folder = None if settings.data_dir is None else Path(settings.data_dir) / "uploads"
        self._files = UploadFiles(folder, full=settings.durability == "full")
        self._settings = settings
        self._clock = clock
        self._supervisor = supervisor
        self._cursors = PageCursors()
        # Uploads that are being received, by owner.
        self._receiving: Counter[str] = Counter()
        # Owners whose data is being erased.
        self._refused: set[str] = set()
        self._closing = False
        self.on_removed: Callable[[str], None] = lambda upload_id: None
        """Called after an upload was deleted, with its id; other owners may have the same bytes under it."""

    async def open(self) -> None:
        """Delete what a crash left, and start to delete what expires. May raise StorageUnavailable, OSError."""
        await on_thread(self._files.open, await self._store.uploads.blob_ids())
        self._supervisor.start("uploads", self._keep)

    async def close(self) -> None:
        """Stop that, and refuse new uploads. Without a data folder all uploads are deleted."""
        self._closing = True
        await self._supervisor.stop("uploads")
        await on_thread(self._files.close)

    # Add

    async def add(self, owner: str, parts: AsyncIterable[bytes]) -> tuple[Upload, bool]:
        """Store an image that comes in parts; return the upload, and whether it is new to its owner.

        At most PIECE bytes and one part are in memory. What `parts` raises is passed on. Cancelling deletes what has
        come so far, unless it is whole.

        Raises:
            BadImage: it is no image that can be used.
            FrameTooLarge: it is longer than `upload_bytes`.
            TooManyUploads: the owner would have too many, or too many bytes.
            AccountBusy, ShuttingDown, StorageUnavailable: not now.
        """
        with self._counted(owner):
            if self._closing:
                raise ShuttingDown
            incoming = self._files.incoming()
            try:
                with _disk_errors():
                    await on_thread(incoming.open)
                await self._receive(incoming, parts)
                with _disk_errors():
                    return await to_end(self._keep_file(owner, incoming))
            finally:
                await on_thread(incoming.discard)

    @contextmanager
    def _counted(self, owner: str) -> Iterator[None]:
        if self._receiving[owner] >= AT_ONCE:
            raise TooManyUploads(limit=f"{AT_ONCE} at the same time", retry_after=1.0)
        self._receiving[owner] += 1
        try:
            yield
        finally:
            self._receiving[owner] -= 1
            if not self._receiving[owner]:
                del self._receiving[owner]

    async def _receive(self, incoming: IncomingFile, parts: AsyncIterable[bytes]) -> None:
        buffered = bytearray()
        size = 0
        async for part in parts:
            size += len(part)
            if size > self._settings.upload_bytes:
                raise FrameTooLarge(limit=f"{self._settings.upload_bytes} bytes")
            if size - len(part) < START <= size:
                # Before all of it has come.
                check_start(bytes(buffered + part[:START]))
            buffered += part
            if len(buffered) >= PIECE:
                with _disk_errors():
                    await on_thread(incoming.write, bytes(buffered))
                buffered.clear()
        with _disk_errors():
            await on_thread(incoming.write, bytes(buffered))

    async def _keep_file(self, owner: str, incoming: IncomingFile) -> tuple[Upload, bool]:
        """Check a file that is whole, and store it, unless its owner has the same one."""
        info = await on_thread(check_image, incoming.rewound(), incoming.bytes, self._settings.upload_pixels)
        now = self._clock.time()
        upload = Upload(
            owner=owner,
            upload_id=incoming.upload_id,
            blob_id=incoming.blob_id,
            media_type=info.media_type,
            width=info.width,
            height=info.height,
            bytes=info.bytes,
            created=now,
            expires=now + UPLOAD_SECONDS,
        )
        await on_thread(self._files.keep, incoming)
        stored = None
        try:
            if owner in self._refused:
                raise AccountBusy
            stored = await self._store.uploads.add(
                upload, most=self._settings.uploads_per_owner, most_bytes=self._settings.uploads_bytes
            )
        finally:
            if stored is None or stored.blob_id != upload.blob_id:
                await on_thread(self._files.delete, upload.blob_id)
        if stored is None:
            most, most_bytes = self._settings.uploads_per_owner, self._settings.uploads_bytes
            raise TooManyUploads(limit=f"{most} uploads, {most_bytes} bytes")
        return stored, stored.blob_id == upload.blob_id

    # Find

    async def resolve(self, owner: str, image_id: str) -> Upload:
        """Return the upload that an id of an owner stands for; an output of the owner becomes one.

        Raises:
            ImageNotFound: it is neither, or not any more, or somebody else's.
            BadImage: it is an output, but no image that can be used.
            TooManyUploads, AccountBusy, StorageUnavailable: not now.
        """
        upload = await self.find(owner, image_id)
        if upload is not None:
            return upload
        output = None
        if await self._store.output_owner(image_id) == owner:
            output = await self._blobs.get(image_id)
        if output is None:
            raise ImageNotFound
        return await self._add_output(owner, output)

    async def _add_output(self, owner: str, output: StoredFile) -> Upload:
        incoming = self._files.incoming()
        try:
            with _disk_errors():
                await on_thread(incoming.open)
                if not await on_thread(incoming.copy, output):
                    raise ImageNotFound
                upload, _ = await to_end(self._keep_file(owner, incoming))
                return upload
        finally:
            await on_thread(incoming.discard)

    async def find(self, owner: str, upload_id: str) -> Upload | None:
        """Return an upload of an owner, or None; may raise StorageUnavailable."""
        return await self._store.uploads.find(owner, upload_id, now=self._clock.time())

    async def path(self, owner: str, upload_id: str) -> Path:
        """Return the file of an upload that an unfinished task of its owner uses; the task keeps it there.

        Raises:
            ImageNotFound: it is not there. Nobody but people at the data folder can cause that.
            StorageUnavailable: not now.
        """
        upload = await self._store.uploads.held(owner, upload_id)
        if upload is None:
            raise ImageNotFound
        path = self._files.path(upload.blob_id)
        if not await asyncio.to_thread(path.is_file):
            raise ImageNotFound
        return path

    async def page(self, owner: str, *, cursor: str | None, limit: int) -> tuple[list[Upload], str | None]:
        """Return a page of an owner's uploads, newest first, and the cursor of the next page, None after the last."""
        before = None if cursor is None else self._cursors.decode(cursor)
        rows = await self._store.uploads.of_owner(owner, before=before, limit=limit + 1, now=self._clock.time())
        following = self._cursors.encode(rows[limit - 1].number) if len(rows) > limit else None
        return [row.upload for row in rows[:limit]], following

    # Delete

    async def delete(self, owner: str, upload_id: str) -> bool:
        """Delete an upload of an owner; return whether there was one.

        It is gone at once for everybody but the unfinished tasks that use it; its file is there until they end.
        Raises StorageUnavailable.
        """
        found = await self._store.uploads.expire(owner, upload_id, now=self._clock.time(), latest=inf)
        if found:
            await self.enforce()
        return found

    async def let_go(self, task: Task) -> None:
        """Delete what an ended task started from, unless it was uploaded or used again since the task was accepted.

        Raises StorageUnavailable.
        """
        latest = task.created + UPLOAD_SECONDS
        for upload_id in {each.upload_id for each in task.inputs}:
            await self._store.uploads.expire(task.owner, upload_id, now=self._clock.time(), latest=latest)
        if task.inputs:
            await self.enforce()

    @contextmanager
    def refusing(self, owner: str) -> Iterator[None]:
        """Refuse new uploads of an owner inside the block."""
        self._refused.add(owner)
        try:
            yield
        finally:
            self._refused.remove(owner)

    async def erase(self, owner: str) -> int:
        """Delete all uploads of an owner; return how many there were. Repeat it when tasks use some of them.

        Raises StorageUnavailable.
        """
        count = await self._store.uploads.erase(owner)
        if count:
            await self.enforce()
        return count

    async def _keep(self) -> None:
        while True:
            try:
                await self.enforce()
            except StorageUnavailable as error:
                log.warning("expired uploads not deleted", error=str(error))
            await self._clock.sleep(PAUSE)

    async def enforce(self) -> None:
        """Delete what has expired and what no unfinished task uses.

        Raises StorageUnavailable: not now. A file that can't be deleted is deleted by the next start.
        """
        now = self._clock.time()
        while gone := await self._store.uploads.unused(now=now, limit=REMOVED_AT_ONCE):
            for upload in gone:
                # First this, since a task may have been accepted with it, or it was uploaded again.
                if await self._store.uploads.remove(upload, now=now):
                    self.on_removed(upload.upload_id)
                    with _disk_errors():
                        await on_thread(self._files.delete, upload.blob_id)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn what the disk refuses inside the block into StorageUnavailable."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(detail=str(error)) from None
