"""Files of outputs in a folder, each under an id that was drawn before it was made."""

import asyncio
import errno
import os
from collections.abc import Collection
from io import FileIO
from pathlib import Path

import structlog

from xinflight.errors import UpstreamGarbage
from xinflight.model import MediaInfo, identify, media_type_of
from xinflight.storage.blobs import OWN_ID, StoredFile
from xinflight.storage.private_files import open_private, sync_folder
from xinflight.storage.thumbnail_files import ThumbnailFiles
from xinflight.storage.worker_thread import WorkerThread
from xinflight.threads import on_thread

__all__ = ["FileBlobs"]

log = structlog.stdlib.get_logger(__name__)

LOST = "lost"
"""The folder beside the others for files that no task names. Its name is longer than any that an id gives."""
EARLIER_NAME = "pictures"
"""What earlier versions called the folder of all files."""
THUMBNAILS = "thumbnails"
"""The folder beside that of the files."""
LOST_AGE = 30 * 86400.0
"""Seconds after which a file that was set aside is deleted: time to find out that a database was lost."""
QUICK_BYTES = 2**23
"""Bytes up to which a file is written behind others: a few milliseconds, as long as nothing waits for the disk."""
WHOLE_BYTES = 2**18
"""Bytes up to which a file is read at once: opening it again to send it would cost more hand-overs to threads."""


class FileBlobs:
    """Keep each file in `folder`/xy/<id>, written aside and renamed, so that it is there whole or not at all.

    `full` makes each survive the death of the machine, too.
    """

    def __init__(self, folder: Path, *, full: bool) -> None:
        self._folder = folder
        self._full = full
        self._thumbnails = ThumbnailFiles(folder.with_name(THUMBNAILS))
        self._writer = WorkerThread("xinflight files")
        # Counted on the event loop, since threads would need a lock.
        self._thumbnail_bytes = 0

    def path(self, output_id: str) -> Path:
        """Return where the file of an id is, if there is one."""
        return self._folder / output_id[:2] / output_id

    async def open(self) -> None:
        """Rename the folder of an earlier version, whatever schema the database has by now.

        One rename, so that a crash leaves all files either in the one place or in the other. Where both folders have
        files, as after a return to the earlier version, they are moved one by one. Raises OSError.
        """
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        earlier = self._folder.with_name(EARLIER_NAME)
        if not any(_is_in_place(file) for file in earlier.glob("*/*")):
            # There is none, or it is somebody else's.
            return
        try:
            earlier.rename(self._folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            for file in [file for file in earlier.glob("*/*") if _is_in_place(file)]:
                folder = self._folder / file.parent.name
                folder.mkdir(mode=0o700, exist_ok=True)
                file.replace(folder / file.name)
        if self._full:
            sync_folder(self._folder.parent)
        log.info("files of an earlier version moved", source=str(earlier), target=str(self._folder))

    def close(self) -> None:
        """End the thread that writes, after what it was given; safe to call twice."""
        self._writer.close()

    async def put(self, output_id: str, data: bytes) -> MediaInfo:
        """Write a file; raise OSError when the disk does not take it. Cancelling leaves it whole or absent."""
        if self._full or len(data) > QUICK_BYTES:
            # Others would wait for the disk, too; and a file system syncs several files at the price of one.
            return await asyncio.to_thread(self._put, output_id, data)
        return await self._writer.call(self._put, output_id, data)

    def _put(self, output_id: str, data: bytes) -> MediaInfo:
        info = identify(data)
        path = self.path(output_id)
        aside = path.with_name(f".{output_id}")
        try:
            with self._open_aside(aside) as file:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                if self._full:
                    os.fsync(file.fileno())
            aside.replace(path)
            if self._full:
                sync_folder(path.parent)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        return info

    def _open_aside(self, aside: Path) -> FileIO:
        """Create a file, and its folder with the first one. It has no buffer, since each file is written at once."""
        try:
            return open(aside, "wb", buffering=0, opener=open_private)
        except FileNotFoundError:
            for folder in (self._folder, aside.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            return open(aside, "wb", buffering=0, opener=open_private)

    async def identify(self, output_id: str) -> MediaInfo | None:
        """Return media type and size of a file, without reading all of it."""
        return await asyncio.to_thread(self._identify, output_id)

    def _identify(self, output_id: str) -> MediaInfo | None:
        try:
            with self.path(output_id).open("rb") as file:
                return identify(file)
        except (OSError, UpstreamGarbage):
            return None

    async def get(self, output_id: str) -> StoredFile | None:
        """Return the path of a file and its media type, and of a small one the bytes."""
        return await asyncio.to_thread(self._get, output_id)

    def _get(self, output_id: str) -> StoredFile | None:
        path = self.path(output_id)
        try:
            with path.open("rb", buffering=0) as file:
                whole = os.fstat(file.fileno()).st_size <= WHOLE_BYTES
                data = file.read(WHOLE_BYTES if whole else 16)
        except OSError:
            return None
        media_type = media_type_of(data[:16])
        if media_type is None:
            return None
        return StoredFile(media_type=media_type, data=data if whole else None, path=path)

    async def read(self, output_id: str) -> bytes | None:
        """Return the bytes of a file."""
        try:
            return await asyncio.to_thread(self.path(output_id).read_bytes)
        except OSError:
            return None

    @property
    def thumbnail_bytes(self) -> int:
        """Bytes of all thumbnails, once `sweep` has counted them."""
        return self._thumbnail_bytes

    async def thumbnail(self, output_id: str) -> StoredFile | None:
        """Return the thumbnail of a file."""
        data = await asyncio.to_thread(self._thumbnails.read, output_id)
        return None if data is None else StoredFile(media_type="image/webp", data=data)

    async def put_thumbnail(self, output_id: str, data: bytes) -> None:
        """Write a thumbnail; raise OSError when the disk does not take it. Cancelling leaves it whole or absent."""
        self._thumbnail_bytes += await on_thread(self._thumbnails.write, output_id, data, self.path(output_id))

    async def delete(self, output_id: str) -> None:
        """Delete a file and its thumbnail, if they are there."""
        self._thumbnail_bytes -= await on_thread(self._delete, output_id)

    def _delete(self, output_id: str) -> int:
        # The file first: whoever keeps a thumbnail looks for it afterwards.
        self.path(output_id).unlink(missing_ok=True)
        return self._thumbnails.delete(output_id)

    async def sweep(self, known: Collection[str], now: float) -> int:
        """Move every file whose name has the form of an id but is not known into `folder`/lost.

        A file may be unknown because the database was lost or replaced, so it is not deleted before LOST_AGE.
        Files of any other name or place are somebody else's and are never touched.
        """
        self._thumbnail_bytes = await asyncio.to_thread(self._thumbnails.sweep, known)
        return await asyncio.to_thread(self._sweep, known, now)

    def _sweep(self, known: Collection[str], now: float) -> int:
        lost = self._folder / LOST
        unknown = 0
        try:
            for file in lost.glob("*"):
                if _is_own(file) and file.stat().st_mtime < now - LOST_AGE:
                    file.unlink()
            for folder in self._folder.glob("??"):
                ours = [file for file in folder.glob("*") if file.name in known or _is_in_place(file)]
                if ours:
                    # Folders of an earlier version let everybody in.
                    folder.chmod(0o700)
                for file in ours:
                    if file.name not in known:
                        lost.mkdir(mode=0o700, exist_ok=True)
                        os.utime(file, (now, now))
                        file.replace(lost / file.name)
                        unknown += 1
        except OSError as error:
            # Tidying is no reason not to start.
            log.warning("folder of files not tidied", folder=str(self._folder), error=str(error))
        if unknown:
            log.warning("files of no task set aside; deleted after 30 days", count=unknown, folder=str(lost))
        return unknown


def _is_in_place(file: Path) -> bool:
    """Tell whether a file is one of ours, in the folder that its id gives or set aside."""
    return file.parent.name in (file.name.removeprefix(".")[:2], LOST) and _is_own(file)


def _is_own(file: Path) -> bool:
    """Tell whether the name of a file is an id, or an id with a dot in front: what a crash left of a file."""
    return OWN_ID.fullmatch(file.name.removeprefix(".")) is not None and file.is_file() and not file.is_symlink()
