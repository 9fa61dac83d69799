"""The rate limit on its own: what it allows in any stretch of time, and that its memory is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from xinflight.rate_limit import PERIOD, Quota, RateLimit


def allowed(quota: Quota) -> bool:
    return quota.retry_after == 0


def test_a_minutes_requests_at_once_then_evenly() -> None:
    limit = RateLimit(60)
    assert [limit.use("a", 0.0).remaining for _ in range(60)] == list(range(59, -1, -1))
    refused = limit.use("a", 0.0)
    assert (refused.remaining, refused.retry_after, refused.window) == (0, 1.0, 1.0)
    assert not allowed(limit.use("a", 0.9))
    assert allowed(limit.use("a", 1.0))
    assert not allowed(limit.use("a", 1.5))
    assert limit.use("a", 1.0 + PERIOD) == Quota(60, 59, 1.0)


def test_retry_after_is_the_moment_of_the_next_request() -> None:
    limit = RateLimit(7)
    while allowed(refused := limit.use("a", 3.0)):
        pass
    assert not allowed(limit.use("a", 3.0 + refused.retry_after - 0.01))
    assert allowed(limit.use("a", 3.0 + refused.retry_after))


@given(st.integers(1, 100), st.lists(st.floats(0, 2), max_size=150))
def test_within_its_window_a_client_can_use_what_is_left_and_no_more(most: int, pauses: list[float]) -> None:
    """The draft's effective window; it must not end after Retry-After, or clients that obey wait for nothing."""
    limit = RateLimit(most)
    now = 0.0
    for pause in pauses:
        limit.use("a", now)
        now += pause
    quota = limit.use("a", now)
    assert 0 < quota.window <= PERIOD / most + 1e-6
    before_its_end = now + quota.window * 0.99
    assert sum(allowed(limit.use("a", before_its_end)) for _ in range(most + 1)) == quota.remaining
    assert allowed(limit.use("a", now + quota.window + 1e-6))


def test_keys_are_apart() -> None:
    limit = RateLimit(1)
    assert [allowed(limit.use(key, 0.0)) for key in ("a", "b", "a", "b", "c")] == [True, True, False, False, True]


@given(st.integers(1, 50), st.lists(st.floats(0, 30), max_size=200))
def test_no_minute_has_more_than_twice_the_limit_and_no_hour_much_more_than_the_rate(
    most: int, pauses: list[float]
) -> None:
    """In any stretch of time at most a burst and the rate times its length; a refused request costs nothing."""
    limit = RateLimit(most)
    now, passed = 0.0, []
    for pause in pauses:
        now += pause
        if allowed(limit.use("a", now)):
            passed.append(now)
    for index, start in enumerate(passed):
        for count, end in enumerate(passed[index:], 1):
            assert count <= most + (end - start) * most / PERIOD + 1e-3


def test_idle_keys_are_forgotten() -> None:
    """A key that has its whole quota again is as good as none: what is remembered are those of the last minute."""
    limit = RateLimit(100)
    for number in range(10_000):
        limit.use(f"k{number}", number * 0.1)
    assert len(limit) <= 100
    limit.use("last", 10_000.0)
    limit.use("last", 10_000.0)
    for _ in range(100):
        limit.use("last", 10_000.0)
    assert len(limit) == 1


def test_the_number_of_keys_is_bounded() -> None:
    """Whoever has more addresses than that gets quotas anew, but no memory; who comes then is counted."""
    limit = RateLimit(1, keys=50)
    for number in range(1000):
        limit.use(f"k{number}", 0.0)
        assert len(limit) <= 50
    assert not allowed(limit.use("k999", 0.0))
