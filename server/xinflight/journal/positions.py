"""How far the events of owners and of their unfinished tasks are published, for subscribers and resumes."""

from collections import Counter

from msgspec import Struct, field

from xinflight.model import Event
from xinflight.protocol import Marked
from xinflight.storage import Store

__all__ = ["Positions"]


class _Position(Struct):
    """The newest published seq of an owner, and of each of its unfinished tasks that is known here.

    Until it is `known`, nobody has subscribed.
    """

    seq: int = 0
    known: bool = False
    tasks: dict[str, int] = field(default_factory=dict)


class Positions:
    """The positions of owners who have subscribers or unfinished tasks here."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._positions: dict[str, _Position] = {}
        self._subscribers: Counter[str] = Counter()

    def publish(self, event: Event) -> None:
        """Note that a stored event is published; those of an owner come in the order of their seq."""
        position = self._positions.setdefault(event.owner, _Position())
        position.seq = max(event.seq, position.seq)
        position.known = True
        if event.ends:
            position.tasks.pop(event.uid, None)
        # Marks come after the end, too: they would keep the position of an ended task for ever.
        elif event.uid in position.tasks or not isinstance(event.message, Marked):
            position.tasks[event.uid] = event.seq
        self._drop_unused(event.owner)

    async def join(self, owner: str) -> None:
        """Count one more subscriber of an owner; raise StorageUnavailable when its position can't be read."""
        self._subscribers[owner] += 1
        position = self._positions.setdefault(owner, _Position())
        try:
            if not position.known:
                seq = await self._store.last_seq(owner)
                # Once: a seq that is stored and not published yet would be ahead of those who have subscribed.
                if not position.known:
                    position.seq, position.known = seq, True
        except BaseException:
            self.leave(owner)
            raise

    def leave(self, owner: str) -> None:
        """Count one subscriber of an owner less."""
        self._subscribers[owner] -= 1
        if not self._subscribers[owner]:
            del self._subscribers[owner]
            self._drop_unused(owner)

    def _drop_unused(self, owner: str) -> None:
        if owner not in self._subscribers and not self._positions[owner].tasks:
            del self._positions[owner]

    def subscribed(self, owner: str) -> bool:
        """Return whether an owner has a subscriber."""
        return owner in self._subscribers

    def subscribed_owners(self) -> list[str]:
        """Return the owners who have subscribers."""
        return list(self._subscribers)

    def of_owner(self, owner: str) -> int:
        """Return the newest published seq of an owner who has a subscriber."""
        return self._positions[owner].seq

    def of_task(self, owner: str, uid: str) -> int | None:
        """Return the newest published seq of a task; None if only the store knows it, or if the task has ended."""
        position = self._positions.get(owner)
        return None if position is None else position.tasks.get(uid)

    async def skip_forgotten(self, owner: str) -> None:
        """Move on the position of an owner whom the store forgot, so that no cursor points to before that.

        Raises StorageUnavailable.
        """
        seq = await self._store.last_seq(owner)
        position = self._positions.get(owner)
        if position is not None:
            position.seq = max(seq, position.seq)
