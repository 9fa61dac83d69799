"""Every route of an application, found by enumeration, so that a new one can't be forgotten: headers and CSRF."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from clients import hosted
from xinflight.app import setup
from xinflight.auth import TokenFile
from xinflight.settings import Settings

ALWAYS = {
    "X-Content-Type-Options": {"nosniff"},
    "Referrer-Policy": {"same-origin", "no-referrer"},
    "Cross-Origin-Resource-Policy": {"same-origin", "cross-origin"},
    "Cross-Origin-Opener-Policy": {"same-origin"},
}
SAFE = {"GET", "HEAD", "OPTIONS"}
FOR_ADMINS = {"/api/v1/notices", "/api/v1/admin/drain", "/api/v1/admin/hold", "/api/v1/admin/release"}
EVIL = "https://evil.example"
UPLOADS = "/api/v1/uploads"
FORMS = {"/v1/images/edits", "/v1/images/variations"}
FOR_PAGES = {"/login", "/logout"}
"""Only a page of the server itself may use these."""


def application(folder: str) -> web.Application:
    """Return an application with everything that a gateway can mount."""
    app = web.Application()
    settings = Settings(xinference_url="http://127.0.0.1:9", drain=0.0, auth="tokens", data_dir=folder, metrics=True)
    setup(app, settings, page=True)
    return app


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route, with something in the place of each variable part."""
    found = []
    for route in application("nowhere").router.routes():
        assert route.resource is not None
        path = re.sub(r"{index[^{}]*({[^}]*})?[^{}]*}", "0", route.resource.canonical)
        found.append((route.method, re.sub(r"{[^}]*}", "none", path)))
    return sorted(set(found))


ROUTES = routes()
CHANGING = [(method, path) for method, path in ROUTES if method not in SAFE]


@pytest.fixture
async def ann(tmp_path: Path) -> dict[str, str]:
    """Give the credentials of an owner, beside a cookie of somebody else's."""
    token, _ = await asyncio.to_thread(TokenFile(tmp_path).add, "ann", now=0.0)
    return {"Authorization": f"Bearer {token}", "Cookie": "a=b"}


@pytest.fixture
async def url(ann: dict[str, str], tmp_path: Path) -> AsyncIterator[str]:
    async with hosted(application(str(tmp_path))) as url:
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


async def test_every_answer_is_protected(url: str, ann: dict[str, str]) -> None:
    """With credentials and without them, whatever comes of it; nothing may be framed or run what is not its own."""
    for method, path in ROUTES:
        for credentials in (ann, {}):
            told = method, path, credentials
            response = await ask(url, method, path, credentials)
            for name, allowed in ALWAYS.items():
                assert response.headers.get(name) in allowed, (name, *told)
            assert "Permissions-Policy" in response.headers, told
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy, told
            if response.content_type == "text/html":
                assert "frame-ancestors 'none'" in policy, told
                assert "base-uri 'none'" in policy, told
            assert "unsafe" not in policy, told
            assert "*" not in policy, told


async def test_another_website_changes_nothing(url: str, ann: dict[str, str]) -> None:
    """By its Origin, an opaque one, or by what the browser says of it; credentials don't help."""
    for method, path in CHANGING:
        for headers in (
            {"Origin": EVIL},
            {"Origin": "null"},
            {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            response = await ask(url, method, path, {**ann, "Content-Type": "application/json", **headers}, b"{}")
            assert response.status == 403, (method, path, headers)
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_form_with_cookies_and_without_an_origin_changes_nothing(url: str, ann: dict[str, str]) -> None:
    for method, path in CHANGING:
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            for body in (b'{"prompt":"boat"}', b""):
                response = await ask(url, method, path, {**ann, "Content-Type": content_type}, body)
                assert response.status == 415, (method, path, content_type, body)


async def test_the_servers_own_page_and_scripts_are_not_hindered(url: str, ann: dict[str, str]) -> None:
    own = url.rstrip("/")
    for method, path in CHANGING:
        for headers in ({"Origin": own, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "same-origin"}, {}):
            media_type = "image/png" if path == UPLOADS else "application/json"
            media_type = "multipart/form-data" if path in FORMS else media_type
            sent = {**ann, "Content-Type": media_type, **headers}
            response = await ask(url, method, path, sent, b'{"prompt":""}')
            allowed = path not in FOR_ADMINS and (bool(headers) or path not in FOR_PAGES)
            # A page sends a form with its Origin; a script has no cookie.
            allowed = allowed and (path not in FORMS or "Origin" in headers)
            assert (response.status not in (403, 415)) == allowed, (method, path, headers)


async def test_another_websites_socket_is_refused(url: str, ann: dict[str, str]) -> None:
    async with aiohttp.ClientSession(url) as http:
        for origin in (EVIL, "null"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with http.ws_connect("/ws/generate", headers={**ann, "Origin": origin}):
                    pass
            assert refused.value.status == 403
