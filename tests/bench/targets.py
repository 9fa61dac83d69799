"""What the figures are to reach, and how what was measured compares with it."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from bench.contenders import BARE, EQUAL, SPEED_EQUAL, XINFLIGHT, XINFLIGHT_SPEED
from bench.results import Results, ms

__all__ = ["Target", "targets"]


class Target(Struct, frozen=True, kw_only=True):
    """One figure to reach: at most `bounds`, or at least if `more` is better."""

    figure: str
    unit: str
    form: str
    bounds: tuple[float, float]
    """Without and with the extra `speed`."""
    values: tuple[float | None, float | None]
    """What was measured of them; None for what was not."""
    more: bool = False

    @property
    def goal(self) -> str:
        """What is to be reached, in words."""
        sign = "at least" if self.more else "at most"
        plain, speed = (f"{bound:g}{self.unit}" for bound in self.bounds)
        return f"{sign} {plain}" if plain == speed else f"{sign} {plain}, with `speed` {speed}"

    def met(self, place: int) -> bool | None:
        """Whether the figure is reached without (0) or with (1) `speed`, to the digits shown; None if unknown."""
        value = self.values[place]
        if value is None:
            return None
        shown, bound = float(format(value, self.form)), self.bounds[place]
        return shown >= bound if self.more else shown <= bound


Figures = Mapping[str, Sequence[Any]]
Figure = Callable[[Any], float | None]


def targets(results: Results) -> list[Target]:
    """Return the targets of the scenarios that were measured, with the medians of the rounds."""
    plain, equal = (XINFLIGHT.name, XINFLIGHT_SPEED.name), (EQUAL.name, SPEED_EQUAL.name)
    every = [
        Target(
            figure="CPU per generation at equal polls, to the bare handler's",
            unit="x",
            form=".2f",
            bounds=(1.0, 0.6),
            values=_ratios(results.cost, equal, lambda one: one.cpu),
        ),
        Target(
            figure="the same at the default poll budget",
            unit="x",
            form=".2f",
            bounds=(0.5, 0.5),
            values=_ratios(results.cost, plain, lambda one: one.cpu),
        ),
        Target(
            figure="generations of 5 s at once on one core, to the bare handler's",
            unit="x",
            form=".2f",
            bounds=(1.7, 1.7),
            values=_ratios(results.capacity, plain, lambda one: one.passes),
            more=True,
        ),
        Target(
            figure="progress latency p50 at equal polls",
            unit=" ms",
            form=".0f",
            bounds=(100, 100),
            values=_medians(results.cost, equal, lambda one: ms(one.progress_p50)),
        ),
        Target(
            figure="polls per generation for it (a grid of 0.5 s has 9)",
            unit="",
            form=".1f",
            bounds=(9, 9),
            values=_medians(results.cost, equal, lambda one: one.polls),
        ),
        Target(
            figure="cancel p50, from the client to the upstream",
            unit=" ms",
            form=".1f",
            bounds=(1.0, 1.0),
            values=_medians(results.cancel, plain, lambda one: 1000 * one.upstream_p50),
        ),
        Target(
            figure="2,000 dropped clients back and resumed, to the bare handshakes",
            unit="x",
            form=".2f",
            bounds=(2.0, 2.0),
            values=_ratios(results.storm, plain, lambda one: one.everybody),
        ),
        Target(
            figure="memory per idle connection at 5,000",
            unit=" KB",
            form=".1f",
            bounds=(20, 20),
            values=_medians(results.idle, plain, lambda one: one.bytes / 1000),
        ),
        Target(
            figure="CPU per MB for the delivery of an image of 4 MB",
            unit=" ms",
            form=".2f",
            bounds=(0.35, 0.35),
            values=_medians(results.delivery, plain, lambda one: ms(one.fetch)),
        ),
        Target(
            figure="longest stall of the event loop meanwhile",
            unit=" ms",
            form=".1f",
            bounds=(8, 8),
            values=_medians(results.delivery, plain, lambda one: 1000 * one.stall),
        ),
        Target(
            figure="CPU per generation with 2,000 at once, to that with 100",
            unit="x",
            form=".2f",
            bounds=(1.0, 1.0),
            values=_medians(results.growth, plain, lambda one: one.factor),
        ),
    ]
    return [target for target in every if target.values != (None, None)]


def _medians(figures: Figures, names: tuple[str, str], figure: Figure) -> tuple[float | None, float | None]:
    plain, speed = (_median([figure(one) for one in figures.get(name, ())]) for name in names)
    return plain, speed


def _ratios(figures: Figures, names: tuple[str, str], figure: Figure) -> tuple[float | None, float | None]:
    """Return the medians of the ratios within each round."""
    bare = [figure(one) for one in figures.get(BARE.name, ())]
    plain, speed = (
        _median(
            [value / peer if value is not None and peer else None for value, peer in zip(own, bare, strict=False)]
        )
        for own in ([figure(one) for one in figures.get(name, ())] for name in names)
    )
    return plain, speed


def _median(values: Sequence[float | None]) -> float | None:
    seen = [value for value in values if value is not None]
    return statistics.median(seen) if seen else None
