"""Share links: give out, list, revoke and resolve them."""

import hashlib
import secrets

from xinflight.clock import Clock
from xinflight.errors import NotFound, TooManyShares
from xinflight.model import Share, Task
from xinflight.storage.page_cursors import PageCursors
from xinflight.storage.store import Store

__all__ = ["SHARES_PER_OWNER", "Sharing"]

SHARES_PER_OWNER = 1000
"""Shares that one owner may have. Expired ones don't count."""


class Sharing:
    """The shares of all owners. Every call may raise StorageUnavailable."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cursors = PageCursors()

    async def create(self, task: Task, index: int, seconds: float | None) -> tuple[Share, str]:
        """Create a share of an output, for some seconds or until it is revoked; return it and its secret.

        Raises:
            NotFound: the task has no such output, it is not finished, or a text.
            TooManyShares: the owner has SHARES_PER_OWNER.
        """
        output = next((output for output in task.files if output.index == index), None)
        if output is None:
            raise NotFound(field="index")
        now = self._clock.time()
        secret = secrets.token_urlsafe(24)
        share = Share(
            id=secrets.token_hex(8),
            owner=task.owner,
            task_id=task.task_id,
            index=index,
            output_id=output.output_id,
            created=now,
            expires=None if seconds is None else now + seconds,
        )
        if not await self._store.shares.add(share, _digest(secret), at_most=SHARES_PER_OWNER):
            raise TooManyShares(limit=f"{SHARES_PER_OWNER} shares")
        return share, secret

    async def find(self, secret: str) -> Share | None:
        """Return the share of a secret, or None if it is unknown, revoked or expired."""
        return await self._store.shares.find(_digest(secret), now=self._clock.time())

    async def page(
        self, owner: str, *, cursor: str | None, limit: int, task_id: str | None
    ) -> tuple[list[Share], str | None]:
        """Return a page of an owner's shares, newest first, and the cursor of the next page, None after the last."""
        before = None if cursor is None else self._cursors.decode(cursor)
        rows = await self._store.shares.of_owner(
            owner, before=before, limit=limit + 1, task_id=task_id, now=self._clock.time()
        )
        following = self._cursors.encode(rows[limit - 1].number) if len(rows) > limit else None
        return [row.share for row in rows[:limit]], following

    async def revoke(self, owner: str, share_id: str) -> bool:
        """Delete a share of an owner; return whether there was one."""
        return await self._store.shares.delete(owner, share_id)


def _digest(secret: str) -> bytes:
    """Return what is stored of a secret. It has 192 random bits, so it needs neither salt nor a slow hash."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
