"""Guessing credentials: ten failures of an address, then one every six seconds, whatever the channel."""

import asyncio
import gc
import itertools
from pathlib import Path

import pytest
import structlog

from clients import FakeClock
from xinflight.auth import Authenticator, Credentials, TokenFile, create_authenticator, guesses
from xinflight.errors import AmbiguousCredentials, RateLimited, Unauthorised
from xinflight.rate_limit import RateLimit
from xinflight.settings import Settings

PROXY = "10.0.0.1"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def token(tmp_path: Path) -> str:
    """Give the text of a valid token."""
    return TokenFile(tmp_path).add("ann", now=0.0)[0]


@pytest.fixture
async def opened(tmp_path: Path, token: str, clock: FakeClock) -> Authenticator:
    """Give an authenticator behind a trusted proxy."""
    settings = Settings(auth="tokens", data_dir=str(tmp_path), trusted_proxies=(PROXY,))
    authenticator = create_authenticator(settings, clock)
    await authenticator.open()
    return authenticator


async def checked(authenticator: Authenticator, credentials: Credentials) -> bool:
    """Present invalid credentials; return whether they were checked."""
    try:
        await authenticator.authenticate(credentials)
    except Unauthorised:
        return True
    except RateLimited:
        return False
    raise AssertionError("they were valid")


async def test_ten_thousand_guesses(opened: Authenticator, token: str, clock: FakeClock) -> None:
    """At once ten are checked; in the following hour, 600 more."""
    guess = Credentials(remote="192.0.2.1", bearer=[token[:-1] + "?"])
    assert [await checked(opened, guess) for _ in range(100)] == [True] * 10 + [False] * 90
    count = 0
    for _ in range(10_000):
        clock.now += 0.36
        count += await checked(opened, guess)
    assert count == 600
    # The right one is not checked either: the answer would tell it.
    with pytest.raises(RateLimited) as raised:
        await opened.authenticate(Credentials(remote="192.0.2.1", bearer=[token]))
    assert raised.value.retry_after is not None
    assert 0 < raised.value.retry_after < 6.001
    assert (await opened.authenticate(Credentials(remote="192.0.2.2", bearer=[token]))).identity.id == "ann"
    clock.now += 60
    assert (await opened.authenticate(Credentials(remote="192.0.2.1", bearer=[token]))).identity.id == "ann"


async def test_guesses_at_the_same_time(opened: Authenticator) -> None:
    """None is checked before the failure of another is counted."""
    guess = Credentials(remote="192.0.2.1", bearer=["wrong"])
    assert sum(await asyncio.gather(*(checked(opened, guess) for _ in range(200)))) == 10


async def test_every_channel_counts(opened: Authenticator) -> None:
    channels = itertools.cycle(
        [
            Credentials(remote="192.0.2.1", bearer=["wrong"]),
            Credentials(remote="192.0.2.1", message="wrong"),
            Credentials(remote="192.0.2.1", query=["wrong"]),
            Credentials(remote="192.0.2.1", session="wrong"),
        ]
    )
    assert sum([await checked(opened, next(channels)) for _ in range(100)]) == 10


async def test_valid_tokens_are_not_counted(opened: Authenticator, token: str) -> None:
    valid = Credentials(remote="192.0.2.1", bearer=[token])
    for _ in range(9):
        assert await checked(opened, Credentials(remote="192.0.2.1", bearer=["wrong"]))
    for _ in range(100):
        await opened.authenticate(valid)
    assert await checked(opened, Credentials(remote="192.0.2.1", bearer=["wrong"]))
    with pytest.raises(RateLimited):
        await opened.authenticate(valid)


@pytest.mark.parametrize(
    ("addresses", "together"),
    [
        (["192.0.2.1", "::ffff:192.0.2.1"], True),
        (["192.0.2.1", "192.0.2.2"], False),
        (["2001:db8::1", "2001:db8::ffff:1"], True),
        (["2001:db8::1", "2001:db8:0:1::1"], False),
        (["127.0.0.1", "127.8.9.10"], True),
        (["127.0.0.1", "::1"], True),
        ([None, None], True),
    ],
)
async def test_what_counts_as_an_address(opened: Authenticator, addresses: list[str | None], together: bool) -> None:
    first, second = (Credentials(remote=address, bearer=["wrong"]) for address in addresses)
    assert sum([await checked(opened, first) for _ in range(20)]) == 10
    assert await checked(opened, second) is not together


async def test_behind_a_trusted_proxy_its_clients_count(opened: Authenticator) -> None:
    def from_(remote: str, *forwarded: str) -> Credentials:
        return Credentials(
            remote=remote, bearer=["wrong"], header=lambda name: forwarded if name == "X-Forwarded-For" else ()
        )

    # What the client itself put before it is made up, and changes nothing.
    made_up = (from_(PROXY, f"198.51.100.{number}, 192.0.2.1") for number in range(20))
    assert sum([await checked(opened, each) for each in made_up]) == 10
    assert await checked(opened, from_(PROXY, "192.0.2.2"))
    assert not await checked(opened, from_("192.0.2.1"))
    # From elsewhere the header is worth nothing.
    made_up = (from_("203.0.113.1", f"198.51.100.{number}") for number in range(20))
    assert sum([await checked(opened, each) for each in made_up]) == 10


async def test_memory_and_log_are_bounded(opened: Authenticator, clock: FakeClock) -> None:
    with structlog.testing.capture_logs() as logs:
        for number in range(guesses.MAX_ADDRESSES + 100):
            address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
            assert await checked(opened, Credentials(remote=address.replace("10.", "20.", 1), bearer=["wrong"]))
        assert len(logs) == guesses.LINES
        await clock.advance(60)
    assert len(logs) == guesses.LINES + 1
    assert logs[-1]["count"] == guesses.MAX_ADDRESSES + 100 - guesses.LINES
    counted = [thing for thing in gc.get_objects() if isinstance(thing, RateLimit)]
    assert max(len(limit) for limit in counted) == guesses.MAX_ADDRESSES


async def test_one_line_per_address_and_minute(opened: Authenticator, clock: FakeClock) -> None:
    """The first at once, the others as a count; never a part of what was guessed."""
    with structlog.testing.capture_logs() as logs:
        for _ in range(500):
            await checked(opened, Credentials(remote="192.0.2.1", bearer=["a-wrong-token"]))
        assert [(entry["address"], entry["count"]) for entry in logs] == [("192.0.2.1", 1)]
        await clock.advance(60)
        assert [entry["count"] for entry in logs] == [1, 499]
        await clock.advance(600)
        assert len(logs) == 2
        await checked(opened, Credentials(remote="192.0.2.1", bearer=["a-wrong-token"]))
        await checked(opened, Credentials(remote="192.0.2.1", bearer=["a-wrong-token"]))
        opened.close()
        assert [entry["count"] for entry in logs] == [1, 499, 1, 1]
    assert "a-wrong-token" not in str(logs)
    assert clock.waiting == 0


async def test_two_tokens_at_once(opened: Authenticator, token: str) -> None:
    """A proxy and the server could each believe another one."""
    for credentials in (
        Credentials(bearer=[token, "wrong"]),
        Credentials(bearer=[token], query=["wrong"]),
        Credentials(query=[token, "wrong"]),
    ):
        with pytest.raises(AmbiguousCredentials):
            await opened.authenticate(credentials)
    for credentials in (
        Credentials(bearer=[token, token]),
        Credentials(bearer=[token], query=[token], message="wrong", session="wrong"),
        Credentials(message=token, query=["wrong"], session="wrong"),
        Credentials(query=[token], session="wrong"),
    ):
        assert (await opened.authenticate(credentials)).identity.id == "ann"
