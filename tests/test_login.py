"""The token and the session that a browser gets for it: what travels, for how long, and what a wrong one costs."""

from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
import structlog
from aiohttp import web

from clients import FakeClock, hosted
from xinflight.app import setup
from xinflight.cli import serving
from xinflight.settings import BadSettings, Settings

NOBODY = "http://127.0.0.1:9"
SECRET = "a-secret-of-this-test"
DAY = 86400.0


class Guarded:
    """A server that asks for a token, on a clock that is moved by hand."""

    def __init__(self, url: str, clock: FakeClock) -> None:
        self.url = url
        self.clock = clock

    async def log_in(self, **headers: str) -> Morsel[str]:
        """Return the cookie for the right token."""
        async with (
            aiohttp.ClientSession(headers={"Sec-Fetch-Site": "same-origin"} | headers) as http,
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
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Give a server that asks for a token, which an earlier version has stored."""
    (tmp_path / "token").write_text(SECRET)
    app, clock = web.Application(), FakeClock()
    settings = Settings(
        xinference_url=NOBODY,
        drain=0.0,
        auth="tokens",
        data_dir=str(tmp_path),
        trusted_proxies=("127.0.0.1",),
        allow_hosts=("art.example",),
    )
    setup(app, settings, clock=clock)
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
    assert (cookie.key, cookie["secure"]) == ("__Host-xinflight-443", True)
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


async def test_guesses_are_slowed_down_and_a_session_is_not(guarded: Guarded) -> None:
    """Ten wrong tokens, then one per six seconds; no guess is checked in between, not even a correct one."""
    cookie = await guarded.log_in()
    session = {"Cookie": f"{cookie.key}={cookie.value}"}
    with structlog.testing.capture_logs() as logs:
        statuses = [await guarded.status(Authorization="Bearer wrong") for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        assert await guarded.status(Authorization=f"Bearer {SECRET}") == 429
        assert await guarded.status(**session) == 200
        guarded.clock.now += 6
        assert await guarded.status(Authorization=f"Bearer {SECRET}") == 200
    failed = [entry for entry in logs if entry["event"] == "log-in failed"]
    assert [(entry["address"], entry["count"]) for entry in failed] == [("loopback", 1)]
    assert "wrong" not in {str(value) for entry in logs for value in entry.values()}


async def test_a_token_on_loopback(tmp_path: Path) -> None:
    """On a machine that is shared, `auth` asks for the token there, too; by default loopback is open."""
    cases: list[tuple[Literal["tokens", "none"] | None, int]] = [("tokens", 401), (None, 200), ("none", 200)]
    for auth, status in cases:
        settings = Settings(port=0, data_dir=str(tmp_path), xinference_url=NOBODY, drain=0.0, auth=auth)
        async with serving(settings, demo=False) as (url, _), aiohttp.ClientSession() as http:
            base, _, fragment = url.partition("#token=")
            assert bool(fragment) == (auth == "tokens")
            async with http.get(f"{base}api/v1/models") as response:
                assert response.status == status
            if fragment:
                headers = {"Authorization": f"Bearer {fragment}"}
                async with http.get(f"{base}api/v1/models", headers=headers) as response:
                    assert response.status == 200


def test_a_mode_and_a_log_in_of_the_hosts_own(tmp_path: Path) -> None:
    async def nobody(request: web.Request, token: str | None) -> None:
        return None

    with pytest.raises(BadSettings, match="authenticate"):
        setup(web.Application(), Settings(auth="tokens", data_dir=str(tmp_path)), authenticate=nobody)


def test_tokens_without_a_folder() -> None:
    with pytest.raises(BadSettings, match="data_dir"):
        setup(web.Application(), Settings(auth="tokens"))
