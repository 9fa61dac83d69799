"""When progress is polled, tried on servers whose every step is known."""

from collections.abc import Sequence
from itertools import accumulate
from math import inf, isfinite, log2
from random import Random
from statistics import mean, median
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xinflight.upstream import ProgressEstimator
from xinflight.upstream.progress import LONGEST, SHORTEST, SPAN

VALUE = 2.0
"""Seconds between two values where nothing else is said: enough for a poll in between."""
TRIP = 0.006
"""Seconds that a poll takes."""


class Seen(NamedTuple):
    """What following one request has shown: how late each value was known, and how many polls that took."""

    late: list[float]
    polls: int


def _told(step_seconds: Sequence[float], begins: float = 0.0) -> list[tuple[float, float]]:
    """Return when a server tells which value, as Xinference does: the ones at least SPAN above the last told."""
    steps = len(step_seconds)
    told = [(0.0, 0.0)]
    for done, when in enumerate(accumulate(step_seconds), 1):
        if done / steps - told[-1][1] >= SPAN or done == steps:
            told.append((begins + when, done / steps))
    return told[1:]


def _even(steps: int) -> list[float]:
    """Return the seconds of each step where a value comes every VALUE."""
    return [VALUE * len(_told([1.0] * steps)) / steps] * steps


def _follow(told: list[tuple[float, float]], steps: int | None, expected: float | None, tail: float = 0.0) -> Seen:
    """Poll as planned until 1.0 is known, or the answer is there, `tail` seconds after it."""
    estimator = ProgressEstimator(steps, 0.0, expected, 0.0)
    now, polls = 0.0, 0
    over = told[-1][0] + tail if tail else inf
    late: list[float] = []
    while estimator.decoding_since is None:
        now += estimator.next_poll(now)
        if now > over:
            break
        polls += 1
        come = [(when, value) for when, value in told if when <= now + TRIP / 2]
        now += TRIP
        if estimator.update(come[-1][1] if come else 0.0, now):
            late += [now - when for when, _ in come[len(late) :]]
    return Seen(late + [over - when for when, _ in told[len(late) :]], polls)


def _share(seen: Seen, told: list[tuple[float, float]]) -> float:
    """Return the mean lateness as a part of the time between two values."""
    return mean(seen.late) / (told[-1][0] / len(told))


def _many(steps: int, noise: float, expected: float | None, requests: int = 60) -> Seen:
    """Follow requests of 5 s like those of a busy day: each begins a little later than it was sent."""
    random = Random(steps)
    late: list[float] = []
    polls = 0
    for _ in range(requests):
        seconds = [4.5 / steps * max(random.gauss(1, noise), 0.2) for _ in range(steps)]
        told = _told(seconds, random.uniform(0, 0.5))
        seen = _follow(told, steps, expected and random.gauss(expected, 0.03 * expected), tail=0.2)
        late += seen.late
        polls += seen.polls
    return Seen(late, polls // requests)


@pytest.mark.parametrize("steps", [10, 11])
@pytest.mark.parametrize(("noise", "most"), [(0.0, 0.1), (0.05, 0.115)])
def test_half_of_the_values_are_known_within_100_ms(steps: int, noise: float, most: float) -> None:
    """With no more polls than every half second, where a value comes every 0.4 s: once such images are known."""
    seen = _many(steps, noise, 4.5)
    assert median(seen.late) <= most
    assert seen.polls <= 9


@pytest.mark.parametrize(("steps", "most"), [(20, 0.2), (30, 0.27), (50, 0.25)])
def test_values_that_come_faster_than_polls_may_are_not_chased(steps: int, most: float) -> None:
    """Up to 17 values in 5 s: polls every half second know half of them within half a second over two."""
    seen = _many(steps, 0.05, 4.5)
    assert median(seen.late) <= most
    assert seen.polls <= 10


@pytest.mark.parametrize("steps", [10, 11, 20, 30, 50])
def test_the_first_image_of_a_kind_is_not_polled_more(steps: int) -> None:
    """Nobody knows its rate; it is found with the polls that any other has."""
    seen = _many(steps, 0.05, None)
    assert median(seen.late) <= 0.3
    assert seen.polls <= 11


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("steps", [9, 20, 28, 40, 60, 100])
def test_an_even_rate_is_met(steps: int, known: bool) -> None:
    """Well under two polls per value find it early in its interval, on average."""
    told = _told(_even(steps))
    seen = _follow(told, steps, told[-1][0] if known else None)
    assert seen.polls / len(told) < 1.75
    assert _share(seen, told) < (0.7 if known else 0.85)


@pytest.mark.parametrize("change", [0.6, 1.6])
@pytest.mark.parametrize("steps", [20, 40, 60])
def test_a_rate_that_changes_is_followed(steps: int, change: float) -> None:
    """A third of the way the server becomes faster, or slower."""
    even = _even(steps)
    seconds = [step if number < steps / 3 else step * change for number, step in enumerate(even)]
    told = _told(seconds)
    seen = _follow(told, steps, sum(even))
    assert seen.polls / len(told) < 1.75
    assert _share(seen, told) < 0.9


@pytest.mark.parametrize("waits", [1.0, 30.0, 600.0])
def test_what_waits_upstream_is_asked_for_ever_more_rarely(waits: float) -> None:
    """Ten times the wait is not ten times the polls; its steps are followed afterwards."""
    told = _told(_even(20), waits)
    seen = _follow(told, 20, told[-1][0] - waits)
    assert seen.polls <= 20 + 6 * log2(1 + waits)
    assert mean(seen.late) < max(3 * VALUE, 0.1 * waits)


def test_values_that_floating_point_leaves_out_are_not_polled_for() -> None:
    """Of 20 steps upstream tells 12: 0.15 - 0.1 is a little less than 0.05."""
    told = _told(_even(20))
    assert len(told) == 12
    assert _follow(told, 20, told[-1][0]).polls <= 14


def test_steps_that_are_not_known_are_followed_too() -> None:
    """The model's own number of steps: a value per SPAN is expected."""
    told = _told(_even(50))
    seen = _follow(told, None, None)
    assert seen.polls / len(told) < 2.0
    assert _share(seen, told) < 0.85


ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 600)), max_size=12)


@given(ANSWERS, st.none() | st.integers(1, 200), st.none() | st.floats(0.1, 1e5))
@example([(5e-324, 10.0), (1e-323, 600.0)], None, None)
@example([(0.5, 0.125), (0.0, 4.0)], None, None)
def test_whatever_progress_an_upstream_tells(
    answers: list[tuple[float, float]], steps: int | None, expected: float | None
) -> None:
    """Times to wait and times left are times, also when it moves by less than any step could."""
    estimator = ProgressEstimator(steps, 0.0, expected, 0.0)
    now = 0.0
    for progress, seconds in answers:
        now += seconds
        estimator.update(progress, now)
        assert SHORTEST - 1e-6 <= estimator.next_poll(now) <= LONGEST
        left = estimator.remaining(now)
        assert left is None or (isfinite(left) and left >= 0)
        assert isfinite(estimator.step_seconds(steps))
        assert 0 <= estimator.began_at <= now
