"""Shares in memory, gone with the process."""

import itertools
from collections.abc import Collection

from xinflight.model import Share
from xinflight.storage.shares import ShareRow

__all__ = ["MemoryShares"]


class MemoryShares:
    """Keep shares by the digest of their secret."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._rows: dict[bytes, ShareRow] = {}
        # By owner, then by id, in the order of their numbers. Bounded per owner by `add`.
        self._of_owner: dict[str, dict[str, bytes]] = {}

    async def add(self, share: Share, digest: bytes, *, at_most: int) -> bool:
        """Store a share."""
        for row in self._all(share.owner):
            if _expired(row.share, share.created):
                self._delete(row.share)
        of_owner = self._of_owner.setdefault(share.owner, {})
        if len(of_owner) >= at_most:
            return False
        of_owner[share.id] = digest
        self._rows[digest] = ShareRow(number=next(self._numbers), share=share)
        return True

    async def find(self, digest: bytes, *, now: float) -> Share | None:
        """Return the share of a secret."""
        row = self._rows.get(digest)
        return None if row is None or _expired(row.share, now) else row.share

    async def of_owner(
        self, owner: str, *, before: int | None, limit: int, task_id: str | None, now: float
    ) -> list[ShareRow]:
        """Return a page of an owner's shares."""
        rows = [
            row
            for row in reversed(self._all(owner))
            if (before is None or row.number < before)
            and task_id in (None, row.share.task_id)
            and not _expired(row.share, now)
        ]
        return rows[:limit]

    async def delete(self, owner: str, share_id: str) -> bool:
        """Delete a share."""
        digest = self._of_owner.get(owner, {}).get(share_id)
        if digest is None:
            return False
        self._delete(self._rows[digest].share)
        return True

    def drop(self, owner: str, output_ids: Collection[str]) -> None:
        """Delete the shares of some outputs of an owner."""
        for row in self._all(owner):
            if row.share.output_id in output_ids:
                self._delete(row.share)

    def _all(self, owner: str) -> list[ShareRow]:
        return [self._rows[digest] for digest in self._of_owner.get(owner, {}).values()]

    def _delete(self, share: Share) -> None:
        of_owner = self._of_owner[share.owner]
        del self._rows[of_owner.pop(share.id)]
        if not of_owner:
            del self._of_owner[share.owner]


def _expired(share: Share, now: float) -> bool:
    return share.expires is not None and share.expires <= now
