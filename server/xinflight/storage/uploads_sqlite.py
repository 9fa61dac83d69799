"""What is known of uploads, in the SQLite database of a data folder."""

import sqlite3
from typing import Any

import msgspec

import xinflight.storage.sqlite_queries as sql
from xinflight.model import Upload
from xinflight.storage.sqlite_database import SqliteDatabase
from xinflight.storage.uploads import UploadRow

__all__ = ["SqliteUploads"]


class SqliteUploads:
    """Keep uploads beside the tasks."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def add(self, upload: Upload, *, most: int, most_bytes: int) -> Upload | None:
        """Store an upload, in one transaction with the sums of those that its owner has."""
        values = msgspec.structs.asdict(upload)

        def work(connection: sqlite3.Connection) -> tuple[Any, ...] | None:
            if connection.execute(sql.RENEW_UPLOAD, values).rowcount == 0:
                count, total = connection.execute(sql.UPLOAD_TOTALS, (upload.owner,)).fetchone()
                if count >= most or total + upload.bytes > most_bytes:
                    return None
                connection.execute(sql.ADD_UPLOAD, values)
            row: tuple[Any, ...] = connection.execute(sql.UPLOAD, (upload.owner, upload.upload_id)).fetchone()
            return row

        row = await self._database.write(work)
        return None if row is None else _upload_row(row).upload

    async def find(self, owner: str, upload_id: str, *, now: float) -> Upload | None:
        """Return an upload."""
        upload = await self.held(owner, upload_id)
        return upload if upload is not None and upload.expires > now else None

    async def held(self, owner: str, upload_id: str) -> Upload | None:
        """Return an upload, whatever became of it."""
        row = await self._database.read(lambda db: db.execute(sql.UPLOAD, (owner, upload_id)).fetchone())
        return None if row is None else _upload_row(row).upload

    async def of_owner(self, owner: str, *, before: int | None, limit: int, now: float) -> list[UploadRow]:
        """Return a page of an owner's uploads."""
        values = {"owner": owner, "before": 2**62 if before is None else before, "now": now, "limit": limit}
        rows = await self._database.read(lambda db: db.execute(sql.UPLOADS, values).fetchall())
        return [_upload_row(row) for row in rows]

    async def expire(self, owner: str, upload_id: str, *, now: float, latest: float) -> bool:
        """Let an upload expire."""
        values = {"owner": owner, "upload_id": upload_id, "now": now, "latest": latest}
        return await self._database.write(lambda db: db.execute(sql.EXPIRE_UPLOAD, values).rowcount > 0)

    async def erase(self, owner: str) -> int:
        """Let all uploads of an owner expire: behind all that was to be added before."""
        return await self._database.write(lambda db: db.execute(sql.EXPIRE_UPLOADS, (owner,)).rowcount)

    async def unused(self, *, now: float, limit: int) -> list[Upload]:
        """Return what nobody can use any more, by the index of what expires."""
        values = {"now": now, "limit": limit}
        rows = await self._database.read(lambda db: db.execute(sql.UNUSED_UPLOADS, values).fetchall())
        return [_upload_row(row).upload for row in rows]

    async def remove(self, upload: Upload, *, now: float) -> bool:
        """Delete an upload."""
        values = {"blob_id": upload.blob_id, "now": now}
        return await self._database.write(lambda db: db.execute(sql.DROP_UPLOAD, values).rowcount > 0)

    async def blob_ids(self) -> set[str]:
        """Return the names of all files; a start does that once."""
        rows = await self._database.read(lambda db: db.execute(sql.UPLOAD_BLOBS).fetchall())
        return {blob_id for (blob_id,) in rows}


def _upload_row(row: tuple[Any, ...]) -> UploadRow:
    number, *values = row
    return UploadRow(number=number, upload=Upload(**dict(zip(Upload.__struct_fields__, values, strict=True))))
