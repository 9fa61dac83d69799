"""The modes without tokens: everybody, an identity per browser, and the user that a proxy names."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from clients import FakeClock, WireClient, hosted
from xinflight.app import setup
from xinflight.auth import LOCAL, Authenticator, Credentials, create_authenticator
from xinflight.errors import RateLimited, Unauthorised
from xinflight.settings import BadSettings, Settings

NOBODY = "http://127.0.0.1:9"
DAY = 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def with_headers(**headers: str | list[str]) -> Callable[[str], list[str]]:
    """Return how credentials give the values of a header, by names with underscores."""
    lists = {name: [value] if isinstance(value, str) else value for name, value in headers.items()}
    return lambda name: lists.get(name.replace("-", "_"), [])


async def opened(clock: FakeClock, folder: Path | None = None, **settings: Any) -> Authenticator:
    authenticator = create_authenticator(
        Settings(data_dir=None if folder is None else str(folder), **settings), clock
    )
    await authenticator.open()
    return authenticator


async def test_without_a_log_in_everybody_is_local(clock: FakeClock) -> None:
    for authenticator in (await opened(clock), await opened(clock, auth="none")):
        for credentials in (Credentials(), Credentials(bearer=["a", "b"], session="x", remote="192.0.2.1")):
            grant = await authenticator.authenticate(credentials)
            assert (grant.identity, grant.session) == (LOCAL, None)
        assert not authenticator.sessions


def test_tokens_need_a_folder(clock: FakeClock) -> None:
    with pytest.raises(BadSettings, match="data_dir"):
        create_authenticator(Settings(auth="tokens"), clock)


# Anonymous


async def test_each_browser_is_an_owner_of_its_own(clock: FakeClock, tmp_path: Path) -> None:
    authenticator = await opened(clock, tmp_path, auth="anonymous", admins=["anon-1"])
    grants = [await authenticator.authenticate(Credentials(remote="192.0.2.1")) for _ in range(3)]
    assert len({grant.identity.id for grant in grants}) == 3
    for grant in grants:
        assert grant.identity.id.startswith("anon-")
        assert len(grant.identity.id) == len("anon-") + 32
        assert not grant.identity.admin
        assert grant.identity.expires is None
        assert grant.session is not None
        # A script without cookies sends the same as its token.
        for known in (
            Credentials(session=grant.session.value),
            Credentials(bearer=[grant.session.value]),
            Credentials(message=grant.session.value),
        ):
            again = await authenticator.authenticate(known)
            assert (again.identity, again.session) == (grant.identity, None)


async def test_an_anonymous_identity_is_renewed(clock: FakeClock) -> None:
    authenticator = await opened(clock, auth="anonymous")
    first = await authenticator.authenticate(Credentials())
    assert first.session is not None
    clock.now += 16 * DAY
    second = await authenticator.authenticate(Credentials(session=first.session.value))
    assert second.session is not None
    clock.now += 16 * DAY
    assert (await authenticator.authenticate(Credentials(session=second.session.value))).identity == first.identity
    # Without a visit for 30 days it is forgotten: the browser gets a new one.
    new = await authenticator.authenticate(Credentials(session=first.session.value))
    assert new.session is not None
    assert new.identity != first.identity


async def test_a_made_up_identity_is_another_one(clock: FakeClock) -> None:
    authenticator = await opened(clock, auth="anonymous")
    grant = await authenticator.authenticate(Credentials(session="anon-0123"))
    assert grant.session is not None
    assert grant.identity.id != "anon-0123"
    guess = Credentials(remote="192.0.2.1", bearer=[grant.session.value[:-2] + "xx"])
    for _ in range(10):
        with pytest.raises(Unauthorised):
            await authenticator.authenticate(guess)
    with pytest.raises(RateLimited):
        await authenticator.authenticate(guess)
    assert (await authenticator.authenticate(Credentials(remote="192.0.2.1"))).session is not None


# A proxy


@pytest.mark.parametrize(
    ("remote", "user"),
    [
        ("192.0.2.1", "ann"),
        (None, "ann"),
        ("10.0.0.1", []),
        ("10.0.0.1", ""),
        ("10.0.0.1", ["ann", "bob"]),
        ("10.0.0.1", ["ann", "ann"]),
        ("10.0.0.1", " ann"),
        ("10.0.0.1", "a" * 10_240),
        ("10.0.0.1", "ann\x1b[31m"),
        ("10.0.0.1", "ann\u202e"),
        ("10.0.0.1", "ann\udce9"),
    ],
)
async def test_a_header_that_names_nobody(clock: FakeClock, remote: str | None, user: str | list[str]) -> None:
    authenticator = await opened(clock, auth="proxy", trusted_proxies=["10.0.0.0/8"])
    header = with_headers(X_Forwarded_User=user)
    with pytest.raises(Unauthorised):
        await authenticator.authenticate(Credentials(remote=remote, header=header, bearer=["x"], session="x"))


async def test_the_user_that_a_proxy_names(clock: FakeClock) -> None:
    authenticator = await opened(
        clock, auth="proxy", trusted_proxies=["10.0.0.0/8"], admins=["ann"], proxy_header="Remote-User"
    )
    for user, admin in (("ann", True), ("安娜@example.org", False)):
        credentials = Credentials(remote="::ffff:10.0.0.1", header=with_headers(Remote_User=user))
        identity = (await authenticator.authenticate(credentials)).identity
        assert (identity.id, identity.admin, identity.expires) == (user, admin, None)
    credentials = Credentials(remote="10.0.0.1", header=with_headers(X_Forwarded_User="ann"))
    with pytest.raises(Unauthorised):
        await authenticator.authenticate(credentials)


# Over HTTP


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[str]:
    app = web.Application()
    setup(app, Settings(xinference_url=NOBODY, drain=0.0, **settings), page=True)
    async with hosted(app) as url:
        yield url


async def test_a_browser_keeps_its_identity_over_all_transports() -> None:
    async with (
        served(auth="anonymous") as url,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
        aiohttp.ClientSession() as script,
    ):
        async with browser.ws_connect(f"{url}ws/generate") as ws:
            owner = (await ws.receive_json())["owner"]
        assert owner.startswith("anon-")
        async with browser.get(f"{url}api/v1/models") as response:
            assert response.status == 200
            assert "Set-Cookie" not in response.headers
        async with browser.ws_connect(f"{url}ws/generate") as ws:
            assert (await ws.receive_json())["owner"] == owner
        (cookie,) = browser.cookie_jar
        async with script.get(f"{url}api/v1/models") as response:
            assert response.status == 200
            (other,) = SimpleCookie(response.headers["Set-Cookie"]).values()
            assert other["httponly"]
            assert other["samesite"] == "Strict"
            assert other.value != cookie.value
        async with WireClient.connect(url, headers={"Authorization": f"Bearer {cookie.value}"}) as client:
            assert client.seen[0]["owner"] == owner
        async with script.post(f"{url}login", data=cookie.value) as response:
            assert response.status == 404


async def test_a_proxy_over_http() -> None:
    async with served(auth="proxy", trusted_proxies=["127.0.0.1"]) as url, aiohttp.ClientSession() as http:
        async with WireClient.connect(url, headers={"X-Forwarded-User": "安娜"}) as client:
            assert client.seen[0]["owner"] == "安娜"
        for headers, status in (
            ([], 401),
            ([("X-Forwarded-User", "ann")], 200),
            ([("X-Forwarded-User", "ann"), ("X-Forwarded-User", "bob")], 401),
            ([("Authorization", "Bearer ann")], 401),
        ):
            async with http.get(f"{url}api/v1/models", headers=headers) as response:
                assert response.status == status
    async with served(auth="proxy", trusted_proxies=["10.0.0.0/8"]) as url, aiohttp.ClientSession() as http:
        async with http.get(f"{url}api/v1/models", headers={"X-Forwarded-User": "ann"}) as response:
            assert response.status == 401


async def test_a_token_in_the_query_needs_the_setting(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-secret")
    for token_in_query, status in ((False, 401), (True, 200)):
        async with (
            served(auth="tokens", data_dir=str(tmp_path), token_in_query=token_in_query) as url,
            aiohttp.ClientSession() as http,
        ):
            async with http.get(f"{url}api/v1/models?token=a-secret") as response:
                assert response.status == status
            async with http.get(
                f"{url}api/v1/models?token=a-secret", headers={"Authorization": "Bearer other"}
            ) as response:
                assert response.status == (400 if token_in_query else 401)
