"""The contract of stored shares. `shares_<implementation>.py` implement it, beside the store that they belong to."""

from typing import Protocol

from msgspec import Struct

from xinflight.model import Share

__all__ = ["ShareRow", "Shares"]


class ShareRow(Struct, frozen=True, kw_only=True):
    """A share of an owner's list; `number` rises with every share."""

    number: int
    share: Share


class Shares(Protocol):
    """Store shares by the digest of their secret. They go with the task of their output.

    `now` is Unix seconds: what has expired by then is not found. Every call may raise StorageUnavailable.
    """

    async def add(self, share: Share, digest: bytes, *, at_most: int) -> bool:
        """Store a share; return False if its owner has `at_most` that have not expired when it was created.

        If its output was deleted meanwhile it is gone at once.
        """

    async def find(self, digest: bytes, *, now: float) -> Share | None:
        """Return the share of a secret."""

    async def of_owner(
        self, owner: str, *, before: int | None, limit: int, task_id: str | None, now: float
    ) -> list[ShareRow]:
        """Return at most `limit` shares of an owner, or of one task, newest first, numbered below `before`."""

    async def delete(self, owner: str, share_id: str) -> bool:
        """Delete a share of an owner; return whether there was one."""
