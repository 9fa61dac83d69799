"""Which output runs next: one pool's queue and slots, first come first served inside a priority.

Never more jobs are sent to a model than it has replicas, less those not yet known to have ended there.
"""

import asyncio
import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

__all__ = ["Queued", "Scheduler"]


class Queued(Protocol):
    """What can stand in the queue. `sequence` is unique and rises with acceptance."""

    @property
    def priority(self) -> int:
        """Higher ones go first."""

    @property
    def sequence(self) -> int:
        """The place among equals."""


Q = TypeVar("Q", bound=Queued)


def _key(queued: Queued) -> tuple[int, int]:
    return -queued.priority, queued.sequence


class Scheduler(Generic[Q]):
    """Hold the queue and count the slots of each model of one pool. Only one task may wait in `next`."""

    def __init__(self) -> None:
        # Bounded by admission, which refuses more tasks than the settings allow.
        self._queue: list[Q] = []
        self._slots: dict[str, int] = {}
        self._busy: dict[str, int] = {}
        self._changed = asyncio.Event()

    def set_slots(self, slots: Mapping[str, int]) -> None:
        """Set the slots of each model; one that is not named has none. Running jobs keep theirs."""
        self._slots = dict(slots)
        self._changed.set()

    def add(self, queued: Q) -> None:
        """Put one in the queue."""
        insort(self._queue, queued, key=_key)
        self._changed.set()

    def remove(self, queued: Q) -> bool:
        """Remove one from the queue; return False when it was not there."""
        place = self.place(queued)
        if place is None:
            return False
        del self._queue[place]
        return True

    def place(self, queued: Q) -> int | None:
        """Return how many go before one, or None when it is not in the queue; by bisection."""
        place = bisect_left(self._queue, _key(queued), key=_key)
        return place if place < len(self._queue) and self._queue[place] is queued else None

    async def next(self) -> tuple[Q, str]:
        """Wait until one can run; return it with the uid of its model, whose slot is now taken.

        Cancelling loses nothing.
        """
        while True:
            self._changed.clear()
            free = {uid: slots - self.busy(uid) for uid, slots in self._slots.items()}
            uid = max(free, key=lambda uid: free[uid], default=None)
            if self._queue and uid is not None and free[uid] > 0:
                self.occupy(uid)
                return self._queue.pop(0), uid
            await self._changed.wait()

    def occupy(self, uid: str) -> None:
        """Take a slot for a job that is at its model already."""
        self._busy[uid] = self.busy(uid) + 1

    def release(self, uid: str) -> None:
        """Give back a slot whose job is known to have ended upstream."""
        self._busy[uid] -= 1
        self._changed.set()

    @property
    def queue(self) -> Sequence[Q]:
        """Those who wait, the next one first."""
        return self._queue

    @property
    def free(self) -> int:
        """How many slots are free; so many at the head of the queue start in this turn of the loop."""
        return sum(max(slots - self.busy(uid), 0) for uid, slots in self._slots.items())

    def busy(self, uid: str) -> int:
        """Return how many slots of a model are taken."""
        return self._busy.get(uid, 0)

    def waits(self, running: Iterable[float], durations: Iterable[float]) -> list[float]:
        """Estimate the seconds until each one in the queue starts, or return [] when there is no slot.

        `running` is what the running jobs still need, `durations` what each waiting one will take, in order.
        """
        slots = sum(self._slots.values())
        if slots == 0:
            return []
        ends = heapq.nsmallest(slots, running)
        ends += [0.0] * (slots - len(ends))
        heapq.heapify(ends)
        return [heapq.heapreplace(ends, ends[0] + duration) for duration in durations]
