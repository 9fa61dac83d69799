"""How many generations at once one core can serve, before what it adds to their time exceeds a limit.

A ladder: first in steps of two from `FIRST` up to the first number that fails, then on new processes with `BETWEEN`
times the last that passed.
"""

from msgspec import Struct

from bench.contenders import ROOT, Contender, environ, staged
from bench.load import Load, Measured
from bench.options import Options
from bench.processes import cores, driven

__all__ = ["FIRST", "LIMIT", "TOP", "Capacity", "measure"]

LIMIT = 0.05
"""Seconds that may be added at p99."""
FIRST, TOP = 250, 4000
BETWEEN, BETWEEN_QUICK = (1.19, 1.41, 1.68), (1.26, 1.59)
LOAD_LIMIT = 0.9
"""The share of a core above which the load itself may be what failed."""
LEAST = 3.0
"""Seconds of a step at least, so that generations end within it on a busy machine, too."""


class Capacity(Struct, kw_only=True):
    """The most clients that passed, the least that failed (None: the ladder ended), and the figures of each step."""

    passes: int
    fails: int | None
    steps: list[Measured]

    @property
    def at_pass(self) -> Measured | None:
        """The figures of the last measurement of what passed; None if nothing did."""
        return next((step for step in reversed(self.steps) if step.clients == self.passes), None)

    @property
    def limited_by_load(self) -> bool:
        """Whether driver and upstream were about to fill their core where it failed, so that it might pass."""
        return any(
            step.clients == self.fails and step.driver_cpu + step.upstream_cpu > LOAD_LIMIT for step in self.steps
        )


def measure(contender: Contender, options: Options) -> Capacity:
    """Climb the ladder once. Errors as `cost.measure`."""
    coarse = [FIRST]
    while coarse[-1] * 2 <= TOP:
        coarse.append(coarse[-1] * 2)
    seconds = max(options.generation * (0.6 if options.quick else 1.0), LEAST)
    steps = _climb(contender, coarse, options, seconds=seconds)
    passes, fails = _boundary(steps, 0, None)
    if passes and fails is not None:
        fine = [round(passes * factor / 10) * 10 for factor in (BETWEEN_QUICK if options.quick else BETWEEN)]
        steps += _climb(contender, fine, options, seconds=2 * seconds)
        passes, fails = _boundary(steps[len(steps) - len(fine) :], passes, fails)
    return Capacity(passes=passes, fails=fails, steps=steps)


def _boundary(steps: list[Measured], passes: int, fails: int | None) -> tuple[int, int | None]:
    """Return the most clients that passed before any failed, and the least that failed."""
    for step in steps:
        if step.added_p99 > LIMIT:
            return passes, step.clients
        passes = max(passes, step.clients)
    return passes, fails


def _climb(contender: Contender, clients: list[int], options: Options, *, seconds: float) -> list[Measured]:
    with staged(contender, slots=clients[-1], generation=options.generation) as stage:
        load = Load(stage=stage, clients=clients, seconds=seconds, warm_up=0.6, settle=0.4, limit=LIMIT)
        return driven("bench.load", load, list[Measured], core=cores()[1], environ=environ(ROOT / "tests"))
