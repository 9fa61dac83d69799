"""Owners who paused everything, including what they submit later."""

from collections.abc import Callable, Iterator

from xinflight.storage import Store

__all__ = ["PausedOwners"]

IDLE_OWNERS = 10_000
"""Paused owners without an unfinished task who are remembered: identities may cost nothing. The oldest go first."""


class PausedOwners:
    """Remember who paused everything, across restarts. `has_tasks` tells whether an owner has unfinished tasks."""

    def __init__(self, store: Store, has_tasks: Callable[[str], bool]) -> None:
        self._store = store
        self._has_tasks = has_tasks
        # In the order of their pauses. Bounded by IDLE_OWNERS, and by the number of unfinished tasks.
        self._owners: dict[str, None] = {}

    async def open(self) -> None:
        """Read them from the store; may raise StorageUnavailable."""
        self._owners = dict.fromkeys(await self._store.paused_owners())

    def __contains__(self, owner: object) -> bool:
        """Tell whether an owner has paused everything."""
        return owner in self._owners

    async def add(self, owner: str) -> None:
        """Hold from now on what an owner submits; returns when that is stored. May raise StorageUnavailable."""
        self._owners[owner] = None
        await self._store.set_paused(owner, paused=True)
        for idle in list(self._too_many()):
            await self.discard(idle)

    async def discard(self, owner: str) -> None:
        """Hold nothing more of what an owner submits; returns when that is stored. May raise StorageUnavailable."""
        self._owners.pop(owner, None)
        await self._store.set_paused(owner, paused=False)

    def _too_many(self) -> Iterator[str]:
        if len(self._owners) > IDLE_OWNERS:
            idle = [owner for owner in self._owners if not self._has_tasks(owner)]
            yield from idle[: max(len(idle) - IDLE_OWNERS, 0)]
