"""Session cookies: their scope, their renewal and their end, and requests that other websites cause (CSRF)."""

from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from clients import FakeClock, hosted
from guarded import NOBODY, Guarded, guarded_server
from xinflight.app import setup
from xinflight.settings import Settings

DAY = 86400.0
PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "art.example"}
PAGE = {"Sec-Fetch-Site": "same-origin"}


def cookie_of(response: aiohttp.ClientResponse) -> Morsel[str] | None:
    """Return the cookie that a response sets."""
    cookies = SimpleCookie(response.headers.get("Set-Cookie", ""))
    return next(iter(cookies.values()), None)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Give a server that asks for a token."""
    proxy = {"trusted_proxies": ("127.0.0.1",), "allow_hosts": ("art.example",)}
    async with guarded_server(tmp_path, **proxy) as guarded:
        yield guarded


async def log_in(guarded: Guarded, path: str = "login", **headers: str) -> Morsel[str]:
    """Return the cookie for a new token of ann's."""
    token = await guarded.token("ann")
    async with aiohttp.ClientSession(headers=PAGE | headers) as http:
        async with http.post(f"{guarded.url}{path}", data=token) as response:
            assert response.status == 204
            cookie = cookie_of(response)
    assert cookie is not None
    return cookie


async def test_the_name_is_as_safe_as_it_can_be(guarded: Guarded) -> None:
    """Behind TLS at the root, browsers take `__Host-` from this host only; else they would refuse it."""
    port = guarded.url.rstrip("/").rpartition(":")[2]
    plain = await log_in(guarded)
    assert (plain.key, plain["path"], plain["secure"]) == (f"xinflight-{port}", "/", "")


async def test_behind_tls_it_is_bound_to_the_host(guarded: Guarded) -> None:
    secure = await log_in(guarded, **PROXY)
    assert (secure.key, secure["path"], secure["secure"]) == ("__Host-xinflight-443", "/", True)
    assert secure["domain"] == ""


async def test_a_prefix_of_the_proxy_limits_the_path(guarded: Guarded) -> None:
    cookie = await log_in(guarded, **PROXY, **{"X-Forwarded-Prefix": "/art"})
    assert (cookie.key, cookie["path"], cookie["secure"]) == ("xinflight-443", "/art", True)


async def test_two_gateways_of_one_server_have_their_own(tmp_path: Path) -> None:
    """One is mounted below the other: both cookies are sent there, under names that differ."""
    app = web.Application()
    for name, prefix in (("outer", "/a"), ("inner", "/a/b")):
        settings = Settings(xinference_url=NOBODY, drain=0.0, auth="anonymous", data_dir=str(tmp_path / name))
        setup(app, settings, prefix=prefix, name=name, page=True, clock=FakeClock())
    async with hosted(app) as url, aiohttp.ClientSession() as http:
        found = []
        for path in ("a/", "a/b/"):
            async with http.get(f"{url}{path}") as response:
                cookie = cookie_of(response)
                assert cookie is not None
                found.append((cookie.key.partition("-")[0], cookie["path"]))
    assert found == [("outer", "/a"), ("inner", "/a/b")]


async def test_a_session_is_renewed_after_half_of_it(guarded: Guarded) -> None:
    """By any response and by a handshake; what is renewed is valid for another month."""
    first = await log_in(guarded)
    headers = {"Cookie": f"{first.key}={first.value}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        guarded.clock.now += 14 * DAY
        async with http.get(f"{guarded.url}api/v1/models") as response:
            assert (response.status, cookie_of(response)) == (200, None)
        guarded.clock.now += 2 * DAY
        async with http.get(f"{guarded.url}api/v1/models") as response:
            renewed = cookie_of(response)
        async with http.ws_connect(f"{guarded.url}ws/generate") as ws:
            by_handshake = cookie_of(ws._response)
    assert renewed is not None
    assert by_handshake is not None
    assert (renewed.key, renewed["path"], float(renewed["max-age"])) == (first.key, "/", 30 * DAY)
    guarded.clock.now += 20 * DAY
    for value, status in ((first.value, 401), (renewed.value, 200), (by_handshake.value, 200)):
        async with aiohttp.ClientSession(headers={"Cookie": f"{first.key}={value}"}) as http:
            async with http.get(f"{guarded.url}api/v1/models") as response:
                assert response.status == status


async def test_signing_out_removes_the_cookie(guarded: Guarded) -> None:
    cookie = await log_in(guarded, **PROXY)
    headers = {"Cookie": f"{cookie.key}={cookie.value}", **PAGE, **PROXY}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(f"{guarded.url}logout") as response:
        removed = cookie_of(response)
        assert response.status == 204
        # What the browser keeps for the next one to see.
        assert response.headers["Clear-Site-Data"] == '"cache"'
    assert removed is not None
    scope = (removed.key, removed.value, removed["path"], removed["max-age"], removed["secure"])
    assert scope == ("__Host-xinflight-443", "", "/", "0", True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "https://art.example"}, 204),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
    ],
)
async def test_only_a_page_of_the_server_acts_by_the_cookie(
    guarded: Guarded, headers: dict[str, str], status: int
) -> None:
    """Log-in and log-out as well: a foreign page could sign somebody in as somebody else."""
    cookie = await log_in(guarded, **PROXY)
    given = {"Cookie": f"{cookie.key}={cookie.value}", **PROXY, **headers}
    async with aiohttp.ClientSession(headers=given) as http:
        async with http.post(f"{guarded.url}login", data=(await guarded.token("bob")).encode()) as response:
            assert response.status == status
        async with http.post(f"{guarded.url}logout") as response:
            assert response.status == status
        async with http.delete(f"{guarded.url}api/v1/tasks/nothing") as response:
            assert response.status == (403 if status == 403 else 404)
        async with http.post(f"{guarded.url}api/v1/tasks", json={"prompt": "a", "task_id": "b"}) as response:
            assert response.status == (403 if status == 403 else 202)


async def test_a_token_needs_no_page(guarded: Guarded) -> None:
    """A script sends neither header, and no other website can send its token; one with a stale cookie may, too."""
    headers = {"Authorization": f"Bearer {await guarded.token('ann')}", "Cookie": "xinflight-80=stale"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.delete(f"{guarded.url}api/v1/tasks/nothing") as response:
            assert response.status == 404
        async with http.delete(
            f"{guarded.url}api/v1/tasks/nothing", headers={"Sec-Fetch-Site": "cross-site"}
        ) as response:
            assert response.status == 403


async def test_a_token_in_the_query(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Only if it is allowed, in no log, and in no Referer or link."""
    async with guarded_server(tmp_path, token_in_query=True) as guarded, aiohttp.ClientSession() as http:
        token = await guarded.token("ann")
        for task_id in ("a", "b"):
            body = {"prompt": "x", "task_id": task_id}
            async with http.post(f"{guarded.url}api/v1/tasks?token={token}", json=body) as response:
                assert response.status == 202
                assert token not in response.headers["Location"]
        async with http.get(f"{guarded.url}api/v1/tasks?token={token}&limit=1") as response:
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert "limit=1" in response.headers["Link"]
            assert not any(token in value for value in response.headers.values())
        async with http.ws_connect(f"{guarded.url}ws/generate?token={token}") as ws:
            assert (await ws.receive_json())["owner"] == "ann"
        async with http.ws_connect(f"{guarded.url}ws/generate?token=wrong-secret") as ws:
            assert (await ws.receive()).data == 4401
        both = {"Authorization": "Bearer other"}
        async with http.get(f"{guarded.url}api/v1/tasks?token={token}", headers=both) as response:
            assert response.status == 400
        async with http.get(f"{guarded.url}api/v1/tasks") as response:
            assert response.headers["Referrer-Policy"] != "no-referrer"
    output = "".join(capfd.readouterr())
    assert token not in output
    assert "wrong-secret" not in output
    assert "log-in failed" in output
    async with guarded_server(tmp_path / "other") as guarded, aiohttp.ClientSession() as http:
        token = await guarded.token("ann")
        async with http.get(f"{guarded.url}api/v1/tasks?token={token}") as response:
            assert response.status == 401
