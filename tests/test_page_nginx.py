"""The page behind nginx, as it is shipped: with TLS and below a prefix, from the log-in to the image."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from playwright.async_api import Browser, expect

from clients import Recorder
from conftest import Serve
from nginx_process import SETTINGS, nginx
from page_kit import QUICK, generate, is_shown, live, tiles
from xinflight.auth import TokenFile
from xinflight.clock import SystemClock

pytest_plugins = ["page_fixtures"]


async def test_a_signed_in_page_draws(
    browser: Browser, emulate: Serve, serve: Serve, stack: AsyncExitStack, tmp_path: Path
) -> None:
    token, _ = await asyncio.to_thread(TokenFile(tmp_path / "data").add, "ann", now=SystemClock().time())
    server = await serve(
        xinference_url=await emulate(Recorder([QUICK])), default_size="64x64", auth="tokens", **SETTINGS
    )
    proxy = await stack.enter_async_context(nginx(server, tmp_path / "nginx", {}, prefix=True))
    context = await browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    # By address, since Chromium finds no host of a test's.
    await page.goto(f"https://127.0.0.1:{proxy.port}/images/#token={token}")
    await live(page)
    await expect(page.get_by_test_id("who")).to_have_text("ann")
    await is_shown(tiles(await generate(page, "a boat")).first)
    (cookie,) = await context.cookies()
    assert cookie["secure"]
    assert cookie["httpOnly"]
    assert cookie["path"] == "/images"
    await page.reload()
    await live(page)
    await expect(page.get_by_test_id("generation")).to_have_count(1)
    await context.close()
