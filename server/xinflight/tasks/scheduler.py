"""Who runs when: one queue per pool of models, first come first served inside a priority. No I/O.

Never more jobs are sent to a model than it has replicas, less those not yet known to have ended there.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

__all__ = ["Scheduler", "Waiting"]


class Waiting(Protocol):
    """What can stand in the queue. `order` is unique and rises with acceptance."""

    @property
    def pool(self) -> str:
        """The pool whose models may do it."""

    @property
    def priority(self) -> int:
        """Higher ones go first."""

    @property
    def order(self) -> int:
        """The place among equals."""


W = TypeVar("W", bound=Waiting)


def _key(waiting: Waiting) -> tuple[int, int]:
    return -waiting.priority, waiting.order


class Scheduler(Generic[W]):
    """Hold the queues and count the slots. `start(waiting, uid)` is called for each one whose turn has come."""

    def __init__(self, start: Callable[[W, str], None]) -> None:
        self._start = start
        # Bounded by the manager, which refuses more tasks than its settings allow.
        self._queues: dict[str, list[W]] = {}
        self._pools: dict[str, dict[str, int]] = {}
        self._busy: dict[str, int] = {}

    def set_models(self, pools: Mapping[str, Mapping[str, int]]) -> None:
        """Take the slots of each uid of each pool; a model that is away has none. Running jobs keep theirs."""
        self._pools = {pool: dict(uids) for pool, uids in pools.items()}
        for pool in list(self._queues):
            self._dispatch(pool)

    def add(self, waiting: W) -> None:
        """Let it stand in its queue, or start it at once."""
        insort(self._queues.setdefault(waiting.pool, []), waiting, key=_key)
        self._dispatch(waiting.pool)

    def remove(self, waiting: W) -> bool:
        """Take it out; return False when it was not waiting."""
        place = self.place(waiting)
        if place is None:
            return False
        del self._queues[waiting.pool][place]
        self._drop_empty(waiting.pool)
        return True

    def _drop_empty(self, pool: str) -> None:
        # Clients choose the names of pools while the models are not known.
        if not self._queues.get(pool, True):
            del self._queues[pool]

    def place(self, waiting: W) -> int | None:
        """Return how many go before it, or None when it is not waiting; by bisection."""
        queue = self._queues.get(waiting.pool, [])
        place = bisect_left(queue, _key(waiting), key=_key)
        return place if place < len(queue) and queue[place] is waiting else None

    def occupy(self, uid: str) -> None:
        """Take a slot for a job that is there already."""
        self._busy[uid] = self.busy(uid) + 1

    def release(self, uid: str) -> None:
        """Give back a slot whose job is known to have ended upstream."""
        self._busy[uid] -= 1
        if not self._busy[uid]:
            del self._busy[uid]
        for pool, uids in self._pools.items():
            if uid in uids:
                self._dispatch(pool)

    def queue(self, pool: str) -> list[W]:
        """Return those who wait, the next one first."""
        return self._queues.get(pool, [])

    def pools(self) -> Iterable[str]:
        """Return the pools that have a queue."""
        return self._queues.keys()

    def busy(self, uid: str) -> int:
        """Return how many slots of a model are taken."""
        return self._busy.get(uid, 0)

    def _dispatch(self, pool: str) -> None:
        queue = self._queues.get(pool, [])
        while queue:
            free = {uid: slots - self.busy(uid) for uid, slots in self._pools.get(pool, {}).items()}
            uid = max(free, key=lambda uid: free[uid], default=None)
            if uid is None or free[uid] <= 0:
                return
            self.occupy(uid)
            self._start(queue.pop(0), uid)
        self._drop_empty(pool)

    def waits(self, pool: str, running: Iterable[float], durations: Iterable[float]) -> list[float]:
        """Estimate the seconds until each one in the queue starts.

        `running` is what the running jobs still need, `durations` what each waiting one will take, in order.
        """
        slots = sum(self._pools.get(pool, {}).values())
        if slots == 0:
            return []
        ends = heapq.nsmallest(slots, running)
        ends += [0.0] * (slots - len(ends))
        heapq.heapify(ends)
        return [heapq.heapreplace(ends, ends[0] + duration) for duration in durations]
