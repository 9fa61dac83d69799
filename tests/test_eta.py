"""How long an image takes: told from our own clock and from images like it."""

import pytest

from xinflight.upstream import DurationHistory, DurationKey, ProgressEstimator
from xinflight.upstream.progress import MAX_KEYS

KEY = DurationKey("m", "text2image", "64x64", 10)


def step(estimator: ProgressEstimator, value: float, when: float) -> None:
    """Let a value arrive at a time: a poll just before does not see it, one just after does."""
    estimator.update(estimator.progress, when - 0.05)
    estimator.update(value, when + 0.05)


def test_the_remaining_time_at_an_even_rate() -> None:
    """What is left falls with the clock, and the time after the last step is part of it."""
    estimator = ProgressEstimator(10, 0.0, None, 0.5)
    assert estimator.remaining(0.0) is None
    for done in range(1, 10):
        step(estimator, done / 10, float(done))
    assert estimator.remaining(9.0) == pytest.approx(1.0 + 0.5, abs=0.15)
    assert estimator.remaining(9.5) == pytest.approx(0.5 + 0.5, abs=0.15)
    # Late ones are not told a negative time.
    assert estimator.remaining(60.0) == 0.5
    estimator.update(1.0, 10.0)
    assert estimator.remaining(10.2) == pytest.approx(0.3, abs=0.1)
    assert estimator.remaining(20.0) == 0.0


def test_what_waited_upstream_does_not_count() -> None:
    """The steps began with the first value, however long the request had been sent by then."""
    estimator = ProgressEstimator(10, 0.0, None, 0.0)
    estimator.update(0.0, 50.0)
    for done in range(1, 6):
        step(estimator, done / 10, 100.0 + done)
    assert estimator.remaining(105.0) == pytest.approx(5.0, abs=0.2)
    assert estimator.began_at == pytest.approx(100.0, abs=0.7)


def test_images_like_it_are_known_beforehand() -> None:
    """With a history the time is told before the first step."""
    estimator = ProgressEstimator(10, 0.0, 12.0, 2.0)
    assert estimator.remaining(0.0) == pytest.approx(12.0, abs=0.5)
    assert estimator.step_seconds(10) == pytest.approx(1.0)
    assert ProgressEstimator(10, 0.0, None, 0.0).step_seconds(10) == 0.0
    assert ProgressEstimator(None, 0.0, 12.0, 2.0).step_seconds(None) == 0.0


def test_how_long_the_end_takes_is_not_made_up() -> None:
    """A video is decoded for minutes; before the first one nobody knows how many."""
    estimator = ProgressEstimator(10, 0.0, None, None)
    for done in range(1, 11):
        step(estimator, done / 10, float(done))
    assert estimator.decoding_since is not None
    assert estimator.remaining(11.0) is None


def test_what_is_hardly_polled_counts_down() -> None:
    """The time left follows from the clock, and from the few polls that there are."""
    estimator = ProgressEstimator(10, 0.0, 60.0, 10.0)
    assert estimator.remaining(40.0) == pytest.approx(20.0, abs=3.0)
    assert estimator.remaining(600.0) == 10.0
    estimator = ProgressEstimator(10, 0.0, 60.0, 10.0)
    # It waited in Xinference's own queue.
    estimator.update(0.0, 40.0)
    assert 45.0 < (estimator.remaining(40.0) or 0.0) < 90.0
    estimator.update(0.5, 60.0)
    assert estimator.remaining(60.0) == pytest.approx(35.0, abs=5.0)


def test_one_late_value_is_not_taken_for_another_rate() -> None:
    """Of one that is hardly polled nobody knows when its value came: what is late is spread over all of its way."""
    estimator = ProgressEstimator(12, 0.0, 7.5, 0.5)
    estimator.update(7 / 12, 5.5)
    assert estimator.remaining(5.5) == pytest.approx(4.0, abs=1.0)


def test_the_end_is_learned_only_where_it_was_seen() -> None:
    """With a poll a minute nobody knows when the last step was over, and how long the rest took."""
    estimator = ProgressEstimator(10, 0.0, 10.0, 0.0)
    assert estimator.tail(12.0) is None
    for done in range(1, 11):
        step(estimator, done / 10, float(done))
    assert estimator.tail(12.0) == pytest.approx(2.0, abs=0.3)
    rarely = ProgressEstimator(10, 0.0, None, None)
    rarely.update(0.1, 30.0)
    rarely.update(1.0, 90.0)
    assert rarely.tail(100.0) is None


def test_progress_does_not_go_back() -> None:
    """A lower value, as an older answer may bring, is no news."""
    estimator = ProgressEstimator(10, 0.0, None, 0.0)
    assert estimator.update(0.5, 1.0)
    assert not estimator.update(0.4, 2.0)
    assert not estimator.update(0.5, 3.0)
    assert estimator.progress == 0.5
    assert estimator.decoding_since is None


def test_polls_are_neither_a_storm_nor_forgotten() -> None:
    """Whatever was seen, the next poll comes within bounds."""
    for expected in (None, 0.001, 3600.0):
        estimator = ProgressEstimator(20, 0.0, expected, 0.0)
        now = 0.0
        for _ in range(200):
            wait = estimator.next_poll(now)
            assert 0.3 - 1e-6 <= wait <= 60.0
            now += wait
            estimator.update(0.0, now)


def test_the_history_follows_a_change() -> None:
    """Within a few images a new rate is known; one outlier is not taken for it."""
    history = DurationHistory()
    assert history.total(KEY) is None
    assert history.tail(KEY) is None
    history.learn(KEY, 10.0, None)
    assert (history.total(KEY), history.tail(KEY)) == (10.0, None)
    history.learn(KEY, 10.0, 1.0)
    assert (history.total(KEY), history.tail(KEY)) == (10.0, 1.0)
    history.learn(KEY, 20.0, 1.0)
    assert history.total(KEY) == pytest.approx(13.0)
    for _ in range(8):
        history.learn(KEY, 20.0, 1.0)
    assert history.total(KEY) == pytest.approx(20.0, abs=0.5)
    assert history.total(DurationKey("m", "text2image", "128x64", 10)) is None


def test_the_history_forgets_what_is_not_used() -> None:
    """It holds a fixed number of kinds; those that come again stay."""
    history = DurationHistory()
    history.learn(KEY, 10.0, 1.0)
    for steps in range(1000, 1000 + MAX_KEYS):
        history.learn(DurationKey("m", "text2image", "64x64", steps), 1.0, 0.0)
        history.learn(KEY, 10.0, 1.0)
    assert history.total(KEY) == 10.0
    assert history.total(DurationKey("m", "text2image", "64x64", 1000)) is None
    assert history.total(DurationKey("m", "text2image", "64x64", 1000 + MAX_KEYS - 1)) == 1.0
