"""Fixtures with a real Chromium; a test module takes them with `pytest_plugins = ["page_fixtures"]`."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from page_kit import SOCKETS, Open, chromium, live

ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGS)
        yield browser
        await browser.close()


@pytest.fixture
async def open_page(browser: Browser, stack: AsyncExitStack) -> AsyncIterator[Open]:
    """Open the page of a server, live; afterwards nothing may have been complained of in any console.

    Where `restarts`, the browser may say that it found no server. Pages close before the servers that `stack` holds.
    """
    complaints: list[str] = []

    async with AsyncExitStack() as pages:

        async def open_page(url: str, *, lang: str = "en", width: int = 1280, restarts: bool = False) -> Page:
            def hear(line: ConsoleMessage) -> None:
                forgiven = restarts and "ERR_CONNECTION_REFUSED" in line.text
                if line.type in ("error", "warning") and not forgiven:
                    complaints.append(line.text)

            context = await browser.new_context(locale=lang, viewport={"width": width, "height": 800})
            pages.push_async_callback(context.close)
            page = await context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", hear)
            await page.add_init_script(SOCKETS)
            await page.goto(url)
            await live(page)
            return page

        yield open_page
    assert complaints == []


@pytest.fixture
async def visit(open_page: Open, demo_url: str) -> Open:
    """Open the page of the demo, live."""

    async def visit(*, lang: str = "en", width: int = 1280) -> Page:
        return await open_page(demo_url, lang=lang, width=width)

    return visit
