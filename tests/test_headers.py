"""What protects answers in browsers, and what an answer does not tell."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from clients import WireClient, hosted
from xinflight.app import setup
from xinflight.settings import Settings

PROTECTED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def headers(url: str, **sent: str) -> tuple[int, dict[str, str | None]]:
    """Return the status of an answer and those headers of it that are looked at here."""
    async with aiohttp.ClientSession() as http, http.get(url, headers=sent) as response:
        return response.status, {name: response.headers.get(name) for name in (*PROTECTED, "Server")}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 200),
        ("assets/page/main.js", 200),
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


async def test_refusals_are_protected(server: str) -> None:
    for path in ("", "api/v1/models", "ws/generate"):
        found = await headers(f"{server}{path}", Host="evil.example")
        assert found == (403, {**PROTECTED, "Server": None})


async def test_an_unknown_path_tells_no_version(server: str) -> None:
    assert (await headers(f"{server}nothing/here"))[1]["Server"] is None


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
    assert [own[name] for name in PROTECTED] == [None] * 3
    status, ours = await headers(f"{embedded}art/images/")
    assert status == 200
    assert [ours[name] for name in PROTECTED] == list(PROTECTED.values())


async def test_the_page_connects_to_its_own_server_only(server: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(server) as response:
        policy = response.headers["Content-Security-Policy"]
    assert "connect-src 'self';" in policy
    assert "ws:" not in policy
