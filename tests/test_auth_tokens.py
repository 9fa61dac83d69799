"""The file of tokens: what is stored, who may change it at the same time, and when a running server notices."""

import asyncio
import hashlib
import json
import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from filelock import FileLock

from clients import FakeClock, eventually
from xinflight.auth import Authenticator, Credentials, Grant, TokenExists, TokenFile, create_authenticator, token_file
from xinflight.errors import StoreUnusable, TokenExpired, Unauthorised
from xinflight.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def opened(tmp_path: Path, clock: FakeClock) -> Authenticator:
    """Give an authenticator that has read the folder before it had a token."""
    authenticator = create_authenticator(Settings(auth="tokens", data_dir=str(tmp_path)), clock)
    await authenticator.open()
    return authenticator


async def present(authenticator: Authenticator, token: str) -> Grant:
    return await authenticator.authenticate(Credentials(remote="192.0.2.1", bearer=[token]))


def test_only_a_hash_is_stored(file: TokenFile, tmp_path: Path) -> None:
    token, record = file.add("ann", now=1000.0, owner="ann@example.org", admin=True, weight=2.0, expires=2000.0)
    text = file.path.read_text()
    stored = json.loads(text)
    assert token not in text
    assert token[-43:] not in text
    assert stored == {
        "version": 1,
        "tokens": [
            {
                "id": token.split("_")[1],
                "name": "ann",
                "owner": "ann@example.org",
                "sha256": hashlib.sha256(token.encode()).hexdigest(),
                "ending": token[-4:],
                "created": 1000.0,
                "expires": 2000.0,
                "weight": 2.0,
                "scopes": ["admin"],
            }
        ],
    }
    assert file.read() == (record,)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_file_that_others_may_read_becomes_private(file: TokenFile) -> None:
    file.add("ann", now=0.0)
    file.path.chmod(0o644)
    file.read()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(file: TokenFile, tmp_path: Path) -> None:
    """A server that runs as another user must be able to read it."""
    os.chown(tmp_path, 1234, 4321)
    file.add("ann", now=0.0)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()}
    assert owners == {(1234, 4321)}


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"name": "a" * 65}, {"name": "a\n"}, {"owner": ""}, {"owner": "a" * 129}]
)
def test_names_that_are_refused(file: TokenFile, fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="printable"):
        file.add(fields.get("name", "ann"), now=0.0, owner=fields.get("owner"))
    assert file.read() == ()


@pytest.mark.parametrize("weight", [0.0, 101.0, float("nan")])
def test_weights_that_are_refused(file: TokenFile, weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        file.add("ann", now=0.0, weight=weight)


def test_a_name_or_an_id_stands_for_one_token(file: TokenFile) -> None:
    """Else revoking one could revoke another."""
    _, ann = file.add("ann", now=0.0)
    for name in ("ann", ann.id):
        with pytest.raises(TokenExists):
            file.add(name, now=0.0)
    _, bob = file.add("bob", now=0.0, owner="ann")
    assert file.remove("nobody") is None
    assert file.remove(ann.id) == ann
    assert file.remove("ann") is None
    assert file.read() == (bob,)


def test_changes_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Each has its own object, as two commands have; the lock is between processes."""
    names = [f"{number}" for number in range(24)]
    threads = [threading.Thread(target=lambda name=name: TokenFile(tmp_path).add(name, now=0.0)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record.name for record in TokenFile(tmp_path).read()) == sorted(names)


def test_a_change_does_not_wait_for_ever(file: TokenFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_file, "LOCK_SECONDS", 0.01)
    with FileLock(tmp_path / "tokens.lock"), pytest.raises(StoreUnusable, match="another process"):
        TokenFile(tmp_path).add("ann", now=0.0)


def rewritten(**changes: object) -> Callable[[Path], object]:
    """Return what changes the first token of a file."""

    def change(path: Path) -> None:
        stored = json.loads(path.read_text())
        stored["tokens"][0] |= changes
        path.write_text(json.dumps(stored))

    return change


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_text(""),
    "cut off": lambda path: path.write_text("{"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "of a later version": lambda path: path.write_text('{"version": 2, "tokens": []}'),
    "deeply nested": lambda path: path.write_text('{"x":' + "[" * 100_000),
    "a short hash": rewritten(sha256="short"),
    "an owner of 10 KB": rewritten(owner="a" * 10_240),
    "an owner with an escape sequence": rewritten(owner="a\x1b[31m"),
    "a weight out of bounds": rewritten(weight=1000),
    "a strange id": rewritten(id="../../etc/xx"),
    "a time of the wrong type": rewritten(expires="never"),
    "the same id twice": lambda path: path.write_text(re.sub(r"(?s)\[(.*)\]", r"[\1,\1]", path.read_text(), count=1)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_file_keeps_the_last_good_one(
    file: TokenFile, opened: Authenticator, clock: FakeClock, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    """A running server goes on with what it knows and logs it once; one that starts says what is wrong."""
    token, _ = await asyncio.to_thread(file.add, "ann", now=0.0)
    await present(opened, token)
    damage(file.path)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(Unauthorised):
                await present(opened, "xf_0123456789ab_" + "A" * 43)
    assert [entry["file"] for entry in logs if entry["log_level"] == "error"] == ["tokens.json"]
    assert (await present(opened, token)).identity.id == "ann"
    with pytest.raises(StoreUnusable, match=r"tokens\.json"):
        await create_authenticator(Settings(auth="tokens", data_dir=str(tmp_path)), clock).open()
    with pytest.raises(StoreUnusable, match=r"tokens\.json"):
        await asyncio.to_thread(file.add, "bob", now=0.0)


async def test_a_deleted_file_revokes_nothing(file: TokenFile, opened: Authenticator) -> None:
    token, _ = await asyncio.to_thread(file.add, "ann", now=0.0)
    await present(opened, token)
    file.path.unlink()
    with pytest.raises(Unauthorised):
        await present(opened, "xf_0123456789ab_" + "A" * 43)
    assert (await present(opened, token)).identity.id == "ann"


async def test_a_new_token_is_valid_at_once_and_a_revoked_one_for_a_second(
    file: TokenFile, opened: Authenticator, clock: FakeClock
) -> None:
    watching = asyncio.create_task(opened.run())
    token, _ = await asyncio.to_thread(file.add, "laptop", now=0.0, owner="ann", admin=True, weight=2.0)
    grant = await present(opened, token)
    identity = grant.identity
    assert (identity.id, identity.admin, identity.weight, identity.expires) == ("ann", True, 2.0, None)
    revoked: list[str] = []
    stop = opened.on_revoked(grant, lambda: revoked.append("stopped"))
    opened.on_revoked(grant, lambda: revoked.append("watched"))
    session = opened.create_session(grant)
    assert session is not None
    by_session = await opened.authenticate(Credentials(session=session.value))
    opened.on_revoked(by_session, lambda: revoked.append("by session"))
    stop()
    await asyncio.to_thread(file.remove, "laptop")
    await clock.advance(1.0)
    await eventually(lambda: revoked)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert revoked == ["watched", "by session"]
    for credentials in (Credentials(bearer=[token]), Credentials(session=session.value)):
        with pytest.raises(Unauthorised):
            await opened.authenticate(credentials)
    opened.on_revoked(grant, lambda: revoked.append("too late"))
    assert revoked[-1] == "too late"


async def test_a_token_expires(file: TokenFile, opened: Authenticator, clock: FakeClock) -> None:
    token, _ = await asyncio.to_thread(file.add, "ann", now=0.0, expires=clock.time() + 100)
    assert (await present(opened, token)).identity.expires == clock.time() + 100
    clock.now += 99.9
    await present(opened, token)
    clock.now += 0.1
    for _ in range(20):
        with pytest.raises(TokenExpired):
            await present(opened, token)


@pytest.mark.parametrize("token", ["", "xf_", "wrong", "s\udce9cret", "a" * 100_000, "xf_0123456789ab_" + "A" * 43])
async def test_what_is_no_token(file: TokenFile, opened: Authenticator, token: str) -> None:
    await asyncio.to_thread(file.add, "ann", now=0.0)
    with pytest.raises(Unauthorised):
        await present(opened, token)


async def test_a_token_of_another_folder(file: TokenFile, opened: Authenticator, tmp_path: Path) -> None:
    token, record = await asyncio.to_thread(TokenFile(tmp_path / "other").add, "ann", now=0.0)
    with pytest.raises(Unauthorised):
        await present(opened, token)
    # Nor one with a known id and another secret.
    mine, _ = await asyncio.to_thread(file.add, "ann", now=0.0)
    with pytest.raises(Unauthorised):
        await present(opened, mine[:-43] + token[-43:])
    assert record.id != mine.split("_")[1]


async def test_the_token_of_an_earlier_version_stays_valid(tmp_path: Path, clock: FakeClock) -> None:
    """Its hash is kept, for the owner and admin `local` as before; the file with the token is removed."""
    (tmp_path / "token").write_text("a-secret-of-before\n")
    for _ in range(2):
        authenticator = create_authenticator(Settings(auth="tokens", data_dir=str(tmp_path)), clock)
        await authenticator.open()
        identity = (await present(authenticator, "a-secret-of-before")).identity
        assert (identity.id, identity.admin) == ("local", True)
        assert not (tmp_path / "token").exists()
        assert "a-secret-of-before" not in (tmp_path / "tokens.json").read_text()
        # As after a crash between the two steps, or a restore of a part of a backup.
        (tmp_path / "token").write_text("a-secret-of-before")
    (record,) = await asyncio.to_thread(TokenFile(tmp_path).read)
    assert record.name == "local"


async def test_an_empty_token_of_an_earlier_version_is_none(tmp_path: Path, clock: FakeClock) -> None:
    """A file that a crash left empty would let everybody in who says nothing."""
    (tmp_path / "token").touch()
    authenticator = create_authenticator(Settings(auth="tokens", data_dir=str(tmp_path)), clock)
    await authenticator.open()
    with pytest.raises(Unauthorised):
        await present(authenticator, "")
    assert await asyncio.to_thread(TokenFile(tmp_path).read) == ()
    assert not (tmp_path / "token").exists()


def test_two_files_that_name_the_same(file: TokenFile, tmp_path: Path) -> None:
    file.add("local", now=0.0)
    (tmp_path / "token").write_text("a-secret-of-before")
    assert [record.name for record in file.read()] == ["local"]
    file.take_over()
    assert [record.name for record in file.read()] == ["local", "local-before"]
