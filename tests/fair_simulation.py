"""A pool whose jobs take as long as a load says, on a clock of its own: what a scheduler gives to whom, and when."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Protocol

from msgspec import Struct

from clients import FakeClock
from xinflight.tasks.fair_shares import FairShares
from xinflight.tasks.scheduler import Scheduler, Tags

MODEL = "m"


class Job(Struct, eq=False, kw_only=True):
    """One output: it takes `seconds`, which the scheduler is told to be `estimate`."""

    owner: str
    sequence: int
    seconds: float
    estimate: float
    weight: float = 1.0
    priority: int = 0
    rank: float = 0.0
    started: float | None = None
    ended: bool = False


class Queue(Protocol):
    """What of a scheduler the simulation needs."""

    def set_slots(self, slots: dict[str, int], /) -> None: ...
    def add(self, queued: Job, /) -> None: ...
    def remove(self, queued: Job, /) -> bool: ...
    def take(self) -> tuple[Job, str] | None: ...
    def release(self, queued: Job, uid: str, seconds: float, /) -> object: ...


MakeQueue = Callable[[FakeClock], Queue]


def fair(clock: FakeClock) -> Scheduler[Job]:
    """Make the scheduler as it is."""
    return Scheduler(clock, lambda job: job.estimate)


class Simulation:
    """Play a load. `work` is the compute seconds that each owner got so far; `watch` is called after every moment."""

    def __init__(self, make: MakeQueue, slots: int) -> None:
        self.clock = FakeClock(0.0)
        self.queue = make(self.clock)
        self.slots = 0
        self.work: defaultdict[str, float] = defaultdict(float)
        self.waiting: defaultdict[str, set[Job]] = defaultdict(set)
        self.running: set[Job] = set()
        self.watch: Callable[[], None] = lambda: None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.set_slots(slots)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Call something at a time, in seconds from the beginning."""
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def add(self, job: Job) -> None:
        """Put a job in the queue, unless it has started or ended."""
        if job.started is None and not job.ended:
            self.queue.add(job)
            self.waiting[job.owner].add(job)

    def withdraw(self, job: Job) -> bool:
        """Take a job out of the queue: it is cancelled or paused. Return whether it was there."""
        found = self.queue.remove(job)
        self.waiting[job.owner].discard(job)
        return found

    def abort(self, job: Job, delay: float) -> None:
        """Cancel a job: one that waits ends at once, one that runs after a delay."""
        if job.started is not None and not job.ended:
            self.at(self.clock.now + delay, partial(self._end, job))
        elif self.withdraw(job):
            job.ended = True

    def set_slots(self, slots: int) -> None:
        """Change the number of slots; what runs goes on."""
        self.slots = slots
        self.queue.set_slots({MODEL: slots})

    def run(self, until: float = float("inf")) -> None:
        """Play all events up to a time."""
        while self._events and self._events[0][0] <= until:
            when, _, action = heapq.heappop(self._events)
            self._pass(when)
            action()
            # All that happens at once, before anybody looks.
            if not self._events or self._events[0][0] > when:
                self._dispatch()
                self.watch()
        if until < float("inf"):
            self._pass(until)

    def _pass(self, now: float) -> None:
        """Let what runs go on until a time, and look at that moment as it is before anything changes."""
        if now > self.clock.now:
            for job in self.running:
                self.work[job.owner] += now - self.clock.now
            self.clock.now = now
            self.watch()

    def _dispatch(self) -> None:
        while (taken := self.queue.take()) is not None:
            job, _ = taken
            job.started = self.clock.now
            self.waiting[job.owner].discard(job)
            self.running.add(job)
            self.at(self.clock.now + job.seconds, partial(self._end, job))
        assert len(self.running) >= self.slots or not any(self.waiting.values()), "a slot stays free"

    def _end(self, job: Job) -> None:
        if not job.ended:
            assert job.started is not None
            job.ended = True
            self.running.discard(job)
            self.queue.release(job, MODEL, self.clock.now - job.started)


class Spread:
    """How far apart two owners get while both have work waiting: in compute seconds over weight."""

    def __init__(self, simulation: Simulation, weights: dict[str, float]) -> None:
        self._simulation = simulation
        self._weights = weights
        self._open: dict[tuple[str, str], tuple[float, float]] = {}
        self.greatest: defaultdict[tuple[str, str], float] = defaultdict(float)
        """For each pair, the greatest difference over any interval."""

    def look(self) -> None:
        """Look at a moment. Between two of them, differences change evenly, so these are the extremes."""
        work, waiting = self._simulation.work, self._simulation.waiting
        for pair in itertools.combinations(self._weights, 2):
            one, other = pair
            if not (waiting[one] and waiting[other]):
                self._open.pop(pair, None)
                continue
            ahead = work[one] / self._weights[one] - work[other] / self._weights[other]
            least, most = self._open.get(pair, (ahead, ahead))
            self._open[pair] = least, most = min(least, ahead), max(most, ahead)
            self.greatest[pair] = max(self.greatest[pair], most - least)


# Schedulers that are not fair: a test that they pass shows nothing


class Fifo:
    """First come, first served."""

    def __init__(self, _: FakeClock) -> None:
        self._queue: list[Job] = []
        self._slots = self._busy = 0

    def set_slots(self, slots: dict[str, int], /) -> None:
        self._slots = slots[MODEL]

    def add(self, queued: Job, /) -> None:
        self._queue.append(queued)

    def remove(self, queued: Job, /) -> bool:
        if queued not in self._queue:
            return False
        self._queue.remove(queued)
        return True

    def take(self) -> tuple[Job, str] | None:
        if not self._queue or self._busy >= self._slots:
            return None
        self._busy += 1
        return self._queue.pop(0), MODEL

    def release(self, _job: Job, _uid: str, _seconds: float, /) -> None:
        self._busy -= 1


class Uncorrected(Scheduler[Job]):
    """Charges what was estimated, whatever it took."""

    def __init__(self, clock: FakeClock, estimate: Callable[[Job], float] = lambda job: job.estimate) -> None:
        super().__init__(clock, estimate)

    def release(self, queued: Job, uid: str, seconds: float) -> Tags:
        return super().release(queued, uid, self._estimate(queued))

    def _charge_overdue(self) -> None:
        pass


class _NoWeights(FairShares):
    def set_weight(self, owner: str, weight: float) -> None:
        super().set_weight(owner, 1.0)


class _NoVirtualTime(FairShares):
    def begin_waiting(self, owner: str) -> None:
        super().begin_waiting(owner)
        self._accounts[owner].floor = 0.0


def unweighted(clock: FakeClock) -> Scheduler[Job]:
    """Make a scheduler that gives everybody the same."""
    scheduler = fair(clock)
    scheduler.shares = _NoWeights()
    return scheduler


def saving_up(clock: FakeClock) -> Scheduler[Job]:
    """Make a scheduler in which the idle save up."""
    scheduler = fair(clock)
    scheduler.shares = _NoVirtualTime()
    return scheduler


def taking_turns(clock: FakeClock) -> Scheduler[Job]:
    """Make a scheduler that counts outputs, not seconds."""
    return Uncorrected(clock, lambda _: 1.0)
