"""Take the pictures of the page that the README shows: `make pictures` writes them into `docs/pictures`.

The page is served in front of the demo engine and looked at in Chromium, with images of several shapes on the sheet
and some in flight. It takes about two minutes, most of them the time that the demo draws.
"""

import asyncio
import io
import re
import tempfile
from pathlib import Path

from aiohttp import ClientSession
from msgspec import Struct
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright, expect

from page_kit import chromium_path, live
from xinflight.cli.server import serving
from xinflight.settings import Settings

__all__ = ["PICTURES", "VIEWS", "View"]

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
QUALITY = 78
"""Of the WebP files."""
MADE = [
    ("a red fishing boat in the fog at dawn", "1024x1024", 2),
    ("a small city folded from paper, isometric", "1216x832", 1),
    ("two cats asleep in a bookshop window", "832x1216", 1),
    ("竹林里的小屋，水墨", "1024x1024", 3),
    ("a planet with rings, seen from one of its moons", "1344x768", 1),
    ("mountain valley, first snow", "1024x1024", 4),
    ("a flower of glass, studio light", "768x1344", 2),
    ("月光下的红色帆船", "1216x832", 2),
    ("long exposure, a city seen from a hill", "1344x768", 2),
]
"""Prompt, size and number of what is on the sheet, the oldest first."""
ASKED = [
    ("a lighthouse in a storm, oil paint", "1024x1024", 2),
    ("竹林里的小屋，水墨", "832x1216", 1),
    ("harbour at noon, calm sea", "1216x832", 2),
]
"""What is in flight on each picture."""


class View(Struct, frozen=True, kw_only=True):
    """A picture: what it is called, how large the window is in CSS pixels, and what is seen."""

    name: str
    width: int
    height: int
    theme: str
    lang: str = "en"
    touch: bool = False
    image: bool = False
    """An image is open."""


VIEWS = [
    View(name="desktop-dark", width=1440, height=900, theme="dark"),
    View(name="image-dark", width=1440, height=900, theme="dark", image=True),
    View(name="tablet-light", width=768, height=1024, theme="light", touch=True),
    View(name="phone-light", width=360, height=740, theme="light", lang="zh-CN", touch=True),
    View(name="wide-light", width=2560, height=1440, theme="light"),
]


async def take(folder: Path) -> None:
    """Take all pictures into a folder that is there."""
    with tempfile.TemporaryDirectory() as data_dir:
        settings = Settings(port=0, data_dir=data_dir, drain=0.0)
        async with (
            serving(settings, demo=True) as (url, _),
            ClientSession(url) as session,
            async_playwright() as played,
        ):
            browser = await played.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
            await _ask(session, MADE)
            await _until_done(session)
            for view in VIEWS:
                await _picture(browser, session, url, view, folder / f"{view.name}.webp")
                await _cancel_all(session)
            await browser.close()


async def _ask(session: ClientSession, generations: list[tuple[str, str, int]]) -> None:
    for prompt, size, n in generations:
        body = {"prompt": prompt, "model": "demo-painter", "size": size, "n": n, "seed": len(prompt)}
        async with session.post("api/v1/tasks", json=body) as response:
            assert response.ok, await response.text()


async def _until_done(session: ClientSession) -> None:
    while True:
        async with session.get("api/v1/tasks", params={"state": "unfinished"}) as response:
            if not (await response.json())["tasks"]:
                return
        await asyncio.sleep(0.5)


async def _cancel_all(session: ClientSession) -> None:
    """Cancel what is in flight, so that each picture has the same images."""
    async with session.post("api/v1/tasks/cancel", json={}) as response:
        assert response.ok, await response.text()
    await _until_done(session)


async def _picture(browser: Browser, session: ClientSession, url: str, view: View, path: Path) -> None:
    context = await browser.new_context(
        viewport={"width": view.width, "height": view.height},
        color_scheme="dark" if view.theme == "dark" else "light",
        locale=view.lang,
        has_touch=view.touch,
        is_mobile=view.touch,
        device_scale_factor=1,
    )
    page = await context.new_page()
    await page.goto(url)
    await live(page)
    if view.image:
        await page.get_by_test_id("open").nth(4).click()
        await expect(page.get_by_test_id("viewer-image")).to_be_visible()
    else:
        await _ask(session, ASKED)
        await expect(page.get_by_test_id("progress").first).to_have_attribute(
            "aria-valuenow", re.compile("[4-9][0-9]")
        )
    await _seen(page)
    Image.open(io.BytesIO(await page.screenshot())).save(path, quality=QUALITY, method=6)
    await context.close()


async def _seen(page: Page) -> None:
    """Wait until all images in the document are there, and what moves has moved."""
    await page.wait_for_function("[...document.images].every(({ complete }) => complete)")
    await page.evaluate("Promise.allSettled(document.getAnimations().map(({ finished }) => finished))")


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    asyncio.run(take(PICTURES))
