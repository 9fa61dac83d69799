"""Backups of a data folder, also while a server runs on it: each is a data folder that a server can start on.

The database is copied first, then the files that the copy names. Files are written before the commit that names them
and deleted after the one that forgets them, so what the copy names is there, or was deleted in between.
"""

import errno
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from msgspec import Struct

from xinflight.errors import StoreUnusable
from xinflight.storage.blobs import OWN_ID
from xinflight.storage.private_files import open_private, sync_folder
from xinflight.storage.sqlite_backup import (
    DroppedRows,
    NamedFiles,
    copy_database,
    drop_lost,
    settle_copy,
)
from xinflight.storage.upload_files import RESERVE

__all__ = ["Backup", "BackupFailed", "BackupReport", "Progress"]

Progress = Callable[[str, int, int], None]
"""Called with what is being copied, `database` or `files`, and how much of how much."""

SECRETS = ("tokens.json", "token", "session.key", "urls.key")
"""Files of the folder itself that are copied, where they are there: tokens and keys."""

_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z(-\d+)?")
_PARTIAL = ".partial-"
"""How names begin while a backup is made or deleted: nothing of that kind is a backup."""


class BackupFailed(Exception):
    """No backup was made, and nothing is left of it; the text says why."""


class BackupReport(Struct, kw_only=True):
    """What a backup has: its tasks and files, and how many bytes of the files were copied, not linked.

    `deleted` tasks, single outputs and uploads were deleted in the original while the backup was made and are not in
    it; `lacking` tasks are in it, but had lost files before.
    """

    path: Path
    tasks: int
    files: int
    copied_bytes: int
    deleted: int
    lacking: int


class Backup:
    """Make a backup of the data folder `folder` in a folder of its own in `target`, named by the time (UTC).

    Files that the newest backup there has are linked to it instead of copied: they never change, and each backup can
    be deleted without harm to the others. All calls block.
    """

    def __init__(self, folder: Path, target: Path, now: float, progress: Progress) -> None:
        self._folder = folder
        self._target = target
        self._now = now
        self._progress = progress
        self._earlier: Path | None = None
        self._partial = target / f"{_PARTIAL}{os.getpid()}"
        self._copied_bytes = 0

    def run(self, keep: int | None = None) -> BackupReport:
        """Make the backup; then delete the oldest ones beyond `keep`.

        Raises:
            BackupFailed: also when another backup is being made there. Without this, after a kill for example, what
                is left has no name of a backup, and the next run deletes it.
        """
        with _told():
            self._check_places()
        with _told(), self._alone():
            try:
                report = self._make()
            finally:
                shutil.rmtree(self._partial, ignore_errors=True)
            if keep is not None:
                for old in self._complete()[:-keep]:
                    self._delete(old)
            return report

    def _check_places(self) -> None:
        if not (self._folder / "xinflight.db").is_file():
            raise BackupFailed(f"There is no database in {self._folder}; choose the server's with --data-dir.")
        if Path(os.path.realpath(self._target)).is_relative_to(os.path.realpath(self._folder)):
            raise BackupFailed(f"{self._target} is in the data folder itself; choose another place.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other backups out of the target, and delete what killed ones have left there."""
        self._target.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(self._target / ".lock", blocking=False, mode=0o600):
            for left in self._target.glob(f"{_PARTIAL}*"):
                shutil.rmtree(left)
            yield

    def _complete(self) -> list[Path]:
        """Return the backups in the target, the oldest first."""
        return sorted(path for path in self._target.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())

    def _make(self) -> BackupReport:
        self._earlier = next(reversed(self._complete()), None)
        self._partial.mkdir(mode=0o700)
        database, copy = self._folder / "xinflight.db", self._partial / "xinflight.db"
        self._check_room(sum(path.stat().st_size for path in (database, Path(f"{database}-wal")) if path.exists()))
        # Before the database, too: a task that is unfinished in the copy needs what it starts from, while in the
        # original it may have ended before the files are copied, and its upload may be gone.
        self._copy_uploads(_sizes(self._folder / "uploads"))
        copy.touch(mode=0o600)
        copy_database(database, copy, lambda done, total: self._progress("database", done, total))
        files = settle_copy(copy)
        lost = self._copy_files(files)
        for name in SECRETS:
            self._copy(Path(name), None)
        lost_outputs = {uid: lost & outputs.keys() for uid, outputs in files.outputs.items() if lost & outputs.keys()}
        lost_uploads = lost & files.uploads.keys()
        dropped = DroppedRows(tasks=set(), outputs=0, lacking=0)
        if lost:
            dropped = drop_lost(database, copy, lost_outputs, lost_uploads)
        # Other files of theirs may have been copied before they were deleted.
        unnamed = {name for uid in dropped.tasks for name in files.outputs[uid].keys() - lost}
        for name in unnamed:
            (self._partial / _output(name)).unlink()
        _sync(copy)
        path = self._finish()
        return BackupReport(
            path=path,
            tasks=files.tasks - len(dropped.tasks),
            files=sum(map(len, files.outputs.values())) + len(files.uploads) - len(lost | unnamed),
            copied_bytes=self._copied_bytes,
            deleted=len(dropped.tasks) + dropped.outputs + len(lost_uploads),
            lacking=dropped.lacking,
        )

    def _copy_files(self, files: NamedFiles) -> set[str]:
        """Copy or link all outputs and uploads that the copied database names; return the ids of what is gone."""
        sizes = {name: size for outputs in files.outputs.values() for name, size in outputs.items()}
        self._check_room(sum(size for name, size in sizes.items() if not self._is_in_earlier(_output(name), size)))
        lost = self._copy_uploads(files.uploads)
        for done, (name, size) in enumerate(sizes.items()):
            self._progress("files", done, len(sizes))
            if not self._copy(_output(name), size):
                lost.add(name)
        self._progress("files", len(sizes), len(sizes))
        for path in (self._partial / "uploads").glob("*"):
            if path.name not in files.uploads:
                path.unlink()
        return lost

    def _copy_uploads(self, sizes: dict[str, int]) -> set[str]:
        """Copy or link uploads that are not there yet; return the names of those that are gone."""
        wanted = [name for name in sizes if not (self._partial / "uploads" / name).exists()]
        return {name for name in wanted if not self._copy(Path("uploads", name), sizes[name])}

    def _is_in_earlier(self, name: Path, size: int) -> bool:
        if self._earlier is None:
            return False
        try:
            return (self._earlier / name).stat().st_size == size
        except FileNotFoundError:
            return False

    def _copy(self, name: Path, size: int | None) -> bool:
        """Copy a file of the data folder, or link that of the earlier backup if it has the size.

        A file without a size is copied in any case. Returns False if the data folder has none.
        """
        target = self._partial / name
        for folder in reversed(target.parents[: len(name.parents) - 1]):
            folder.mkdir(mode=0o700, exist_ok=True)
        if self._earlier is not None and size is not None and self._is_in_earlier(name, size):
            try:
                os.link(self._earlier / name, target)
                return True
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
        try:
            with (self._folder / name).open("rb") as source:
                self._check_room(os.fstat(source.fileno()).st_size)
                with open(target, "xb", opener=open_private) as file:
                    shutil.copyfileobj(source, file, 2**20)
                    file.flush()
                    os.fsync(file.fileno())
                    self._copied_bytes += file.tell()
            return True
        except FileNotFoundError:
            return False

    def _check_room(self, size: int) -> None:
        """Raise OSError if the target has no room for so many bytes.

        Where it is on the disk of the data folder, the last RESERVE bytes of it are the server's.
        """
        disk = os.statvfs(self._target)
        reserve = 0
        if self._target.stat().st_dev == self._folder.stat().st_dev:
            reserve = min(RESERVE, disk.f_blocks * disk.f_frsize // 20)
        if disk.f_bavail * disk.f_frsize - size < reserve:
            raise OSError(errno.ENOSPC, f"not enough room in {self._target} for {size} more bytes")

    def _finish(self) -> Path:
        """Give the backup its name, once all of it is on the disk."""
        for folder, _, _ in os.walk(self._partial):
            sync_folder(Path(folder))
        stamp = datetime.fromtimestamp(self._now, UTC).strftime("%Y-%m-%dT%H%M%SZ")
        names = [stamp, *(f"{stamp}-{number}" for number in range(2, 10))]
        path = next(path for path in (self._target / name for name in names) if not path.exists())
        self._partial.rename(path)
        sync_folder(self._target)
        return path

    def _delete(self, path: Path) -> None:
        # Under another name first: half a backup must not look like one.
        leaving = path.with_name(f"{_PARTIAL}{path.name}")
        path.rename(leaving)
        shutil.rmtree(leaving)


def _output(output_id: str) -> Path:
    return Path("outputs", output_id[:2], output_id)


def _sizes(uploads: Path) -> dict[str, int]:
    """Return the sizes of the uploads in a folder, by their names."""
    sizes = {}
    for path in uploads.glob("*"):
        # Any of them may be deleted at any moment.
        with suppress(FileNotFoundError):
            if OWN_ID.fullmatch(path.name):
                sizes[path.name] = path.stat().st_size
    return sizes


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _told() -> Iterator[None]:
    """Turn what can go wrong inside the block into BackupFailed."""
    try:
        yield
    except Timeout:
        raise BackupFailed("Another backup is being made there.") from None
    except PermissionError as error:
        cure = "run this as the server's user, who must be able to write to the place of the backups"
        raise BackupFailed(f"No backup was made: {error}; {cure}.") from None
    except (OSError, sqlite3.Error, StoreUnusable) as error:
        raise BackupFailed(f"No backup was made: {error}") from None
