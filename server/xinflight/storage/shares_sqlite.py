"""Shares in the SQLite database of a data folder."""

import sqlite3

import xinflight.storage.sqlite_queries as sql
from xinflight.model import Share
from xinflight.storage.shares import ShareRow
from xinflight.storage.sqlite_database import SqliteDatabase

__all__ = ["SqliteShares"]


class SqliteShares:
    """Keep shares beside the tasks."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def add(self, share: Share, digest: bytes, *, at_most: int) -> bool:
        """Store a share, in one transaction with the count of those that its owner has."""
        values = {
            "id": share.id,
            "digest": digest,
            "owner": share.owner,
            "output_id": share.output_id,
            "created": share.created,
            "expires": share.expires,
        }

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute(sql.DROP_EXPIRED_SHARES, {"owner": share.owner, "now": share.created})
            if connection.execute(sql.COUNT_SHARES, (share.owner,)).fetchone()[0] >= at_most:
                return False
            connection.execute(sql.ADD_SHARE, values)
            return True

        return await self._database.write(work)

    async def find(self, digest: bytes, *, now: float) -> Share | None:
        """Return the share of a secret."""
        row = await self._database.read(lambda db: db.execute(sql.SHARE, {"digest": digest, "now": now}).fetchone())
        return None if row is None else _share_row(row).share

    async def of_owner(
        self, owner: str, *, before: int | None, limit: int, task_id: str | None, now: float
    ) -> list[ShareRow]:
        """Return a page of an owner's shares."""
        values = {
            "owner": owner,
            "before": 2**62 if before is None else before,
            "task_id": task_id,
            "now": now,
            "limit": limit,
        }
        rows = await self._database.read(lambda db: db.execute(sql.SHARES, values).fetchall())
        return [_share_row(row) for row in rows]

    async def delete(self, owner: str, share_id: str) -> bool:
        """Delete a share."""
        return await self._database.write(
            lambda db: db.execute(sql.DROP_SHARE, {"owner": owner, "id": share_id}).rowcount > 0
        )


def _share_row(row: tuple[int, str, str, str, int, str, float, float | None]) -> ShareRow:
    number, share_id, owner, task_id, index, output_id, created, expires = row
    share = Share(
        id=share_id,
        owner=owner,
        task_id=task_id,
        index=index,
        output_id=output_id,
        created=created,
        expires=expires,
    )
    return ShareRow(number=number, share=share)
