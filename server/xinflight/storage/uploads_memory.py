"""What is known of uploads, in memory, gone with the process."""

import itertools

from msgspec.structs import replace

from xinflight.model import UPLOAD_SECONDS, Task, Upload
from xinflight.storage.uploads import UploadRow

__all__ = ["MemoryUploads"]


class MemoryUploads:
    """Keep uploads by owner and id, and the uids of the unfinished tasks that use them."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        # By owner, then by id. Bounded per owner by `add`, and by time.
        self._rows: dict[str, dict[str, UploadRow]] = {}
        # By uid of task, owner and id; bounded by the unfinished tasks.
        self._uses: dict[str, set[tuple[str, str]]] = {}

    async def add(self, upload: Upload, *, most: int, most_bytes: int) -> Upload | None:
        """Store an upload."""
        of_owner = self._rows.get(upload.owner, {})
        known = of_owner.get(upload.upload_id)
        if known is not None:
            return self._renew(known, upload.expires)
        if len(of_owner) >= most or sum(row.upload.bytes for row in of_owner.values()) + upload.bytes > most_bytes:
            return None
        self._put(UploadRow(number=next(self._numbers), upload=upload))
        return upload

    def hold(self, task: Task) -> bool:
        """Let an unfinished task use its uploads, from its acceptance on; return False if one of them is gone."""
        wanted = {each.upload_id for each in task.inputs}
        found = [self._find(task.owner, upload_id, task.created) for upload_id in wanted]
        rows = [row for row in found if row is not None]
        if len(rows) < len(wanted):
            return False
        for row in rows:
            self._renew(row, task.created + UPLOAD_SECONDS)
        if rows:
            self._uses[task.uid] = {(task.owner, upload_id) for upload_id in wanted}
        return True

    def release(self, uid: str) -> None:
        """Note that a task uses nothing any more."""
        self._uses.pop(uid, None)

    async def find(self, owner: str, upload_id: str, *, now: float) -> Upload | None:
        """Return an upload."""
        row = self._find(owner, upload_id, now)
        return None if row is None else row.upload

    def _find(self, owner: str, upload_id: str, now: float) -> UploadRow | None:
        row = self._rows.get(owner, {}).get(upload_id)
        return row if row is not None and row.upload.expires > now else None

    async def held(self, owner: str, upload_id: str) -> Upload | None:
        """Return an upload, whatever became of it."""
        row = self._rows.get(owner, {}).get(upload_id)
        return None if row is None else row.upload

    async def of_owner(self, owner: str, *, before: int | None, limit: int, now: float) -> list[UploadRow]:
        """Return a page of an owner's uploads."""
        rows = [
            row
            for row in reversed(self._rows.get(owner, {}).values())
            if (before is None or row.number < before) and row.upload.expires > now
        ]
        return rows[:limit]

    async def expire(self, owner: str, upload_id: str, *, now: float, latest: float) -> bool:
        """Let an upload expire."""
        row = self._find(owner, upload_id, now)
        if row is None or row.upload.expires > latest:
            return False
        self._put(replace(row, upload=replace(row.upload, expires=0.0)))
        return True

    async def erase(self, owner: str) -> int:
        """Let all uploads of an owner expire."""
        rows = list(self._rows.get(owner, {}).values())
        for row in rows:
            self._put(replace(row, upload=replace(row.upload, expires=0.0)))
        return len(rows)

    async def unused(self, *, now: float, limit: int) -> list[Upload]:
        """Return what nobody can use any more."""
        uploads = (row.upload for rows in self._rows.values() for row in rows.values())
        return [upload for upload in uploads if self._is_unused(upload, now)][:limit]

    def _is_unused(self, upload: Upload, now: float) -> bool:
        place = upload.owner, upload.upload_id
        return upload.expires <= now and not any(place in uses for uses in self._uses.values())

    async def remove(self, upload: Upload, *, now: float) -> bool:
        """Delete an upload."""
        stored = await self.held(upload.owner, upload.upload_id)
        if stored is None or stored.blob_id != upload.blob_id or not self._is_unused(stored, now):
            return False
        of_owner = self._rows[upload.owner]
        del of_owner[upload.upload_id]
        if not of_owner:
            del self._rows[upload.owner]
        return True

    async def blob_ids(self) -> set[str]:
        """Return the names of all files."""
        return {row.upload.blob_id for rows in self._rows.values() for row in rows.values()}

    def _renew(self, row: UploadRow, expires: float) -> Upload:
        upload = replace(row.upload, expires=max(expires, row.upload.expires))
        self._put(replace(row, upload=upload))
        return upload

    def _put(self, row: UploadRow) -> None:
        self._rows.setdefault(row.upload.owner, {})[row.upload.upload_id] = row
