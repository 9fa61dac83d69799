"""Session cookies: what they prove, for how long, and after which changes of the server."""

import asyncio
import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from clients import FakeClock
from xinflight.auth import LIFETIME, Authenticator, Credentials, Session, TokenFile, create_authenticator
from xinflight.errors import RateLimited, StoreUnusable, TokenExpired, Unauthorised
from xinflight.settings import Settings

DAY = 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def opened(
    folder: Path | None, clock: FakeClock, auth: Literal["tokens", "anonymous"] = "tokens"
) -> Authenticator:
    settings = Settings(auth=auth, data_dir=None if folder is None else str(folder))
    authenticator = create_authenticator(settings, clock)
    await authenticator.open()
    return authenticator


async def session_for(authenticator: Authenticator, token: str) -> Session:
    session = authenticator.create_session(await authenticator.authenticate(Credentials(bearer=[token])))
    assert session is not None
    return session


async def test_a_session_proves_what_its_token_does(tmp_path: Path, clock: FakeClock) -> None:
    token, _ = await asyncio.to_thread(
        TokenFile(tmp_path).add, "laptop", now=0.0, owner="安娜", admin=True, weight=3.0
    )
    authenticator = await opened(tmp_path, clock)
    session = await session_for(authenticator, token)
    assert session.expires == clock.time() + LIFETIME
    assert token[-43:] not in session.value
    identity = (await authenticator.authenticate(Credentials(session=session.value))).identity
    assert (identity.id, identity.admin, identity.weight) == ("安娜", True, 3.0)
    assert identity.expires == session.expires
    clock.now += LIFETIME
    with pytest.raises(TokenExpired):
        await authenticator.authenticate(Credentials(session=session.value))


async def test_a_session_ends_with_its_token(tmp_path: Path, clock: FakeClock) -> None:
    token, _ = await asyncio.to_thread(TokenFile(tmp_path).add, "ann", now=0.0, expires=clock.time() + 20 * DAY)
    authenticator = await opened(tmp_path, clock)
    session = await session_for(authenticator, token)
    assert session.expires == clock.time() + 20 * DAY
    clock.now += 19 * DAY
    grant = await authenticator.authenticate(Credentials(session=session.value))
    # There is nothing to be won by a renewal.
    assert (grant.session, grant.identity.expires) == (None, session.expires)
    clock.now += DAY
    with pytest.raises(TokenExpired):
        await authenticator.authenticate(Credentials(session=session.value))


async def test_a_session_is_renewed_when_half_of_it_is_over(tmp_path: Path, clock: FakeClock) -> None:
    token, _ = await asyncio.to_thread(TokenFile(tmp_path).add, "ann", now=0.0, expires=clock.time() + 50 * DAY)
    authenticator = await opened(tmp_path, clock)
    session = await session_for(authenticator, token)
    clock.now += 15 * DAY
    assert (await authenticator.authenticate(Credentials(session=session.value))).session is None
    clock.now += 1
    grant = await authenticator.authenticate(Credentials(session=session.value))
    assert grant.session is not None
    assert grant.session.expires == grant.identity.expires == clock.time() + 30 * DAY
    clock.now += 20 * DAY
    # The first one is over; the second is renewed until its token expires, and not beyond.
    with pytest.raises(TokenExpired):
        await authenticator.authenticate(Credentials(session=session.value))
    last = await authenticator.authenticate(Credentials(session=grant.session.value))
    assert last.session is not None
    assert last.session.expires == pytest.approx(clock.time() + 15 * DAY - 1)


def flipped(value: str, position: int) -> str:
    """Return a value with one character changed."""
    position %= len(value)
    return value[:position] + ("A" if value[position] != "A" else "B") + value[position + 1 :]


def promoted(value: str) -> str:
    """Return a session of an admin with the signature of one who is none."""
    payload, _, signature = value.partition(".")
    fields = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert fields[1] is False
    fields[1] = True
    return f"{base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b'=').decode()}.{signature}"


FORGERIES: dict[str, Callable[[str], str]] = {
    "empty": lambda value: "",
    "a dot": lambda value: ".",
    "longer": lambda value: value + "A",
    "unsigned": lambda value: value.partition(".")[0],
    "an empty signature": lambda value: value.partition(".")[0] + ".",
    "an empty payload": lambda value: "." + value.partition(".")[2],
    "other letters": lambda value: value.swapcase(),
    "another payload": lambda value: flipped(value, 0),
    "another end of the payload": lambda value: flipped(value, -1 - 43),
    "another signature": lambda value: flipped(value, -2),
    "an admin": promoted,
    "5 KB": lambda value: "9" * 5000 + ".y",
    "other digits": lambda value: "\u0661.y",
    "bytes that are no text": lambda value: "s\udce9cret",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_a_forged_session(tmp_path: Path, clock: FakeClock, forge: Callable[[str], str]) -> None:
    """It is refused and counted as a guess; the real one passes all the same."""
    token, _ = await asyncio.to_thread(TokenFile(tmp_path).add, "ann", now=0.0)
    authenticator = await opened(tmp_path, clock)
    session = await session_for(authenticator, token)
    for _ in range(10):
        with pytest.raises(Unauthorised):
            await authenticator.authenticate(Credentials(session=forge(session.value)))
    with pytest.raises(RateLimited):
        await authenticator.authenticate(Credentials(session=forge(session.value)))
    with pytest.raises(RateLimited):
        await authenticator.authenticate(Credentials(bearer=[token]))
    assert (await authenticator.authenticate(Credentials(session=session.value))).identity.id == "ann"


async def test_a_restart_keeps_sessions_and_another_folder_has_its_own(tmp_path: Path, clock: FakeClock) -> None:
    token, _ = await asyncio.to_thread(TokenFile(tmp_path).add, "ann", now=0.0)
    session = await session_for(await opened(tmp_path, clock), token)
    again = await opened(tmp_path, clock)
    assert (await again.authenticate(Credentials(session=session.value))).identity.id == "ann"
    with pytest.raises(Unauthorised):
        await (await opened(tmp_path / "other", clock)).authenticate(Credentials(session=session.value))


async def test_an_anonymous_session_is_none_with_tokens(tmp_path: Path, clock: FakeClock) -> None:
    """A server may begin without a log-in, and get one later; the key of sessions is the same."""
    anonymous = await opened(tmp_path, clock, "anonymous")
    session = (await anonymous.authenticate(Credentials())).session
    assert session is not None
    with pytest.raises(Unauthorised):
        await (await opened(tmp_path, clock)).authenticate(Credentials(session=session.value))


async def test_without_a_folder_the_key_is_lost_with_the_process(clock: FakeClock) -> None:
    first, second = await opened(None, clock, "anonymous"), await opened(None, clock, "anonymous")
    grant = await first.authenticate(Credentials())
    assert grant.session is not None
    assert (await first.authenticate(Credentials(session=grant.session.value))).identity == grant.identity
    assert (await second.authenticate(Credentials(session=grant.session.value))).identity != grant.identity


async def test_the_key_is_kept_for_its_owner_only(tmp_path: Path, clock: FakeClock) -> None:
    await opened(tmp_path / "a" / "b", clock)
    key = tmp_path / "a" / "b" / "session.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert len(bytes.fromhex(key.read_text())) == 32


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"abcd", b"00" * 31, b"00" * 33, b"zz" * 32])
async def test_a_damaged_key_stops_the_start(tmp_path: Path, clock: FakeClock, damage: bytes) -> None:
    """A new one would take from anonymous people all that is theirs, so it is up to the operator."""
    (tmp_path / "session.key").write_bytes(damage)
    with pytest.raises(StoreUnusable, match=r"session\.key.*delete it"):
        await opened(tmp_path, clock)
    assert (tmp_path / "session.key").read_bytes() == damage
