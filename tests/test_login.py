"""The token and the session that a browser gets for it: what travels, for how long, and what a wrong one costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web

from clients import FakeClock, eventually, hosted
from xinflight.app import setup
from xinflight.auth import Identity, Token
from xinflight.cli import serving
from xinflight.settings import Settings

NOBODY = "http://127.0.0.1:9"
SECRET = "a-secret-of-this-test"
DAY = 86400.0


def test_a_session_is_over_after_a_while() -> None:
    token = Token(SECRET)
    session = token.session(1000)
    assert SECRET not in session
    assert token.identify_session(session, 999.0) == Identity(id="local", admin=True, expires=1000)
    assert token.identify_session(session, 1000.0) is None
    assert Token("another").identify_session(session, 999.0) is None


@pytest.mark.parametrize(
    "given", [None, "", ".", "2000", "2000.", SECRET, f"2000.{SECRET}", "x.y", "-1.y", "\u0661.y", "9" * 5000 + ".y"]
)
def test_what_is_no_session(given: str | None) -> None:
    assert Token(SECRET).identify_session(given, 0.0) is None
    assert Token(SECRET).identify_session(Token(SECRET).session(1000).replace("1000", "2000", 1), 999.0) is None


class Guarded:
    """A server that asks for a token, on a clock that is moved by hand."""

    def __init__(self, url: str, clock: FakeClock) -> None:
        self.url = url
        self.clock = clock

    async def log_in(self, **headers: str) -> Morsel[str]:
        """Return the cookie for the right token."""
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{self.url}login", data=SECRET) as response,
        ):
            assert response.status == 204
            (morsel,) = SimpleCookie(response.headers["Set-Cookie"]).values()
            return morsel

    async def status(self, **headers: str) -> int:
        """Return the status of a request of the API."""
        async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{self.url}api/v1/models") as response:
            return response.status


@pytest.fixture
async def guarded(stack: AsyncExitStack) -> AsyncIterator[Guarded]:
    """Give a server that asks for a token."""
    app, clock = web.Application(), FakeClock()
    settings = Settings(
        xinference_url=NOBODY, drain=0.0, trusted_proxies=("127.0.0.1",), allow_hosts=("art.example",)
    )
    setup(app, settings, token=Token(SECRET), clock=clock)
    async with hosted(app) as url:
        yield Guarded(url, clock)


async def test_the_cookie_is_not_the_token(guarded: Guarded) -> None:
    """Who reads the cookie of a browser gets a month, not the token; each port has a name of its own."""
    cookie = await guarded.log_in()
    assert cookie.key == f"xinflight-{guarded.url.rstrip('/').rpartition(':')[2]}"
    assert SECRET not in cookie.value
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", "")
    assert float(cookie["max-age"]) == 30 * DAY
    assert await guarded.status(Cookie=f"{cookie.key}={cookie.value}") == 200
    assert await guarded.status(Cookie=f"{cookie.key}={SECRET}") == 401
    assert await guarded.status(Cookie=f"xinflight-1={cookie.value}") == 401
    guarded.clock.now += 30 * DAY
    assert await guarded.status(Cookie=f"{cookie.key}={cookie.value}") == 401


async def test_behind_tls_the_cookie_is_secure(guarded: Guarded) -> None:
    proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "art.example"}
    cookie = await guarded.log_in(**proxy)
    assert (cookie.key, cookie["secure"]) == ("xinflight-443", True)
    assert await guarded.status(**proxy, Cookie=f"{cookie.key}={cookie.value}") == 200


async def test_a_foreign_page_can_not_log_in(guarded: Guarded) -> None:
    """Another website could otherwise log a browser in to tasks that it knows."""
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{guarded.url}login", data=SECRET) as response,
        ):
            assert response.status == 403
            assert "Set-Cookie" not in response.headers


async def test_a_strange_host_is_refused_with_the_token_too(guarded: Guarded) -> None:
    bearer = f"Bearer {SECRET}"
    assert await guarded.status(Authorization=bearer) == 200
    assert await guarded.status(Authorization=bearer, Host="art.example") == 200
    assert await guarded.status(Authorization=bearer, Host="evil.example") == 403


async def test_wrong_tokens_are_slow_and_logged(guarded: Guarded) -> None:
    """Eight at once wait for a second each, more are refused without waiting; the right token does not wait."""

    async def guess() -> int:
        async with http.post(f"{guarded.url}login", data="wrong") as response:
            return response.status

    async with aiohttp.ClientSession() as http:
        with structlog.testing.capture_logs() as logs:
            guesses = [asyncio.create_task(guess()) for _ in range(12)]
            await eventually(lambda: sum(task.done() for task in guesses) == 4)
            assert {task.result() for task in guesses if task.done()} == {429}
            assert (await guarded.log_in()).value
            await guarded.clock.advance(1.0)
            assert sorted(await asyncio.gather(*guesses)) == [401] * 8 + [429] * 4
        wrong = [entry for entry in logs if entry["event"] == "wrong token"]
        assert [entry["remote"] for entry in wrong] == ["127.0.0.1"] * 8
        assert "wrong" not in {str(value) for entry in wrong for value in entry.values()}


async def test_a_token_on_loopback(tmp_path: Path) -> None:
    """On a machine that is shared, `auth` asks for the token there, too; by default loopback is open."""
    settings = Settings(port=0, data_dir=str(tmp_path), xinference_url=NOBODY, drain=0.0)
    for auth, status in ((True, 401), (None, 200), (False, 200)):
        asked = Settings(**{name: getattr(settings, name) for name in settings.__struct_fields__} | {"auth": auth})
        async with serving(asked, demo=False) as (url, _), aiohttp.ClientSession() as http:
            base, _, fragment = url.partition("#token=")
            assert bool(fragment) == (auth is True)
            async with http.get(f"{base}api/v1/models") as response:
                assert response.status == status
            if fragment:
                headers = {"Authorization": f"Bearer {fragment}"}
                async with http.get(f"{base}api/v1/models", headers=headers) as response:
                    assert response.status == 200


def test_a_token_and_a_log_in_of_the_hosts_own() -> None:
    async def nobody(request: web.Request, token: str | None) -> None:
        return None

    with pytest.raises(ValueError, match="token"):
        setup(web.Application(), authenticate=nobody, token=Token(SECRET))
