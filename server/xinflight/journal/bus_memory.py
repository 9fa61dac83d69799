"""The bus inside one process: a table of listeners."""

from collections import defaultdict

from xinflight.journal.bus import Listener
from xinflight.model import Event, OwnerQueue

__all__ = ["MemoryBus"]


class MemoryBus:
    """Deliver to listeners at once."""

    def __init__(self) -> None:
        self._listeners: defaultdict[tuple[str, str | None], set[Listener]] = defaultdict(set)

    def publish(self, event: Event | OwnerQueue) -> None:
        """Deliver to the task's listeners, then to the owner's."""
        for key in ((event.owner, event.uid), (event.owner, None)):
            for listener in tuple(self._listeners.get(key, ())):
                listener.deliver(event)

    def attach(self, listener: Listener, owner: str, uid: str | None) -> None:
        """Add a listener."""
        self._listeners[owner, uid].add(listener)

    def detach(self, listener: Listener, owner: str, uid: str | None) -> None:
        """Remove a listener, and the table's entry with the last one."""
        listeners = self._listeners.get((owner, uid))
        if listeners is not None:
            listeners.discard(listener)
            if not listeners:
                del self._listeners[owner, uid]
