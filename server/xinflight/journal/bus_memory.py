"""The bus inside one process: a table of listeners."""

from collections import defaultdict

from xinflight.journal.bus import CancelCommand, Handler, Listener
from xinflight.storage import Event

__all__ = ["MemoryBus"]


class MemoryBus:
    """Call listeners at once. Slots are free, for the scheduler of this process counts them already."""

    def __init__(self) -> None:
        self._listeners: defaultdict[tuple[str, str | None], set[Listener]] = defaultdict(set)
        self._handler: Handler | None = None

    def publish(self, event: Event) -> None:
        """Tell the task's listeners, then the owner's."""
        for key in ((event.owner, event.uid), (event.owner, None)):
            for listener in tuple(self._listeners.get(key, ())):
                listener.push(event)

    def attach(self, listener: Listener, owner: str, uid: str | None) -> None:
        """Add a listener."""
        self._listeners[owner, uid].add(listener)

    def detach(self, listener: Listener, owner: str, uid: str | None) -> None:
        """Take a listener out, and the place of the last one with it."""
        listeners = self._listeners.get((owner, uid))
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._listeners[owner, uid]

    def serve(self, handler: Handler) -> None:
        """Remember who carries out commands."""
        self._handler = handler

    async def command(self, command: CancelCommand) -> bool:
        """Carry it out here; there is nobody else."""
        return self._handler is not None and await self._handler(command)

    async def take_slot(self, model: str, slots: int) -> None:
        """Return at once."""

    async def give_slot(self, model: str) -> None:
        """Return at once."""
