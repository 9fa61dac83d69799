"""The page where scripts or the server do not come: it says so, and tells what became of the running work."""

import re
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from clients import Recorder, hosted
from conftest import Serve
from page_kit import FROZEN, QUICK, SOON, generate, has_state, live, tiles
from xinflight.app import setup
from xinflight.settings import Settings
from xinflight.web import Handler

pytest_plugins = ["page_fixtures"]

AWAY = "http://127.0.0.1:9"


@pytest.fixture
async def context(browser: Browser) -> BrowserContext:
    return await browser.new_context(locale="en")


async def refuse(route: Route) -> None:
    await route.abort()


async def test_a_module_that_does_not_come_is_told_at_once(context: BrowserContext, serve: Serve) -> None:
    url = await serve(xinference_url=AWAY)
    page = await context.new_page()
    await page.route("**/first.js", refuse)
    await page.goto(url)
    loading = page.get_by_test_id("loading")
    await expect(loading).to_have_text("This page has not been loaded completely yet. Load again")
    await expect(loading).to_be_visible()
    await page.unroute("**/first.js")
    await loading.get_by_role("link").click()
    await live(page)
    await expect(loading).to_be_hidden()


async def test_scripts_that_do_not_come_at_all_are_told_after_a_while(context: BrowserContext, serve: Serve) -> None:
    url = await serve(xinference_url=AWAY)
    page = await context.new_page()
    await page.route("**/page/start.js", refuse)
    await page.goto(url)
    loading = page.get_by_test_id("loading")
    assert await loading.evaluate("element => element.getAnimations()[0].effect.getTiming().delay") == 10_000
    await expect(loading).to_be_hidden()
    await loading.evaluate("element => element.getAnimations()[0].finish()")
    await expect(loading).to_be_visible()


async def test_the_page_can_be_installed(context: BrowserContext, serve: Serve) -> None:
    url = await serve(xinference_url=AWAY)
    page = await context.new_page()
    await page.goto(url)
    manifest = await page.locator("link[rel=manifest]").evaluate("link => link.href")
    async with aiohttp.ClientSession() as http, http.get(manifest) as answer:
        assert answer.content_type == "application/manifest+json"
        content = await answer.json()
        for icon in content["icons"]:
            async with http.get(f"{manifest.rpartition('/')[0]}/{icon['src']}") as image:
                assert (image.status, image.content_type) == (200, icon["type"])
    below = await page.evaluate("([path, base]) => new URL(path, base).href", [content["start_url"], manifest])
    assert below == url
    session = await context.new_cdp_session(page)
    errors = await session.send("Page.getInstallabilityErrors")
    # What is opened in a private context can't be installed, and nothing else is wrong.
    assert {error["errorId"] for error in errors["installabilityErrors"]} <= {"in-incognito"}


async def kept(page: Page) -> list[str]:
    """Wait until the service worker has kept the page; return the URLs of all that it keeps."""
    await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    urls: list[str] = await page.evaluate("""async () => {
      const names = await caches.keys();
      const found = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
      return found.flat().map(({ url }) => url);
    }""")
    return urls


async def opened(context: BrowserContext, url: str) -> Page:
    """Open the page, live and kept; a second load goes through the service worker."""
    page = await context.new_page()
    await page.goto(url)
    await live(page)
    assert url in await kept(page)
    return page


@pytest.mark.parametrize("prefix", ["", "/deep/images"])
async def test_the_page_opens_without_its_server(
    context: BrowserContext, emulate: Serve, tmp_path: Path, prefix: str
) -> None:
    """With what it kept: itself and its files, in the language chosen last, and the number of what was under way."""
    engine = Recorder([QUICK])
    settings = Settings(xinference_url=await emulate(engine), default_size="64x64", data_dir=str(tmp_path), drain=0.0)
    app = web.Application()
    setup(app, settings, prefix=prefix, page=True)
    async with hosted(app) as root:
        url = f"{root.rstrip('/')}{prefix}/"
        page = await opened(context, url)
        await page.get_by_test_id("lang").click()
        await expect(page.get_by_test_id("generate")).to_contain_text("生成")
        in_chinese = """async (url) => (await (await caches.match(url)).text()).includes('<html lang="zh-CN"')"""
        while not await page.evaluate(in_chinese, url):
            await page.wait_for_timeout(20)
        done = await generate(page, "a gate")
        await has_state(tiles(done), "done")
        running = await generate(page, f"a heron{FROZEN}4")
        await has_state(tiles(running), "running")
        files = await kept(page)
        outside = [name for name in files if not re.fullmatch(re.escape(url) + r"(assets/v-[0-9a-f]{12}/.+)?", name)]
        assert outside == [], "no answer of the API, and no image"
    engine.thaw()
    connection = page.get_by_test_id("connection")
    await expect(connection).to_have_attribute("data-state", "reconnecting", timeout=SOON)
    # What is cancelled from here on the server does not hear.
    await tiles(running).get_by_test_id("cancel-image").click()
    await page.reload()
    await expect(connection).to_have_attribute("data-state", "reconnecting", timeout=SOON)
    await expect(page.get_by_test_id("away")).to_contain_text("你有一个任务正在进行")
    await expect(page.get_by_test_id("away")).to_contain_text("此后取消的任务，会在当时的标签页恢复连接后取消")
    await expect(page.get_by_test_id("generate")).to_contain_text("生成")


async def test_a_proxy_without_its_server_shows_the_page(context: BrowserContext) -> None:
    away = False

    @web.middleware
    async def proxy(request: web.Request, handler: Handler) -> web.StreamResponse:
        return web.Response(status=502, text="Bad Gateway") if away else await handler(request)

    app = web.Application(middlewares=[proxy])
    setup(app, Settings(xinference_url=AWAY, drain=0.0), page=True)
    async with hosted(app) as url:
        page = await opened(context, url)
        away = True
        answer = await page.reload()
        assert answer
        assert answer.from_service_worker
        await expect(page.get_by_test_id("generate")).to_contain_text("Generate")
        await expect(page.get_by_test_id("away")).to_contain_text("nothing of yours was under way")
        assert await page.evaluate("fetch('docs/').then(({ status }) => status)") == 502, "nothing else is kept"


async def test_each_of_two_gateways_keeps_its_own_page(context: BrowserContext) -> None:
    """The worker of one that is above another in the path answers for itself alone."""
    app = web.Application()
    settings = Settings(xinference_url=AWAY, drain=0.0)
    setup(app, settings, page=True)
    setup(app, settings, prefix="/other", name="other", page=True)
    async with hosted(app) as url:
        page = await opened(context, url)
        await page.get_by_test_id("lang").click()
        await expect(page.get_by_test_id("generate")).to_contain_text("生成")
        # Until it has a worker of its own, the nearest one is the worker above it.
        async with context.expect_event("serviceworker", lambda worker: worker.url.startswith(f"{url}other/")):
            await page.goto(f"{url}other/")
        await expect(page.get_by_test_id("generate")).to_contain_text("Generate")
        worker = await page.evaluate("navigator.serviceWorker.ready.then((worker) => worker.scope)")
        assert worker == f"{url}other/"
        await page.goto("about:blank")
    await page.goto(url)
    await expect(page.get_by_test_id("generate")).to_contain_text("生成")
    await page.goto(f"{url}other/")
    await expect(page.get_by_test_id("generate")).to_contain_text("Generate")


async def test_a_link_of_another_website_is_known_as_such_behind_the_worker(
    context: BrowserContext, serve: Serve
) -> None:
    """It could bring somebody else's token."""
    url = await serve(xinference_url=AWAY)
    page = await opened(context, url)
    trusted = "document.documentElement.dataset.trusted"
    await page.goto(url)
    assert await page.evaluate(f"[navigator.serviceWorker.controller !== null, {trusted}]") == [True, "true"]
    elsewhere = url.replace("127.0.0.1", "localhost")
    await page.route(
        "**/elsewhere", lambda route: route.fulfill(content_type="text/html", body=f"<a href={url}>go</a>")
    )
    await page.goto(f"{elsewhere}elsewhere")
    await page.get_by_role("link").click()
    await page.wait_for_url(url)
    assert await page.evaluate(f"[navigator.serviceWorker.controller !== null, {trusted}]") == [True, "false"]


async def test_a_part_that_does_not_come_is_told_with_a_way_out(
    context: BrowserContext, emulate: Serve, serve: Serve
) -> None:
    """What is there goes on: only what needs the part waits for the next attempt."""
    url = await serve(xinference_url=await emulate(Recorder([QUICK])), default_size="64x64")
    page = await context.new_page()
    await page.route("**/view/viewer.js", refuse)
    await page.goto(url)
    await live(page)
    made = await generate(page, "a gate")
    await has_state(tiles(made), "done")
    await tiles(made).get_by_test_id("open").click()
    toast = page.get_by_test_id("toast")
    await expect(toast).to_contain_text("A part of the page could not be loaded.")
    await expect(page.get_by_test_id("viewer")).to_be_hidden()
    await has_state(tiles(await generate(page, "another gate")), "done")
    await page.unroute("**/view/viewer.js")
    await toast.get_by_role("button", name="Load again").click()
    await expect(page.get_by_test_id("viewer")).to_be_visible()


async def test_what_is_loaded_later_is_kept_too(context: BrowserContext, serve: Serve) -> None:
    """An image, a chat and the brush open while the server is away, although the page has not needed them yet."""
    url = await serve(xinference_url=AWAY)
    names = {file.partition("/assets/")[2].partition("/")[2] for file in await kept(await opened(context, url))}
    later = {"page/view/viewer.js", "page/chat/chat.js", "page/dock/mask_editor.js", "page/account/account.js"}
    assert later | {"page/main.js", "styles/first.css", "words/zh-CN.json"} <= names
    assert "worker.js" not in names, "the browser keeps it"
