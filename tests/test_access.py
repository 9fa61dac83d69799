"""Who may come in: pages of other websites may not, strange names may not, and beyond loopback a token is needed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st

from clients import WireClient, hosted
from conftest import Serve
from xinflight.app import setup
from xinflight.cli import server as serve_module
from xinflight.cli import serving
from xinflight.settings import Settings
from xinflight.web import host_allowed, is_loopback, origin_allowed

NOBODY = "http://127.0.0.1:9"
"""An upstream that is not there, and is not needed here."""


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("LOCALHOST:8000", True),
        ("app.localhost:8000", True),
        ("127.0.0.1:8000", True),
        ("192.168.1.5:8000", True),
        ("[::1]:8000", True),
        ("[fe80::1]", True),
        ("known.example:8000", True),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("known.example.evil", False),
        ("", False),
        ("[::1", False),
        ("user@evil.example", False),
    ],
)
def test_hosts(host: str, allowed: bool) -> None:
    """A name that its owner points to 127.0.0.1 must not pass for ours (DNS rebinding)."""
    assert host_allowed(host, ["known.example"]) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://127.0.0.1:8000", True),
        ("https://127.0.0.1:8000", True),
        ("https://good.example", True),
        ("http://127.0.0.1:9000", False),
        ("http://localhost:8000", False),
        ("http://evil.example", False),
        ("https://good.example.evil", False),
        ("http://127.0.0.1:8000.evil.example", False),
        ("file://", False),
        ("null", False),
        ("", False),
        ("http://[::1", False),
        ("ftp://127.0.0.1:8000", False),
    ],
)
def test_origins(origin: str | None, allowed: bool) -> None:
    """A page may connect to the server that it came from, and from where the settings say."""
    assert origin_allowed(origin, ["127.0.0.1:8000"], ["https://good.example"]) is allowed


@given(st.text(), st.text())
@example("[", "]")
@example("http://[", "[v1.x]")
def test_no_header_is_too_strange(one: str, other: str) -> None:
    """Whatever a header says, the answer is yes or no."""
    assert isinstance(host_allowed(one, []), bool)
    assert isinstance(origin_allowed(one, [other], []), bool)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    """Only what can't be reached from elsewhere goes without a token."""
    assert is_loopback(host) is loopback


async def knock(url: str, **headers: str) -> int:
    """Try to open the WebSocket; return 101, or the status that refuses."""
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(f"{url}ws/generate", headers=headers) as ws:
                assert (await ws.receive_json())["type"] == "welcome"
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status


async def look(url: str, **headers: str) -> int:
    """Ask for the page; return the status."""
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        return response.status


async def test_a_foreign_page_is_refused_at_every_transport(serve: Serve) -> None:
    """Origin decides for the WebSocket, which no same-origin policy of a browser protects."""
    url = await serve(xinference_url=NOBODY, allow_origins=("https://good.example",))
    own = url.rstrip("/")
    for origin, status in ((own, 101), ("https://good.example", 101), ("http://evil.example", 403), ("null", 403)):
        assert await knock(url, Origin=origin) == status
    assert await knock(url) == 101


async def test_a_strange_host_is_refused_at_every_transport(serve: Serve) -> None:
    """The Host must be one of ours for the page as for the socket; one that can't be parsed is no bug of ours."""
    url = await serve(xinference_url=NOBODY, allow_hosts=("known.example",))
    port = url.rstrip("/").rpartition(":")[2]
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"known.example:{port}"):
        assert await knock(url, Host=host) == 101
        assert await look(url, Host=host) == 200
    for host in ("evil.example", f"evil.example:{port}", "[::1"):
        assert await knock(url, Host=host) in (400, 403)
        assert await look(url, Host=host) in (400, 403)
    # A page under a strange name that points here: Origin and Host agree, and still it is refused.
    assert await knock(url, Host="evil.example", Origin="http://evil.example") == 403


SECRET = "a-secret-of-this-test"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[str]:
    """Give the URL of a server that asks for a token, which an earlier version has stored."""
    (tmp_path / "token").write_text(SECRET)
    app = web.Application()
    settings = Settings(xinference_url=NOBODY, drain=0.0, auth="tokens", data_dir=str(tmp_path))
    setup(app, settings, page=True)
    async with hosted(app) as url:
        yield url


async def closed_with(url: str, **options: Any) -> int | None:
    """Open the WebSocket, send what is no token, and return the code that it is closed with, else None."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}ws/generate", **options) as ws:
        await ws.send_json({"action": "ping"})
        message = await ws.receive()
        return ws.close_code if message.type is not aiohttp.WSMsgType.TEXT else None


@pytest.mark.parametrize(
    "header",
    [None, "Bearer wrong", "Bearer ", "Bearer", f"Basic {SECRET}", SECRET, "Bearer sécrét", f"Bearer {SECRET}x"],
)
async def test_without_the_token_the_socket_is_closed(guarded: str, header: str | None) -> None:
    """4401 tells a client to give up, which a failed handshake would not."""
    headers = {} if header is None else {"Authorization": header}
    assert await closed_with(guarded, headers=headers) == 4401


async def test_a_bearer_comes_in(guarded: str) -> None:
    """Scripts bring the token along; the scheme's case does not matter."""
    for scheme in ("Bearer", "bearer"):
        async with WireClient.connect(guarded, headers={"Authorization": f"{scheme} {SECRET}"}) as client:
            assert client.seen[0]["owner"] == "local"


async def test_a_browser_logs_in_for_a_cookie(guarded: str) -> None:
    """The token is exchanged for a cookie that no script of a page can read, and that goes to no other site."""
    page = {"Origin": guarded.rstrip("/")}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=page) as http:
        for given, status in ((b"wrong", 401), (b"", 401), (b"\xff\xfe", 401), (SECRET.encode() * 500, 413)):
            async with http.post(f"{guarded}login", data=given) as response:
                assert response.status == status
                assert "Set-Cookie" not in response.headers
        async with http.post(f"{guarded}login", data=SECRET.encode()) as response:
            assert response.status == 204
            cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        async with http.ws_connect(f"{guarded}ws/generate") as ws:
            assert (await ws.receive_json())["type"] == "welcome"


async def test_a_wrong_cookie_stays_out(guarded: str) -> None:
    """A cookie that somebody made up is worth nothing, whatever bytes are in it."""
    for value in ("wrong", "s\u00e9cr\u00e9t"):
        assert await closed_with(guarded, headers={"Cookie": f"xinflight={value}"}) == 4401


async def test_a_token_does_not_excuse_a_foreign_page(guarded: str) -> None:
    """The cookie of a person who is logged in must not work for another website's page."""
    assert await knock(guarded, Authorization=f"Bearer {SECRET}", Origin="http://evil.example") == 403


async def test_the_sub_protocol(serve: Serve) -> None:
    """Ours or none asked for is spoken; only others is 4406, with ours in the reason."""
    url = await serve(xinference_url=NOBODY)
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{url}ws/generate", protocols=("x", "xinflight.v1.json")) as ws:
            assert ws.protocol == "xinflight.v1.json"
            assert (await ws.receive_json())["type"] == "welcome"
        async with http.ws_connect(f"{url}ws/generate", protocols=("graphql-ws",)) as ws:
            message = await ws.receive()
            assert ws.close_code == 4406
            assert "xinflight.v1.json" in str(message.extra)


async def test_beyond_loopback_the_server_makes_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: AsyncExitStack
) -> None:
    """The first URL has it in its fragment; without it nobody comes in. With `auth` none nobody needs one."""
    # It must not really be reachable from elsewhere in a test.
    monkeypatch.setattr(serve_module, "is_loopback", lambda host: False)
    settings = Settings(port=0, data_dir=str(tmp_path), xinference_url=NOBODY, drain=0.0)
    async with serving(settings, demo=False) as (url, _):
        base, _, fragment = url.partition("#token=")
        assert fragment not in (tmp_path / "tokens.json").read_text()
        assert await closed_with(base) == 4401
        assert await closed_with(base, headers={"Authorization": f"Bearer {fragment}"}) is None
        page = {"Origin": base.rstrip("/")}
        async with aiohttp.ClientSession(headers=page) as http, http.post(f"{base}login", data=fragment) as response:
            assert response.status == 204
    async with serving(settings, demo=False) as (url, _):
        assert "#" not in url
        assert await closed_with(url, headers={"Authorization": f"Bearer {fragment}"}) is None
    open_settings = Settings(port=0, data_dir=str(tmp_path), xinference_url=NOBODY, drain=0.0, auth="none")
    async with serving(open_settings, demo=False) as (url, _):
        assert "#" not in url
        assert await closed_with(url) is None
