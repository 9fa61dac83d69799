"""What the tests of the page share: ways to press its buttons and to look at its tiles."""

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from playwright.async_api import Locator, Page, expect

from clients import Recorder, WireClient, eventually, painter

SOON = 60_000
"""Milliseconds for whatever is waited for to come, on a machine that is busy with other things."""
SOCKETS = """
  window.sockets = [];
  window.away = false;
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      if (window.away) {
        const dead = { readyState: 0, close() {} };
        setTimeout(() => dead.onclose?.({ code: 1006 }), 20);
        return dead;
      }
      super(...args);
      window.sockets.push(this);
      this.caughtUp = new Promise((resolve) => {
        this.addEventListener("message", ({ data }) => {
          const { type, recovered } = JSON.parse(data);
          if (type === "recovered" && recovered) resolve();
        });
      });
    }
  };
"""
"""Keeps every socket of the page, and when the page has caught up on it; lets none out while `window.away`."""

expect.set_options(timeout=SOON)

Open = Callable[..., Awaitable[Page]]

QUICK = painter(step_seconds=0.0, decode_seconds=0.0, replicas=2)
FROZEN = " demo:freeze="
"""Behind it in a prompt: the number of steps after which the image stands still until the engine is thawed."""


@dataclass(frozen=True)
class Studio:
    """A server on an engine that does nothing by the clock."""

    engine: Recorder
    url: str
    _open: Open

    async def visit(self, *, lang: str = "en", width: int = 1280) -> Page:
        """Open the page, live."""
        return await self._open(self.url, lang=lang, width=width)

    async def abort(self, count: int = 1) -> None:
        """Wait until so many aborts have reached the engine, then let go what is frozen: the aborted ones stop."""
        await eventually(lambda: len(self.engine.aborts) >= count, timeout=SOON / 1000)
        self.engine.thaw()


def chromium_path() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        path = shutil.which(name)
        if path is not None:
            return path
    if os.environ.get("CI") == "true":
        pytest.fail("the page must be tested in CI, and no Chromium is installed")
    pytest.skip("no Chromium is installed")


async def live(page: Page) -> None:
    """Wait until there is a connection, and the parts are there that the page loads after that by itself."""
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    await expect(page.locator("html")).to_have_attribute("data-complete", "true")


async def caught_up(page: Page) -> None:
    """Wait until the page has a cursor from this connection: one that is cut off before lists everything again."""
    async with asyncio.timeout(SOON / 1000):
        await page.evaluate("sockets.at(-1).caughtUp")


async def lose_the_line(page: Page) -> None:
    """Cut the connection of a page that is live, once it can be resumed; no other comes until `find_the_line`."""
    await caught_up(page)
    await page.evaluate("window.away = true; sockets.at(-1).close()")
    await expect(page.get_by_test_id("connection")).not_to_have_attribute("data-state", "live")


async def find_the_line(page: Page) -> None:
    """Let the page connect again, at once instead of after its pause."""
    await page.evaluate("window.away = false; dispatchEvent(new Event('online'))")
    await live(page)


async def open_settings(page: Page) -> None:
    """Show what of the dock is not always on the screen."""
    if not await page.get_by_test_id("settings").is_visible():
        await page.get_by_test_id("settings-open").click()


async def generate(page: Page, prompt: str, *, steps: int = 10, n: int = 1) -> Locator:
    """Ask for images by the form; return the new generation."""
    # Others that come meanwhile, from other windows, have other prompts.
    alike = page.get_by_test_id("generation").filter(has_text=prompt)
    known = await task_ids(alike)
    await page.get_by_test_id("prompt").fill(prompt)
    # Only now: settings that lie over the field in which one writes are closed.
    await open_settings(page)
    await page.get_by_test_id("steps").fill(str(steps))
    await page.get_by_test_id("n").fill(str(n))
    await page.get_by_test_id("generate").click()
    await expect(alike).to_have_count(len(known) + 1)
    # It moves as others land; its id stays.
    [task] = set(await task_ids(alike)) - set(known)
    return page.locator(f'[data-task="{task}"]')


async def choose(row: Locator, act: str) -> None:
    """Choose an act from the menu of a row of the board."""
    await row.locator("[data-act=menu]").click()
    await row.page.get_by_test_id("menu").get_by_role("menuitem", name=act, exact=True).click()


async def task_ids(generations: Locator) -> list[str]:
    ids: list[str] = await generations.evaluate_all("all => all.map(({ dataset }) => dataset.task)")
    return ids


async def view(generation: Locator) -> Locator:
    """Open the first image or video of a generation in full size; return the view."""
    await tiles(generation).first.get_by_test_id("open").click()
    viewer = generation.page.get_by_test_id("viewer")
    await expect(viewer).to_be_visible()
    return viewer


async def facts(generation: Locator) -> dict[str, str]:
    """Return what the view tells of how a generation was made; the view is closed again."""
    viewer = await view(generation)
    told: dict[str, str] = await viewer.locator("[data-testid^=fact-]").evaluate_all(
        """all => Object.fromEntries(
            all.map((fact) => [fact.dataset.testid.slice(5), fact.querySelector("dd").textContent]))"""
    )
    await generation.page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()
    return told


def tiles(generation: Locator) -> Locator:
    return generation.get_by_test_id("tile")


async def has_state(tile: Locator, *states: str) -> None:
    await expect(tile).to_have_attribute("data-state", re.compile("|".join(states)))


async def is_shown(tile: Locator) -> None:
    """The image is there and its pixels came."""
    await expect(tile).to_have_attribute("data-loaded", "true")
    assert await tile.get_by_test_id("image").evaluate("image => image.naturalWidth") > 0


async def fits(page: Page) -> None:
    """Nothing is wider than the window, and whatever can be pressed is large enough for a thumb."""
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    small = await page.evaluate(
        """() => [...document.querySelectorAll("button, a, select, input, textarea, summary")]
            .filter((element) => element.checkVisibility())
            .map((element) => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
            // A hair less than 44 pixels is a matter of rounding.
            .filter(([, box]) => box.width < 43.9 || box.height < 43.9)
            .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""
    )
    assert small == [], small


async def view_large(studio: Studio) -> Page:
    """Open the newer one of two images that are larger than their frame when they are enlarged."""
    async with WireClient.connect(studio.url) as client:
        for task_id in ("older", "newer"):
            await client.ask(action="generate", prompt=task_id, task_id=task_id, size="1024x1024", steps=1)
            await client.ends(task_id)
    page = await studio.visit()
    viewer = await view(page.locator('[data-task="newer"]'))
    await expect(viewer.get_by_test_id("viewer-image")).to_have_js_property("complete", value=True)
    return page
