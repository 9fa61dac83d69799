"""Fixtures with a real Chromium; a test module takes them with `pytest_plugins = ["page_fixtures"]`.

One Chromium serves all tests of a worker. Each test connects to it on its own event loop and has contexts of its own,
so that cookies, storage and cache of one test are unknown to the next.
"""

import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from clients import Recorder
from conftest import Serve
from page_kit import QUICK, SOCKETS, Open, Studio, chromium_path, live

NO_SERVER = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET")
"""What the browser says of a server that is gone, or that died during a handshake."""
BLOCKED = "Service Worker registration blocked by Playwright"
ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """Start Chromium once; return the address at which it is controlled."""
    path = chromium_path()
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        profile = Path(folder)
        command = [path, *ARGS, f"--user-data-dir={profile}", "about:blank"]
        with (profile / "stderr").open("wb") as stderr:
            process = subprocess.Popen(command, stdout=stderr, stderr=stderr, start_new_session=True)
        try:
            yield f"http://127.0.0.1:{_debugging_port(process, profile)}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _debugging_port(process: "subprocess.Popen[bytes]", profile: Path) -> str:
    """Wait for the file in which Chromium says where it listens; its first line is the port."""
    told = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while not told.exists() or "\n" not in told.read_text():
        assert process.poll() is None, (profile / "stderr").read_text(errors="replace")[-2000:]
        assert time.monotonic() < deadline, "Chromium does not say where it listens"
        time.sleep(0.02)
    return told.read_text().splitlines()[0]


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """Connect to the one Chromium; the contexts of the test are closed after it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(chromium)
        yield browser
        for context in browser.contexts[1:]:
            await context.close()
        await browser.close()


@pytest.fixture
async def open_page(browser: Browser, stack: AsyncExitStack) -> AsyncIterator[Open]:
    """Open the page of a server, live; afterwards nothing may have been complained of in any console.

    Where `restarts`, the browser may say that it found no server, or one that died during the handshake; where
    `missing`, that something is not there. Pages close before the servers that `stack` holds.
    """
    complaints: list[str] = []

    async with AsyncExitStack() as pages:

        async def open_page(
            url: str, *, lang: str = "en", width: int = 1280, restarts: bool = False, missing: bool = False
        ) -> Page:
            def hear(line: ConsoleMessage) -> None:
                forgiven = restarts and any(error in line.text for error in NO_SERVER)
                forgiven |= line.text == BLOCKED or (missing and "(Not Found)" in line.text)
                if line.type in ("error", "warning") and not forgiven:
                    complaints.append(line.text)

            # What a service worker loads is not seen by `page.route`, and busies a server that a test wants at rest.
            context = await browser.new_context(
                locale=lang, viewport={"width": width, "height": 800}, service_workers="block"
            )
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
async def studio(open_page: Open, emulate: Serve, serve: Serve) -> AsyncIterator[Studio]:
    """Serve a model with two replicas that draws at once, unless a prompt freezes it.

    What is still frozen at the end goes on: a server that stops waits for it.
    """
    engine = Recorder([QUICK])
    url = await serve(xinference_url=await emulate(engine), default_size="64x64")
    yield Studio(engine, url, open_page)
    engine.thaw()
