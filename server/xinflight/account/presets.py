"""The presets of owners: named settings of the form for a generation, the same at all of their devices."""

from collections.abc import Callable

import msgspec

from xinflight.errors import OutOfBounds
from xinflight.key_locks import KeyLocks
from xinflight.protocol import Preset, PresetsChange
from xinflight.storage import Store, StoredPresets

__all__ = ["OwnPresets"]

MOST = 100
"""Presets of one owner: what one can still look through."""
MOST_BYTES = 64 * 1024
"""Bytes of the presets of one owner, as JSON: an answer has all of them."""


class OwnPresets:
    """Read and change the presets of owners. `notify` notifies the connections of an owner after a change."""

    def __init__(self, store: Store, notify: Callable[..., None]) -> None:
        self._store = store
        self._notify = notify
        # By owner: each change begins with what the one before has left.
        self._locks = KeyLocks()

    async def get(self, owner: str) -> StoredPresets:
        """Return the presets of an owner; may raise StorageUnavailable."""
        return await self._store.library.presets(owner) or StoredPresets(version=0, presets=[])

    async def change(self, owner: str, change: PresetsChange | None) -> StoredPresets:
        """Delete and save some presets, and return all. A change that changes nothing makes no new version.

        Only what it names is changed, so that two devices don't undo what the other one did.

        Raises:
            OutOfBounds: they would be too many or too long.
            StorageUnavailable: not now.
        """
        if change is None:
            return await self.get(owner)
        async with self._locks.hold(owner):
            before = await self.get(owner)
            presets = _changed(before.presets, change)
            if presets == before.presets:
                return before
            if len(presets) > MOST:
                raise OutOfBounds(field="change", limit=f"{MOST} presets")
            if len(msgspec.json.encode(presets)) > MOST_BYTES:
                raise OutOfBounds(field="change", limit=f"{MOST_BYTES} bytes in all")
            after = StoredPresets(version=before.version + 1, presets=presets)
            await self._store.library.set_presets(owner, after)
        self._notify(owner, kind="presets", version=after.version)
        return after


def _changed(presets: list[Preset], change: PresetsChange) -> list[Preset]:
    """Return presets after a change; one that is saved again keeps its place."""
    by_name = {preset.name: preset for preset in presets if preset.name not in change.delete}
    by_name.update((preset.name, preset) for preset in change.save)
    return list(by_name.values())
