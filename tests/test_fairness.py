"""The bound of start-time fair queueing, held over random loads, and by schedulers that are not fair missed.

Let owner f with weight w have outputs that take at most L seconds; a = L/w, and b the same for owner m. D slots. Let
e be the greatest of all estimates over weights. Over any time in which f and m both have work waiting, the compute
seconds that they get, over their weights, differ by at most

    a + b + (D - 1) * (max(a, e) + max(b, e) + max(a, b)).

With one slot that is a + b: theorem 1 of Goyal, Vin and Cheng (SIGCOMM 1996), whatever is estimated. Proof. Let C_f
be f's start tag S_f if each output in a slot were charged only what it has used so far. What is charged is at least
that, and more by at most the estimates of what f has in slots: C_f <= S_f <= C_f + (f's slots) * e.

1. f is dispatched only while S_f <= S_m. So C_f - C_m <= (m's slots) * e then. Until the next dispatch of f, C_f
   grows by at most what is left of f's outputs in slots: the one dispatched now, and others. Both share D slots, so
   C_f - C_m <= a + (D - 1) * max(a, e) at any time.
2. The same holds with f and m exchanged: C_m - C_f <= b + (D - 1) * max(b, e). If m was last dispatched before f
   began to wait: S_f is no less than the virtual time, which is at least m's start tag then; or, where f has just
   come, than the tag of somebody else who waits, of which 1. holds in place of f.
3. C_f grows as fast as f computes, but for outputs that were in slots before f began to wait: while the tag that
   follows from them is below the virtual time, they cost nothing. The latest dispatch is not one of them, so that is
   (D - 1) * a at most for f, and (D - 1) * b for m.

Over an interval, the work over weight of f less that of m is the change of C_f - C_m, at most the sum of 1. and 2.,
and 3. Where estimates are right and nothing is cancelled, that of SFQ(D) holds as well: (D + 1) * (a + b) (Jin, Chase
and Kaur, SIGMETRICS 2004, theorem 1), which is less for many slots.
"""

import itertools
import random
from functools import partial

import pytest

from fair_simulation import (
    Fifo,
    Job,
    MakeQueue,
    Simulation,
    Spread,
    Uncorrected,
    fair,
    saving_up,
    taking_turns,
    unweighted,
)

ROUNDING = 1e-6


class Load:
    """A random load of some owners on some slots; the same seed is the same load."""

    def __init__(self, seed: int, slots: int, *, exact: bool = False) -> None:
        self.dice = random.Random(f"{seed} {slots} {exact}")
        self.slots = slots
        self.exact = exact
        self.weights = {
            f"owner-{number}": self.dice.choice([0.1, 0.5, 1.0, 1.0, 2.0, 10.0])
            for number in range(self.dice.randint(2, 6))
        }
        self.jobs: list[Job] = []

    def play(self, make: MakeQueue) -> Spread:
        """Play it on a scheduler; return how far apart the owners got."""
        simulation = Simulation(make, self.slots)
        spread = Spread(simulation, self.weights)
        simulation.watch = spread.look
        for owner in self.weights:
            self._arrive(simulation, owner)
        # Somebody who wants more than the others together, and is there all the time.
        scale = self.dice.uniform(1.0, 5.0)
        for _ in range(60 * self.slots):
            self._add(simulation, "owner-0", scale, 1.0, 0.0)
        if not self.exact:
            self._disturb(simulation)
        simulation.run()
        assert all(job.ended for job in self.jobs)
        return spread

    def _arrive(self, simulation: Simulation, owner: str) -> None:
        """Let an owner come with bursts of jobs, at once or with pauses."""
        dice = self.dice
        scale = 10 ** dice.uniform(-0.5, 1.0)
        wrong = dice.choice([0.1, 1.0, 10.0, None])
        now = dice.choice([0.0, 0.0, dice.uniform(0.0, 200.0)])
        for _ in range(dice.randint(1, 6)):
            for _ in range(dice.choice([1, 5, 40])):
                self._add(simulation, owner, scale, wrong or 10 ** dice.uniform(-1.0, 1.0), now)
            now += dice.choice([0.0, scale, 30 * scale * dice.random()])

    def _add(self, simulation: Simulation, owner: str, scale: float, wrong: float, now: float) -> None:
        seconds = scale * self.dice.uniform(0.2, 1.0)
        job = Job(
            owner=owner,
            sequence=len(self.jobs),
            seconds=seconds,
            estimate=seconds * (1.0 if self.exact else wrong),
            weight=self.weights[owner],
            priority=self.dice.choice([0, 0, 5, 100]),
        )
        self.jobs.append(job)
        simulation.at(now, partial(simulation.add, job))

    def _disturb(self, simulation: Simulation) -> None:
        """Cancel some, pause some for a while, and take slots away for a while."""
        dice = self.dice
        for job in dice.sample(self.jobs, len(self.jobs) // 4):
            simulation.at(dice.uniform(0.0, 300.0), partial(simulation.abort, job, dice.random()))
        for owner in self.weights:
            simulation.at(dice.uniform(0.0, 200.0), partial(self._pause, simulation, owner))
        for when in (dice.uniform(0.0, 100.0), dice.uniform(100.0, 200.0)):
            fewer = dice.randint(0, self.slots - 1)
            simulation.at(when, partial(simulation.set_slots, fewer))
            simulation.at(when + 50.0, partial(simulation.set_slots, self.slots))

    def _pause(self, simulation: Simulation, owner: str) -> None:
        """Take all that an owner has waiting out of the queue, for a while."""
        for job in list(simulation.waiting[owner]):
            simulation.withdraw(job)
            simulation.at(simulation.clock.now + 20.0, partial(simulation.add, job))

    def excess(self, spread: Spread) -> float:
        """Return by how much some pair got further apart than the bound; not above 0 where all is well."""
        return max(spread.greatest[pair] - self.bound(*pair) for pair in itertools.combinations(self.weights, 2))

    def bound(self, one: str, other: str) -> float:
        """Return what the module's docstring says."""
        a, b = self._longest(one), self._longest(other)
        if self.exact and self.slots > 1:
            return (self.slots + 1) * (a + b)
        e = max(job.estimate / job.weight for job in self.jobs)
        return a + b + (self.slots - 1) * (max(a, e) + max(b, e) + max(a, b))

    def _longest(self, owner: str) -> float:
        return max(job.seconds / job.weight for job in self.jobs if job.owner == owner)


@pytest.mark.parametrize(
    "loads", [range(8), pytest.param(range(8, 200), marks=pytest.mark.slow)], ids=["few", "many"]
)
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("slots", range(1, 9))
def test_no_owner_gets_further_ahead_than_the_bound(slots: int, exact: bool, loads: range) -> None:
    for seed in loads:
        load = Load(seed, slots, exact=exact)
        assert load.excess(load.play(fair)) < ROUNDING, f"load {seed}"


@pytest.mark.parametrize(
    ("make", "slots"),
    [
        *((make, 1) for make in (Fifo, Uncorrected, unweighted, saving_up, taking_turns)),
        # The more slots and the worse the estimates, the less the bound tells.
        *((make, 4) for make in (Fifo, Uncorrected, unweighted)),
    ],
)
def test_the_bound_tells_an_unfair_scheduler(make: MakeQueue, slots: int) -> None:
    """Each of them lets somebody get further ahead in some of the loads that the fair one plays."""
    loads = [Load(seed, slots) for seed in range(8)]
    excesses = [load.excess(load.play(make)) for load in loads]
    assert max(excesses) > ROUNDING
