"""What protects answers in browsers, and what an answer does not tell."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from clients import WireClient, hosted
from conftest import Serve
from xinflight.app import setup
from xinflight.settings import Settings
from xinflight.web.headers import PROTECTION_OF_PARTS

PROTECTED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


async def headers(url: str, **sent: str) -> tuple[int, dict[str, str | None]]:
    """Return the status of an answer and those headers of it that are looked at here."""
    async with aiohttp.ClientSession() as http, http.get(url, headers=sent) as response:
        return response.status, {name: response.headers.get(name) for name in (*PROTECTED, "Server")}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 200),
        ("assets/favicon.svg", 200),
        ("assets/words/en.json", 200),
        ("assets/nothing.js", 404),
        ("assets/a%00b", 404),
        ("docs/", 200),
        ("docs/openapi.json", 200),
        ("healthz", 200),
        ("api/v1/models", 200),
        ("api/v1/tasks/nothing", 404),
        ("v1/models", 200),
        ("outputs/nothing", 404),
        ("ws/generate", 400),
    ],
)
async def test_every_answer_is_protected(server: str, path: str, status: int) -> None:
    assert await headers(f"{server}{path}") == (status, {**PROTECTED, "Server": None})


@pytest.mark.parametrize("path", ["assets/page/main.js", "assets/styles/style.css"])
async def test_parts_of_a_page_have_what_limits_parts(server: str, path: str) -> None:
    """A policy of what a document may do says nothing of a script or a stylesheet; other websites can't load them."""
    parts = {**dict.fromkeys(PROTECTED), **PROTECTION_OF_PARTS}
    assert await headers(f"{server}{path}") == (200, {**parts, "Server": None})


async def test_a_worker_has_a_policy(server: str) -> None:
    """It is a script that a browser gives a world of its own."""
    async with aiohttp.ClientSession() as http:
        async with http.get(server) as response:
            found = re.search(r"assets/v-[0-9a-f]+/", await response.text())
        assert found
        async with http.get(f"{server}{found[0]}worker.js") as response:
            assert response.headers["Content-Security-Policy"] == "default-src 'none'; connect-src 'self'"


async def test_refusals_are_protected(server: str) -> None:
    for path in ("", "api/v1/models", "ws/generate"):
        found = await headers(f"{server}{path}", Host="evil.example")
        assert found == (403, {**PROTECTED, "Server": None})


async def test_an_unknown_path_is_protected(server: str) -> None:
    assert await headers(f"{server}nothing/here") == (404, {**PROTECTED, "Server": None})


async def test_images_are_shown_by_own_pages_only(client: WireClient) -> None:
    await client.ask(action="generate", prompt="boat", task_id="a", steps=1)
    url = (await client.ends("a"))["a"]["data"]["data"][0]["url"]
    assert await headers(url) == (200, {**PROTECTED, "Server": None})


async def test_a_socket_tells_no_version(client: WireClient) -> None:
    assert "Server" not in client.ws._response.headers


@pytest.fixture
async def embedded() -> AsyncIterator[str]:
    """Give the URL of an application with a route of its own and a gateway below /images."""

    async def own(request: web.Request) -> web.Response:
        return web.Response(text="the host's own")

    app = web.Application()
    app.router.add_get("/", own)
    setup(app, Settings(xinference_url="http://127.0.0.1:9", drain=0.0), prefix="/images", page=True)
    parent = web.Application()
    parent.add_subapp("/art", app)
    async with hosted(parent) as url:
        yield url


async def test_a_hosts_own_answers_are_left_alone(embedded: str) -> None:
    status, own = await headers(f"{embedded}art/")
    assert status == 200
    assert [own[name] for name in PROTECTED] == [None] * len(PROTECTED)
    status, ours = await headers(f"{embedded}art/images/")
    assert status == 200
    assert [ours[name] for name in PROTECTED] == list(PROTECTED.values())


async def test_the_page_may_load_and_run_only_what_is_its_own(server: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(server) as response:
        header = response.headers["Content-Security-Policy"]
    policy = {name: sources for name, *sources in (part.split() for part in header.split("; "))}
    assert policy["default-src"] == ["'none'"]
    assert policy["connect-src"] == policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["img-src"] == ["'self'", "blob:"]
    assert policy["media-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert "unsafe" not in header


async def test_a_custom_page_can_not_be_framed(serve: Serve, tmp_path: Path) -> None:
    """What it loads is its own business."""
    folder = tmp_path / "page"
    folder.mkdir()
    for name in ("index.html", "more.html"):
        (folder / name).write_text("<script>document.title = 'mine'</script>")
    url = await serve(xinference_url="http://127.0.0.1:9", page=str(folder))
    async with aiohttp.ClientSession(url) as http:
        for path in ("/", "/more.html"):
            async with http.get(path) as response:
                assert response.status == 200
                assert response.headers["Content-Security-Policy"] == "object-src 'none'; frame-ancestors 'none'"


async def test_no_strict_transport_security(serve: Serve) -> None:
    """Not even behind a proxy that speaks TLS: that is the proxy's to say."""
    url = await serve(xinference_url="http://127.0.0.1:9", trusted_proxies=("127.0.0.1",))
    async with aiohttp.ClientSession(url) as http, http.get("/", headers={"X-Forwarded-Proto": "https"}) as response:
        assert response.status == 200
        assert "Strict-Transport-Security" not in response.headers
