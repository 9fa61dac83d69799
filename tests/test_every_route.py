"""Every route of an application, found by enumeration, so that a new one can't be forgotten: headers and CSRF."""

import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from clients import hosted
from streams import who
from xinflight.app import setup
from xinflight.settings import Settings

ALWAYS = {
    "X-Content-Type-Options": {"nosniff"},
    "Referrer-Policy": {"same-origin", "no-referrer"},
    "Cross-Origin-Resource-Policy": {"same-origin", "cross-origin"},
    "Cross-Origin-Opener-Policy": {"same-origin"},
}
SAFE = {"GET", "HEAD", "OPTIONS"}
FOR_ADMINS = {"/api/v1/notices", "/api/v1/admin/drain"}
EVIL = "https://evil.example"


def application() -> web.Application:
    """Return an application with everything that a gateway can mount."""
    app = web.Application()
    setup(app, Settings(xinference_url="http://127.0.0.1:9", drain=0.0), authenticate=who, page=True)
    return app


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route, with something in the place of each variable part."""
    found = []
    for route in application().router.routes():
        assert route.resource is not None
        path = re.sub(r"{index[^{}]*({[^}]*})?[^{}]*}", "0", route.resource.canonical)
        found.append((route.method, re.sub(r"{[^}]*}", "none", path)))
    return sorted(set(found))


ROUTES = routes()
CHANGING = [(method, path) for method, path in ROUTES if method not in SAFE]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with hosted(application()) as url:
        yield url


async def ask(url: str, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> aiohttp.ClientResponse:
    """Ask and return the answer without its body, since that of a stream does not end."""
    async with (
        aiohttp.ClientSession(url, skip_auto_headers=["Content-Type"]) as http,
        http.request(method, path, data=body or None, headers=headers, allow_redirects=False) as response,
    ):
        return response


def test_there_are_all_kinds_of_routes() -> None:
    assert len(ROUTES) > 30
    assert {"/", "/ws/generate", "/api/v1/events", "/v1/images/generations", "/docs/none", "/healthz"} <= {
        path for _, path in ROUTES
    }
    assert len(CHANGING) >= 5


@pytest.mark.parametrize("user", ["ann", ""])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_answer_is_protected(url: str, method: str, path: str, user: str) -> None:
    """With credentials and without them, whatever comes of it; nothing may be framed or run what is not its own."""
    response = await ask(url, method, path, {"X-User": user} if user else {})
    for name, allowed in ALWAYS.items():
        assert response.headers.get(name) in allowed, name
    assert "Permissions-Policy" in response.headers
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    if response.content_type == "text/html":
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_another_website_changes_nothing(url: str, method: str, path: str) -> None:
    """By its Origin, an opaque one, or by what the browser says of it; credentials don't help."""
    ann = {"X-User": "ann", "Cookie": "a=b"}
    for headers in (
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        response = await ask(url, method, path, {**ann, "Content-Type": "application/json", **headers}, b"{}")
        assert response.status == 403, headers
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_a_form_with_cookies_and_without_an_origin_changes_nothing(url: str, method: str, path: str) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        for body in (b'{"prompt":"boat"}', b""):
            headers = {"X-User": "ann", "Cookie": "a=b", "Content-Type": content_type}
            assert (await ask(url, method, path, headers, body)).status == 415, (content_type, body)


@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_the_servers_own_page_and_scripts_are_not_hindered(url: str, method: str, path: str) -> None:
    own = url.rstrip("/")
    for headers in ({"Origin": own, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "same-origin"}, {}):
        sent = {"X-User": "ann", "Cookie": "a=b", "Content-Type": "application/json", **headers}
        response = await ask(url, method, path, sent, b'{"prompt":""}')
        # For an admin only, whoever asks how.
        assert response.status not in (403, 415) or path in FOR_ADMINS, headers


async def test_another_websites_socket_is_refused(url: str) -> None:
    async with aiohttp.ClientSession(url) as http:
        for origin in (EVIL, "null"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with http.ws_connect("/ws/generate", headers={"Origin": origin, "X-User": "ann"}):
                    pass
            assert refused.value.status == 403
