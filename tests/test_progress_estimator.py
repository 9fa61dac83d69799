"""When progress is polled, tried on servers whose every step is known."""

from itertools import accumulate
from math import isfinite
from statistics import mean

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xinflight.upstream import ProgressEstimator
from xinflight.upstream.progress import LONGEST, SHORTEST, SPAN

STEP = 0.2


def _told(step_seconds: list[float]) -> list[tuple[float, float]]:
    """Return when a server tells which value, as Xinference does: the ones at least SPAN above the last told."""
    steps = len(step_seconds)
    told = [(0.0, 0.0)]
    for done, when in enumerate(accumulate(step_seconds), 1):
        if done / steps - told[-1][1] >= SPAN or done == steps:
            told.append((when, done / steps))
    return told[1:]


def _follow(told: list[tuple[float, float]], steps: int | None, expected: float | None) -> tuple[float, float]:
    """Poll as planned; return the polls per value, and the mean lateness as a share of a value's interval."""
    estimator = ProgressEstimator(steps, 0.0, expected, 0.0)
    now = 0.0
    polls = 0
    late = []
    while estimator.decoding_since is None:
        now += estimator.next_poll(now)
        polls += 1
        when, value = max([(0.0, 0.0), *((w, v) for w, v in told if w <= now)])
        if estimator.update(value, now):
            late.append(now - when)
    return polls / len(told), mean(late) / (told[-1][0] / len(told))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("steps", [9, 20, 28, 40, 60, 100])
def test_an_even_rate_is_met(steps: int, known: bool) -> None:
    """Well under two polls per value find it within two fifths of its interval, on average."""
    polls, lateness = _follow(_told([STEP] * steps), steps, STEP * steps if known else None)
    assert polls < 1.75
    assert lateness < 0.4


@pytest.mark.parametrize("change", [0.6, 1.6])
@pytest.mark.parametrize("steps", [20, 40, 60])
def test_a_rate_that_changes_is_followed(steps: int, change: float) -> None:
    """A third of the way the server becomes faster, or slower."""
    seconds = [STEP if step < steps / 3 else STEP * change for step in range(steps)]
    polls, lateness = _follow(_told(seconds), steps, STEP * steps)
    assert polls < 2.5
    assert lateness < 0.5


def test_values_that_floating_point_leaves_out_are_not_polled_for() -> None:
    """Of 20 steps upstream tells 12: 0.15 - 0.1 is a little less than 0.05."""
    told = _told([STEP] * 20)
    assert len(told) == 12
    assert _follow(told, 20, 4.0)[0] < 1.75


def test_steps_that_are_not_known_are_followed_too() -> None:
    """The model's own number of steps: a value per SPAN is expected."""
    polls, lateness = _follow(_told([STEP] * 50), None, None)
    assert polls < 3.5
    assert lateness < 0.5


ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.floats(0.001, 600)), max_size=12)


@given(ANSWERS, st.none() | st.integers(1, 200), st.none() | st.floats(0.1, 1e5))
@example([(5e-324, 10.0), (1e-323, 600.0)], None, None)
def test_whatever_progress_an_upstream_tells(
    answers: list[tuple[float, float]], steps: int | None, expected: float | None
) -> None:
    """Times to wait and times left are times, also when it moves by less than any step could."""
    estimator = ProgressEstimator(steps, 0.0, expected, 0.0)
    now = 0.0
    for progress, seconds in answers:
        now += seconds
        estimator.update(progress, now)
        assert SHORTEST <= estimator.next_poll(now) <= LONGEST
        left = estimator.remaining(now)
        assert left is None or (isfinite(left) and left >= 0)
        assert isfinite(estimator.step_seconds(steps))
        assert 0 <= estimator.began_at <= now
