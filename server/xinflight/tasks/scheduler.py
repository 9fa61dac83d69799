"""Which output runs next: one pool's queue and slots. Owners share the compute time by start-time fair queueing.

Inside one owner, higher priorities go first, then lower ranks, then what was accepted earlier. Never more jobs are
sent to a model than it has slots, less those not yet known to have ended there.
"""

import asyncio
import heapq
import itertools
import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from xinflight.clock import Clock
from xinflight.tasks.fair_shares import FairShares
from xinflight.tasks.service_chain import Service

__all__ = ["Queued", "Scheduler", "Tags"]


class Queued(Protocol):
    """What can stand in the queue; hashed by identity. None of these may change while it stands there."""

    @property
    def owner(self) -> str:
        """Whose it is."""

    @property
    def weight(self) -> float:
        """The owner's weight; that of the newest one counts."""

    @property
    def priority(self) -> int:
        """Higher ones go first, among those of one owner."""

    @property
    def rank(self) -> float:
        """Among equal priorities of one owner, lower ones go first."""

    @property
    def sequence(self) -> int:
        """Among equal ranks of one owner, lower ones go first. Unique, and rises with acceptance."""


Q = TypeVar("Q", bound=Queued)

OVERDUE = 0.05
"""The part of its time, or of a second, after which an overdue job is charged again."""


def _key(queued: Queued) -> tuple[int, float, int]:
    return -queued.priority, queued.rank, queued.sequence


_Place = tuple[bool, float, int, str]
"""Where an owner stands: as `FairShares.place`, then by turn."""


class Tags(Struct, frozen=True):
    """What has to be stored when a slot becomes free: its owner's finish tag, and the pool's virtual time."""

    finish: float
    virtual_time: float


class _Job(Struct, eq=False):
    """What an owner has in a slot of a model since `started`, in monotonic seconds, and what it is charged."""

    owner: str
    uid: str
    service: Service
    started: float
    charged: float


class Scheduler(Generic[Q]):
    """Hold the queue and count the slots of each model of one pool. Only one task may wait in `next`.

    `estimate` returns what something will cost, `share` what a second in a slot of a model costs.

    An operation compares as often as the logarithms
    of the numbers of owners and of the owner's own outputs say; Python moves the rest of a list in one step.
    """

    def __init__(
        self, clock: Clock, estimate: Callable[[Q], float], share: Callable[[str], float] = lambda uid: 1.0
    ) -> None:
        self.shares = FairShares()
        self._clock = clock
        self._estimate = estimate
        self._share = share
        # By owner, the next one first; no list is empty. Bounded by admission, which refuses more tasks than the
        # settings allow.
        self._queues: dict[str, list[Q]] = {}
        self._size = 0
        # Who waits, the next one first, and where each owner stands in it.
        self._order: list[_Place] = []
        self._places: dict[str, _Place] = {}
        # Rises whenever somebody begins to wait or gets a slot: of equal places the lower turn waits longer.
        self._turn = 0
        # The sequence that the weight of an owner who waits was last taken from.
        self._newest: dict[str, int] = {}
        self._jobs: dict[tuple[Q, str], _Job] = {}
        # When each job will have run for longer than it is charged for. Those that ended meanwhile are dropped when
        # they are due, or when they are more than the others.
        self._due: list[tuple[float, int, _Job]] = []
        self._due_count = itertools.count()
        self._slots: dict[str, int] = {}
        self._busy: dict[str, int] = {}
        self._changed = asyncio.Event()

    def set_slots(self, slots: Mapping[str, int]) -> None:
        """Set the slots of each model; one that is not named has none. Running jobs keep theirs."""
        self._slots = dict(slots)
        self._changed.set()

    # The queue

    def add(self, queued: Q) -> None:
        """Put one in the queue."""
        owner = queued.owner
        queue = self._queues.setdefault(owner, [])
        insort(queue, queued, key=_key)
        self._size += 1
        if len(queue) == 1:
            self.shares.begin_waiting(owner)
            self._newest[owner] = queued.sequence
            self._enter(owner)
        if queued.sequence >= self._newest[owner]:
            self._newest[owner] = queued.sequence
            self.shares.set_weight(owner, queued.weight)
        self._changed.set()

    def remove(self, queued: Q) -> bool:
        """Remove one from the queue; return False when it was not there."""
        place = self.place(queued)
        if place is None:
            return False
        self._pop(queued.owner, place)
        return True

    def place(self, queued: Q) -> int | None:
        """Return how many of the same owner go before one, or None when it is not in the queue; by bisection."""
        queue = self._queues.get(queued.owner, [])
        place = bisect_left(queue, _key(queued), key=_key)
        return place if place < len(queue) and queue[place] is queued else None

    def order(self, *, lasting: bool = False) -> Iterator[Q]:
        """Yield all that wait in the predicted order of dispatch: if costs are as estimated and nobody comes.

        Each step costs as much as the logarithm of the steps before it. The queue must not change meanwhile; with
        `lasting` it may, and what waits now is yielded, at the price of copying the lists of the queue first.
        """
        self._charge_overdue()
        order, queues = self._order, self._queues
        weight_of: Callable[[str], float] = self.shares.weight
        if lasting:
            order, queues = list(order), {owner: list(queue) for owner, queue in queues.items()}
            weight_of = {owner: self.shares.weight(owner) for owner in queues}.__getitem__
        # Those who come again after one of theirs was yielded; the others still stand in `_order`.
        again: list[tuple[_Place, int]] = []
        fresh, turn, least = 0, self._turn, self._least()
        while again or fresh < len(order):
            if fresh < len(order) and (not again or order[fresh] < again[0][0]):
                (late, start, _, owner), index = order[fresh], 0
                fresh += 1
                if not late:
                    start = min(start, least)
            else:
                (_, start, _, owner), index = heapq.heappop(again)
            queue = queues[owner]
            yield queue[index]
            if index + 1 < len(queue):
                turn += 1
                start += self._estimate(queue[index]) / weight_of(owner)
                least = min(least, start)
                heapq.heappush(again, ((True, start, turn, owner), index + 1))

    def count(self, owner: str) -> int:
        """Return how many of an owner wait."""
        return len(self._queues.get(owner, ()))

    @property
    def owners(self) -> int:
        """How many owners wait."""
        return len(self._queues)

    def __len__(self) -> int:
        """Return how many wait."""
        return self._size

    def _pop(self, owner: str, place: int) -> Q:
        queue = self._queues[owner]
        queued = queue.pop(place)
        self._size -= 1
        if not queue:
            del self._queues[owner], self._newest[owner]
            self._leave(owner)
            self.shares.stop_waiting(owner)
        return queued

    def _enter(self, owner: str) -> None:
        """Put an owner who waits in the order, behind those with the same start tag."""
        self._turn += 1
        self._place(owner, self._turn)

    def _place(self, owner: str, turn: int) -> None:
        place = self._places[owner] = (*self.shares.place(owner), turn, owner)
        insort(self._order, place)

    def _least(self) -> float:
        """Return the least start tag of those who have not just come."""
        first = bisect_left(self._order, (True,))
        return self._order[first][1] if first < len(self._order) else math.inf

    def _leave(self, owner: str) -> int:
        """Take an owner out of the order; return the turn."""
        place = self._places.pop(owner)
        del self._order[bisect_left(self._order, place)]
        return place[2]

    def _replace(self, owner: str) -> None:
        """Put an owner where the start tag says that it stands now, if it waits."""
        if owner in self._places:
            self._place(owner, self._leave(owner))

    # The slots

    async def next(self) -> tuple[Q, str]:
        """Wait until one can run; return it with the uid of its model, whose slot is now taken.

        Cancelling loses nothing.
        """
        while True:
            self._changed.clear()
            taken = self.take()
            if taken is not None:
                return taken
            await self._changed.wait()

    def take(self) -> tuple[Q, str] | None:
        """Return what runs next with the uid of its model, whose slot is now taken; None if nothing can run now."""
        free = {uid: slots - self.busy(uid) for uid, slots in self._slots.items()}
        uid = max(free, key=lambda uid: free[uid], default=None)
        if not self._order or uid is None or free[uid] <= 0:
            return None
        self._charge_overdue()
        owner = self._order[0][3]
        seconds = self._estimate(self._queues[owner][0])
        service = self.shares.dispatch(owner, seconds, self._least())
        queued = self._pop(owner, 0)
        if owner in self._places:
            self._leave(owner)
            self._enter(owner)
        self._start(queued, uid, service, seconds)
        return queued, uid

    def occupy(self, queued: Q, uid: str) -> None:
        """Take a slot for a job that is at its model already; from now on its owner pays for it."""
        self._start(queued, uid, self.shares.occupy(queued.owner), 0.0)

    def _start(self, queued: Q, uid: str, service: Service, charged: float) -> None:
        self._busy[uid] = self.busy(uid) + 1
        job = _Job(queued.owner, uid, service, self._clock.monotonic(), charged)
        self._jobs[queued, uid] = job
        self._watch(job, job.started + charged / self._share(uid))

    def _watch(self, job: _Job, due: float) -> None:
        heapq.heappush(self._due, (due, next(self._due_count), job))
        if len(self._due) > 2 * len(self._jobs) + 10:
            self._due = [entry for entry in self._due if not entry[2].service.ended]
            heapq.heapify(self._due)

    def release(self, queued: Q, uid: str, cost: float) -> Tags:
        """Give back the slot of a job that is known to have ended upstream, and charge what it cost."""
        self._busy[uid] -= 1
        job = self._jobs.pop((queued, uid))
        finish = self.shares.end(queued.owner, job.service, cost)
        self._replace(queued.owner)
        if self._order:
            self._changed.set()
        return Tags(finish, self.shares.virtual_time)

    def _charge_overdue(self) -> None:
        """Charge each job that runs for longer than was estimated what it took so far, or a little less.

        Else who asks for what takes long, and is not known to, would get one slot after the other.
        """
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            _, _, job = heapq.heappop(self._due)
            if job.service.ended:
                continue
            ran = now - job.started
            job.charged = max(ran * self._share(job.uid), job.charged)
            self.shares.correct(job.owner, job.service, job.charged)
            self._replace(job.owner)
            # Not at every dispatch: as many may be overdue as there are slots.
            self._watch(job, now + max(ran * OVERDUE, OVERDUE))

    @property
    def slots(self) -> int:
        """How many slots there are, free or not."""
        return sum(self._slots.values())

    @property
    def free(self) -> int:
        """How many slots are free; so many of those who are next start in this turn of the loop."""
        return sum(max(slots - self.busy(uid), 0) for uid, slots in self._slots.items())

    @property
    def taken(self) -> int:
        """How many slots are taken, of models that are gone, too."""
        return sum(self._busy.values())

    def busy(self, uid: str) -> int:
        """Return how many slots of a model are taken."""
        return self._busy.get(uid, 0)
