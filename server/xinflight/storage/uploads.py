"""The contract of what is known of uploads. `uploads_<implementation>.py` implement it, beside those of the store.

Which tasks use an upload is stored with them: an `Accept` holds the uploads of its task, its end lets go of them.
"""

from typing import Protocol

from msgspec import Struct

from xinflight.model import Upload

__all__ = ["StoredUploads", "UploadRow"]


class UploadRow(Struct, frozen=True, kw_only=True):
    """An upload of an owner's list; `number` rises with every upload."""

    number: int
    upload: Upload


class StoredUploads(Protocol):
    """Store uploads by owner and id. `now` is Unix seconds: what has expired by then is not found.

    Every call may raise StorageUnavailable.
    """

    async def add(self, upload: Upload, *, most: int, most_bytes: int) -> Upload | None:
        """Store an upload, or let the one that its owner has under its id expire later; return what is stored now.

        What is returned has another `blob_id` if it was known. Returns None if the owner would have more than `most`
        uploads or `most_bytes`; those that are gone but for a task count, since they still take room.
        """

    async def find(self, owner: str, upload_id: str, *, now: float) -> Upload | None:
        """Return an upload of an owner."""

    async def held(self, owner: str, upload_id: str) -> Upload | None:
        """Return an upload of an owner, also one that has expired or was deleted while a task uses it."""

    async def of_owner(self, owner: str, *, before: int | None, limit: int, now: float) -> list[UploadRow]:
        """Return at most `limit` uploads of an owner, newest first, numbered below `before`."""

    async def expire(self, owner: str, upload_id: str, *, now: float, latest: float) -> bool:
        """Let an upload of an owner expire at once, unless it would after `latest`; return whether it was there."""

    async def erase(self, owner: str) -> int:
        """Let all uploads of an owner expire at once; return how many are stored."""

    async def unused(self, *, now: float, limit: int) -> list[Upload]:
        """Return at most `limit` uploads that have expired and that no unfinished task uses."""

    async def remove(self, upload: Upload, *, now: float) -> bool:
        """Delete an upload that has expired and that no unfinished task uses; return whether that held."""

    async def blob_ids(self) -> set[str]:
        """Return the names of all files."""
