"""Every way to log in, in a real browser: none, anonymous, JSON Web Tokens, a proxy, and a host's own sessions."""

import asyncio
import base64
import importlib.util
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import jwt
import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, expect

from clients import Recorder, ShiftedClock, eventually, hosted
from conftest import Serve
from page_kit import QUICK, SOCKETS, generate, is_shown, live, tiles
from reverse_proxy import log_in_proxy
from xinflight.app import setup
from xinflight.settings import Settings

pytest_plugins = ["page_fixtures"]

EXAMPLE = Path(__file__).parent.parent / "examples" / "with_sessions.py"
SECRET = b"a secret of at least 32 bytes for HS256"


@pytest.fixture
async def upstream(emulate: Serve) -> str:
    """Give the URL of an engine that draws at once."""
    return await emulate(Recorder([QUICK]))


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Give a browser of its own."""
    context = await browser.new_context(locale="en")
    yield context
    await context.close()


async def visit(context: BrowserContext, url: str) -> Page:
    """Open a page."""
    page = await context.new_page()
    await page.add_init_script(SOCKETS)
    await page.goto(url)
    return page


async def shows_no_log_in(page: Page) -> None:
    for part in ("sign-in", "who", "sign-out"):
        await expect(page.get_by_test_id(part)).to_be_hidden()


async def test_none(context: BrowserContext, serve: Serve, upstream: str) -> None:
    """Nothing about a log-in is on the page, and no cookie is set."""
    page = await visit(context, await serve(xinference_url=upstream, default_size="64x64"))
    await live(page)
    await shows_no_log_in(page)
    await is_shown(tiles(await generate(page, "a boat")).first)
    assert await context.cookies() == []


async def test_anonymous(browser: Browser, context: BrowserContext, serve: Serve, upstream: str) -> None:
    """Two browsers are two owners: each has its own images from the first load on, and nobody else's."""
    url = await serve(xinference_url=upstream, default_size="64x64", auth="anonymous")
    page = await visit(context, url)
    (cookie,) = await context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    await live(page)
    await shows_no_log_in(page)
    image = tiles(await generate(page, "a boat of the first")).first
    await is_shown(image)
    address = await image.get_by_test_id("image").get_attribute("src")
    again = await visit(context, url)
    await expect(again.get_by_test_id("generation")).to_have_count(1)
    await is_shown(tiles(again.get_by_test_id("generation")).first)
    other = await browser.new_context(locale="en")
    stranger = await visit(other, url)
    await live(stranger)
    await expect(stranger.get_by_test_id("empty")).to_be_visible()
    answer = await stranger.request.get(str(address))
    assert answer.status == 404
    owners = [(await one.cookies())[0]["value"] for one in (context, other)]
    assert owners[0] != owners[1]
    await other.close()


HOST_PAGE = """<!doctype html><title>Host</title><p id="state"></p><div id="images"></div>
<script type="module">
  const { Xinflight } = await import("/images/assets/client/xinflight.js");
  let asked = 0;
  const client = new Xinflight("/images/ws/generate", {
    token: async () => (await fetch(`/token?n=${++asked}`)).text(),
  });
  const state = document.getElementById("state");
  client.on("status", ({ state: now }) => (state.dataset.state = now));
  client.on("welcome", ({ owner }) => (state.textContent = owner));
  client.on("unauthorised", ({ reason }) => (state.textContent = `refused: ${reason}`));
  client.on("task", (task) => task.on("event", ({ type, url: src }) => {
    if (type === "output") document.getElementById("images").append(Object.assign(new Image(), { src }));
  }));
  Object.assign(window, { client });
  client.connect();
</script>"""


async def test_jwt(context: BrowserContext, clock: ShiftedClock, upstream: str, tmp_path: Path) -> None:
    """A page of the host gives the library a token function: its tokens are renewed, and a wrong one is told once."""
    given: list[str] = []
    user = "ann"

    async def token(request: web.Request) -> web.Response:
        claims = {"sub": user, "aud": "art", "exp": int(clock.time()) + 120}
        given.append(jwt.encode(claims, SECRET if user else b"wrong" * 10, "HS256"))
        return web.Response(text=given[-1])

    async def asked_again(before: int) -> None:
        await eventually(lambda: len(given) > before)

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=HOST_PAGE, content_type="text/html")

    keys = tmp_path / "keys.json"
    keys.write_text(
        json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": base64.urlsafe_b64encode(SECRET).decode()}]})
    )
    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/token", token)])
    settings = Settings(
        xinference_url=upstream, default_size="64x64", drain=0.0, auth="jwt", jwt_keys=str(keys), jwt_audience="art"
    )
    setup(app, settings, prefix="/images", page=True, clock=clock)
    async with hosted(app) as url:
        client = await visit(context, url)
        state = client.locator("#state")
        await expect(state).to_have_text("ann")
        await client.evaluate("client.generate({ prompt: 'a boat', steps: 2 })")
        # It has neither a cookie nor a header to send along: the address of the image is signed.
        await expect(client.locator("#images img")).to_have_count(1)
        await client.wait_for_function("document.querySelector('#images img').naturalWidth > 0")
        assert await context.cookies() == []
        for _ in range(2):
            # The token and a minute of tolerance: a minute before that ends, the next one is sent.
            before = len(given)
            clock.advance(121)
            await asked_again(before)
            await expect(state).to_have_attribute("data-state", "live")
        user = ""
        clock.advance(600)
        await expect(state).to_contain_text("refused")
        assert len(given) <= 5
        await client.close()


async def test_a_proxy(context: BrowserContext, serve: Serve, upstream: str) -> None:
    """Who has logged in at the proxy; the page shows the name, and has no form of its own."""
    server = await serve(
        xinference_url=upstream, default_size="64x64", auth="proxy", trusted_proxies=("127.0.0.1",), heartbeat=1.0
    )
    async with log_in_proxy(server) as (url, proxy):
        proxy.user = "ann@example.org"
        page = await visit(context, url)
        await live(page)
        await expect(page.get_by_test_id("who")).to_have_text("ann@example.org")
        await expect(page.get_by_test_id("sign-out")).to_be_hidden()
        await is_shown(tiles(await generate(page, "a boat of ann")).first)
        proxy.user = "bob@example.org"
        other = await visit(context, url)
        await expect(other.get_by_test_id("who")).to_have_text("bob@example.org")
        await expect(other.get_by_test_id("empty")).to_be_visible()
        proxy.user = None
        nobody = await visit(context, url)
        await expect(nobody.get_by_test_id("sign-in-reload")).to_be_visible()
        await expect(nobody.get_by_test_id("sign-in-form")).to_be_hidden()
        proxy.user = "ann@example.org"
        await nobody.get_by_test_id("sign-in-reload").click()
        await expect(nobody.get_by_test_id("generation")).to_have_count(1)
        for one in (page, other, nobody):
            await one.close()


NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  map $arg_as $user {{ default $cookie_user; ~. $arg_as; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      add_header Set-Cookie user=$user;
      proxy_pass {upstream};
      proxy_set_header X-Forwarded-User $user;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_buffering off;
    }}
  }}
}}
"""


async def test_nginx(
    context: BrowserContext, serve: Serve, upstream: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    """As in the README, with a parameter in place of a company's log-in; the header of a client is dropped."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("the log-in by a proxy must be tried with nginx in CI, and it is not installed")
    if program is None:
        pytest.skip("nginx is not installed")
    server = await serve(xinference_url=upstream, default_size="64x64", auth="proxy", trusted_proxies=("127.0.0.1",))
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, port=unused_tcp_port, upstream=server.rstrip("/")))
    process = await asyncio.create_subprocess_exec(program, "-c", str(config), "-e", str(tmp_path / "error.log"))
    try:
        url = f"http://127.0.0.1:{unused_tcp_port}/"
        await eventually((tmp_path / "pid").exists)
        forged = await context.request.get(f"{url}api/v1/models", headers={"X-Forwarded-User": "root"})
        assert forged.status == 401
        page = await visit(context, f"{url}?as=ann")
        await live(page)
        await expect(page.get_by_test_id("who")).to_have_text("ann")
        await is_shown(tiles(await generate(page, "a boat")).first)
        await page.close()
    finally:
        process.terminate()
        await process.wait()


def example() -> ModuleType:
    """Load the example of a host with aiohttp-session."""
    spec = importlib.util.spec_from_file_location("with_sessions", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def log_in(page: Page, url: str, name: str, password: str) -> None:
    await page.goto(f"{url}log-in")
    await page.get_by_placeholder("Name").fill(name)
    await page.get_by_placeholder("Password").fill(password)
    await page.get_by_role("button").click()


# aiohttp-session keeps the session of a request under a plain text.
@pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")
async def test_sessions_of_the_host(context: BrowserContext, clock: ShiftedClock, upstream: str) -> None:
    """The example: its log-in decides whose page it is, and an open page ends with the session."""
    settings = Settings(xinference_url=upstream, default_size="64x64", drain=0.0)
    module = example()
    async with hosted(module.create_app(settings, clock=clock)) as url:
        page = await visit(context, f"{url}images/")
        await expect(page.get_by_test_id("sign-in-reload")).to_be_visible()
        await log_in(page, url, "ann", "wrong")
        assert page.url.endswith("/log-in")
        await log_in(page, url, "ann", "sesame")
        await live(page)
        await expect(page.get_by_test_id("who")).to_have_text("ann")
        await is_shown(tiles(await generate(page, "a boat of ann")).first)
        other = await context.new_page()
        await log_in(other, url, "bob", "open")
        await expect(other.get_by_test_id("who")).to_have_text("bob")
        await expect(other.get_by_test_id("empty")).to_be_visible()
        # The first tab is bob's now, too: when it connects again, nothing of ann's is left.
        await page.evaluate("window.sockets.at(-1).close()")
        await expect(page.get_by_test_id("who")).to_have_text("bob")
        await expect(page.get_by_test_id("generation")).to_have_count(0)
        await page.get_by_test_id("prompt").fill("what bob types")
        clock.advance(module.SESSION + 1)
        await expect(page.get_by_test_id("sign-in-reload")).to_be_visible()
        await expect(page.get_by_test_id("prompt")).to_have_value("what bob types")
        await page.close()
        await other.close()
