"""Files of uploads in a folder: written aside piece by piece, hashed on the way, and renamed when they are whole."""

import base64
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

import structlog

from xinflight.storage.blobs import OWN_ID, StoredFile, draw_id
from xinflight.storage.private_files import open_private, sync_folder

__all__ = ["RESERVE", "IncomingFile", "UploadFiles"]

log = structlog.stdlib.get_logger(__name__)

RESERVE = 2**30
"""Bytes of the disk that uploads leave free, or a twentieth of it if that is less."""
PIECE = 1024 * 1024
"""Bytes that are read at once of a file that is hashed."""


class IncomingFile:
    """A file that is being written. All calls block, so they belong on a thread; one is under way at a time.

    Whoever made it calls `discard` in the end, whatever happened.
    """

    def __init__(self, folder: Path) -> None:
        self.blob_id = draw_id()
        self.bytes = 0
        self._folder = folder
        self._path = folder / f".{self.blob_id}"
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()

    def open(self) -> Self:
        """Create the file, which only its owner may read. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._file = open(self._path, "w+b", opener=open_private)
        return self

    def write(self, data: bytes) -> None:
        """Add to the file.

        Raises OSError when the disk does not take it, or would have less than RESERVE left: tasks that were accepted
        need it for what they make, and there may be any number of owners who upload.
        """
        assert self._file is not None  # open
        disk = os.fstatvfs(self._file.fileno())
        if (disk.f_bavail * disk.f_frsize) - len(data) < min(RESERVE, disk.f_blocks * disk.f_frsize // 20):
            raise OSError(errno.ENOSPC, "the last of the disk is not for uploads")
        self._file.write(data)
        self._hash.update(data)
        self.bytes += len(data)

    def copy(self, source: StoredFile) -> bool:
        """Make this a file with the bytes of another one: the same file under two names where that is possible.

        Returns False if the other one is gone. Raises OSError.
        """
        assert self._file is not None  # open
        if source.path is None:
            self.write(source.data or b"")
            return True
        self._file.close()
        self._path.unlink()
        try:
            os.link(source.path, self._path)
        except FileNotFoundError:
            return False
        except OSError:
            # Another file system, or one without links.
            shutil.copyfile(source.path, self._path)
        self._file = self._path.open("rb")
        while piece := self._file.read(PIECE):
            self._hash.update(piece)
            self.bytes += len(piece)
        return True

    @property
    def upload_id(self) -> str:
        """The id of an upload with the bytes so far: `u` and their SHA-256 in base64."""
        return "u" + base64.urlsafe_b64encode(self._hash.digest()).decode().rstrip("=")

    def rewound(self) -> IO[bytes]:
        """Return the file at its start, to be read."""
        assert self._file is not None  # open
        self._file.seek(0)
        return self._file

    def keep(self, *, full: bool) -> None:
        """Close the file and give it its name; with `full` it survives the death of the machine. Raises OSError."""
        assert self._file is not None  # open
        self._file.flush()
        if full:
            os.fsync(self._file.fileno())
        self._file.close()
        self._path.rename(self._folder / self.blob_id)
        if full:
            sync_folder(self._folder)

    def discard(self) -> None:
        """Delete the file, unless it was kept or never opened."""
        if self._file is not None:
            # A full disk does not take what is still buffered either.
            with suppress(OSError):
                self._file.close()
            self._path.unlink(missing_ok=True)


class UploadFiles:
    """The files of uploads: in `folder`, or with None in a temporary folder that `close` deletes."""

    def __init__(self, folder: Path | None, *, full: bool) -> None:
        self._kept_folder = folder
        self._full = full
        self._folder = folder

    @property
    def folder(self) -> Path:
        """The folder, once it is open."""
        assert self._folder is not None  # open
        return self._folder

    def open(self, known: Collection[str]) -> None:
        """Delete what a crash left: every file of ours that is not known, and those that were being written.

        Nothing is set aside, as it is with outputs: an upload is gone within a day anyhow. Blocks.
        """
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="xinflight-uploads-"))
            return
        left = [file for file in self._folder.glob("*") if OWN_ID.fullmatch(file.name.removeprefix("."))]
        unknown = [file for file in left if file.name not in known and file.is_file() and not file.is_symlink()]
        try:
            for file in unknown:
                file.unlink()
        except OSError as error:
            # Tidying is no reason not to start.
            log.warning("folder of uploads not tidied", folder=str(self._folder), error=str(error))
        if unknown:
            log.info("uploads that were not completed deleted", count=len(unknown))

    def close(self) -> None:
        """Delete the temporary folder, if it is one. Blocks."""
        if self._kept_folder is None and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def incoming(self) -> IncomingFile:
        """Return a new file that is not open yet."""
        return IncomingFile(self.folder)

    def keep(self, incoming: IncomingFile) -> None:
        """Give a file its name. Blocks; raises OSError."""
        incoming.keep(full=self._full)

    def path(self, blob_id: str) -> Path:
        """Return where a file is, if it is there."""
        return self.folder / blob_id

    def delete(self, blob_id: str) -> None:
        """Delete a file, if it is there. Blocks; raises OSError."""
        self.path(blob_id).unlink(missing_ok=True)
