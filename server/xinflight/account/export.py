"""Export all that an owner has as one ZIP, piece by piece, while everything else goes on."""

import io
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import IO

import msgspec
from msgspec.structs import replace

from xinflight.account.archive import Archive
from xinflight.account.csv import CSV_HEADER, csv_line
from xinflight.account.exported import (
    README,
    Manifest,
    exported_share,
    exported_task,
    exported_upload,
    file_name,
    upload_name,
    utc,
)
from xinflight.errors import ImageNotFound
from xinflight.model import Task, Upload, decode_content
from xinflight.storage import Blobs, FoundTask, Store, StoredFile, TaskQuery
from xinflight.threads import on_thread
from xinflight.uploads import Uploads

__all__ = ["Export"]

PAGE = 50
"""Tasks or shares that are read at once: with the longest prompts some 1 MB."""
PART = 256 * 1024
"""Bytes of a file that are read at once, and of the archive that are yielded at once, at least."""


class _File:
    """A file that is read piece by piece."""

    def __init__(self, stored: StoredFile) -> None:
        self._stored = stored
        self._file: IO[bytes] | None = None

    def open(self) -> bool:
        """Open the file; return whether it is still there."""
        if self._stored.data is not None:
            self._file = io.BytesIO(self._stored.data)
            return True
        assert self._stored.path is not None  # either bytes or a path
        try:
            self._file = self._stored.path.open("rb")
        except OSError:
            return False
        return True

    def read(self) -> bytes:
        """Return the next piece, empty after the last one."""
        assert self._file is not None  # open
        return self._file.read(PART)

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._file is not None:
            self._file.close()


class Export:
    """One export of one owner; `parts` is called once. Files and compression are handled on threads.

    `now` is Unix seconds; `visible` returns a task without what of it is hidden, or None. Tasks that are
    accepted later are left out. Of those that had not ended when they were listed, no files are in the archive: the
    list comes first, and names all that are.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        uploads: Uploads,
        owner: str,
        now: float,
        visible: Callable[[Task], Task | None],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._uploads = uploads
        self._visible = visible
        self._owner = owner
        self._now = now
        self._archive = Archive()
        self._manifest = Manifest(owner=owner, created=utc(now))
        # The number that tasks of this export are below, and what had not ended. Bounded by `tasks_per_owner`.
        self._before: int | None = None
        self._unfinished: set[str] = set()
        # Bounded by `uploads_per_owner`.
        self._listed_uploads: list[Upload] = []

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield the archive. Whoever stops early must close the iterator.

        Raises StorageUnavailable; what was yielded by then is no valid archive.
        """
        waiting = bytearray()
        try:
            lists = (self._readme, self._tasks, self._uploads_list, self._shares, self._usage)
            documents = (self._preferences, self._presets)
            for section in (*lists, *documents, self._files, self._upload_files, self._end):
                async with aclosing(section()) as pieces:
                    async for piece in pieces:
                        waiting += piece
                        if len(waiting) >= PART:
                            yield bytes(waiting)
                            waiting.clear()
            yield bytes(waiting)
        finally:
            self._archive.abandon()

    async def _readme(self) -> AsyncGenerator[bytes, None]:
        yield await on_thread(self._entry, "README.txt", README.encode())

    async def _tasks(self) -> AsyncGenerator[bytes, None]:
        yield await on_thread(self._archive.begin, "tasks.jsonl", self._now, compressed=True)
        async with aclosing(self._pages()) as pages:
            async for rows in pages:
                listed: list[tuple[FoundTask, bytes | None]] = []
                size = 0
                for row in rows:
                    task = row.task
                    listed.append((row, await self._store.content(task.uid) if task.content_bytes else None))
                    size += task.content_bytes
                    # Not the whole page at once: 50 long conversations are 50 MB.
                    if size > PART or row is rows[-1]:
                        yield await on_thread(self._list, listed)
                        listed, size = [], 0
        yield await on_thread(self._archive.end)

    def _list(self, rows: list[tuple[FoundTask, bytes | None]]) -> bytes:
        lines = bytearray()
        for row, stored in rows:
            task = row.task
            content = None if stored is None else decode_content(stored)
            lines += msgspec.json.encode(exported_task(task, row.marks, content, with_files=task.ended)) + b"\n"
            self._manifest.tasks += 1
            if task.ended:
                self._manifest.files_listed += len(task.files)
            else:
                self._unfinished.add(task.uid)
        return self._archive.write(bytes(lines))

    async def _uploads_list(self) -> AsyncGenerator[bytes, None]:
        yield await on_thread(self._archive.begin, "uploads.jsonl", self._now, compressed=True)
        before = None
        while rows := await self._store.uploads.of_owner(self._owner, before=before, limit=PAGE, now=self._now):
            uploads = [row.upload for row in rows]
            lines = b"".join(msgspec.json.encode(exported_upload(upload)) + b"\n" for upload in uploads)
            yield await on_thread(self._archive.write, lines)
            self._listed_uploads += uploads
            self._manifest.files_listed += len(uploads)
            self._manifest.uploads += len(uploads)
            before = rows[-1].number
        yield await on_thread(self._archive.end)

    async def _shares(self) -> AsyncGenerator[bytes, None]:
        yield await on_thread(self._archive.begin, "shares.jsonl", self._now, compressed=True)
        before = None
        while rows := await self._store.shares.of_owner(
            self._owner, task_id=None, before=before, limit=PAGE, now=self._now
        ):
            lines = b"".join(msgspec.json.encode(exported_share(row.share)) + b"\n" for row in rows)
            yield await on_thread(self._archive.write, lines)
            self._manifest.shares += len(rows)
            before = rows[-1].number
        yield await on_thread(self._archive.end)

    async def _usage(self) -> AsyncGenerator[bytes, None]:
        # One row per day: 40 KB for three years.
        days = await self._store.usage(self._owner, first="0001-01-01", last="9999-12-31")
        yield await on_thread(self._entry, "usage.csv", CSV_HEADER + b"".join(map(csv_line, days)))

    async def _files(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._pages()) as pages:
            async for rows in pages:
                for task in [row.task for row in rows]:
                    if task.ended and task.uid not in self._unfinished:
                        async with aclosing(self._files_of(task)) as pieces:
                            async for piece in pieces:
                                yield piece

    async def _files_of(self, task: Task) -> AsyncGenerator[bytes, None]:
        for output in task.files:
            stored = await self._blobs.get(output.output_id)
            if stored is not None:
                async with aclosing(self._file(stored, file_name(task, output), task.created)) as pieces:
                    async for piece in pieces:
                        yield piece

    async def _upload_files(self) -> AsyncGenerator[bytes, None]:
        for upload in self._listed_uploads:
            try:
                path = await self._uploads.path(self._owner, upload.upload_id)
            except ImageNotFound:
                continue
            stored = StoredFile(media_type=upload.media_type, path=path)
            async with aclosing(self._file(stored, upload_name(upload), upload.created)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _file(self, stored: StoredFile, name: str, modified: float) -> AsyncGenerator[bytes, None]:
        """Yield the entry of a file, unless it was deleted since it was listed."""
        file = _File(stored)
        try:
            if not await on_thread(file.open):
                return
            yield await on_thread(self._archive.begin, name, modified, compressed=False)
            while piece := await on_thread(self._copy, file):
                self._manifest.bytes += len(piece)
                yield piece
            yield await on_thread(self._archive.end)
            self._manifest.files += 1
        finally:
            file.close()

    def _copy(self, file: _File) -> bytes:
        return self._archive.write(file.read())

    async def _end(self) -> AsyncGenerator[bytes, None]:
        manifest = msgspec.json.format(msgspec.json.encode(self._manifest), indent=2)
        yield await on_thread(self._entry, "manifest.json", manifest)
        yield await on_thread(self._archive.close)

    def _entry(self, name: str, data: bytes) -> bytes:
        archive = self._archive
        return archive.begin(name, self._now, compressed=True) + archive.write(data) + archive.end()

    async def _preferences(self) -> AsyncGenerator[bytes, None]:
        stored = await self._store.library.preferences(self._owner)
        if stored is not None:
            data = msgspec.json.format(msgspec.json.encode(stored.preferences), indent=2)
            yield await on_thread(self._entry, "preferences.json", data)

    async def _presets(self) -> AsyncGenerator[bytes, None]:
        stored = await self._store.library.presets(self._owner)
        if stored is not None:
            data = msgspec.json.format(msgspec.json.encode(stored.presets), indent=2)
            yield await on_thread(self._entry, "presets.json", data)

    async def _pages(self) -> AsyncGenerator[list[FoundTask], None]:
        """Yield the owner's tasks, the newest first; the second time without those that were accepted meanwhile."""
        before = self._before
        while rows := (await self._store.library.find(self._owner, TaskQuery(), before=before, limit=PAGE)).tasks:
            if self._before is None:
                self._before = rows[0].number + 1
            visible = [(row, self._visible(row.task)) for row in rows]
            found = [replace(row, task=task) for row, task in visible if task is not None]
            if found:
                yield found
            before = rows[-1].number
