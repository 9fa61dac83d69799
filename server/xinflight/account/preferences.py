"""The preferences of owners: one small document each, the same at all of their devices."""

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from xinflight.errors import OutOfBounds
from xinflight.key_locks import KeyLocks
from xinflight.protocol import Preferences, PreferencesChange
from xinflight.storage import Store, StoredPreferences

__all__ = ["OwnPreferences"]

MOST_BYTES = 16 * 1024
"""Bytes of the preferences of one owner, as JSON."""


class OwnPreferences:
    """Read and change the preferences of owners. `notify` notifies the connections of an owner after a change."""

    def __init__(self, store: Store, notify: Callable[..., None]) -> None:
        self._store = store
        self._notify = notify
        # By owner: each change begins with what the one before has left.
        self._locks = KeyLocks()

    async def get(self, owner: str) -> StoredPreferences:
        """Return the preferences of an owner; may raise StorageUnavailable."""
        stored = await self._store.library.preferences(owner)
        return StoredPreferences(version=0, preferences=Preferences()) if stored is None else stored

    async def change(self, owner: str, change: PreferencesChange | None) -> StoredPreferences:
        """Replace the given fields, and return all. A change that changes nothing makes no new version.

        Raises:
            OutOfBounds: they would be too long.
            StorageUnavailable: not now.
        """
        if change is None:
            return await self.get(owner)
        async with self._locks.hold(owner):
            before = await self.get(owner)
            given = {key: value for key, value in msgspec.structs.asdict(change).items() if value is not UNSET}
            preferences = msgspec.structs.replace(before.preferences, **given)
            if preferences == before.preferences:
                return before
            if len(msgspec.json.encode(preferences)) > MOST_BYTES:
                raise OutOfBounds(field="change", limit=f"{MOST_BYTES} bytes in all")
            after = StoredPreferences(version=before.version + 1, preferences=preferences)
            await self._store.library.set_preferences(owner, after)
        self._notify(owner, kind="preferences", preferences=after)
        return after
