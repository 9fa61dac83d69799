"""Every state of the page, in every language, theme and width: what axe-core finds, reflow, sizes, focus, motion."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Browser, Page

from conftest import Serve
from node_tools import AXE, node_tools
from page_checks import COLOURS, axe, cut_off, too_small, too_wide, walked
from page_forced import forced
from page_motion import WATCH, moved
from page_world import World, all_scenes, settle

pytest_plugins = ["page_fixtures"]

SCENES = {**all_scenes()}
SPECIFICATIONS = SCENES.pop("specifications")

WIDTHS = {360: 740, 768: 1024, 1440: 900, 2560: 1440}
"""Of a phone, a tablet, a laptop, and a large screen; and their heights, in CSS pixels."""
THUMB = 44
POINTER = 24
"""The least sizes of what is pressed, by a thumb and by a mouse."""
NARROW = 900
"""Up to this width the page is laid out for fingers."""


@pytest.fixture
async def world(browser: Browser, emulate: Serve, serve: Serve, stack: AsyncExitStack) -> AsyncIterator[World]:
    axe_core = (node_tools(AXE) / "node_modules" / "axe-core" / "axe.min.js").read_text()
    async with AsyncExitStack() as pages:
        yield World(browser, emulate, serve, pages, scripts=[axe_core])


async def looked_at(page: Page, sizes: Mapping[int, int] = WIDTHS) -> list[str]:
    """Return what axe-core finds in each theme and width, and what it can't see."""
    found = []
    for width, height in sizes.items():
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme="light")
        await settle(page)
        finds = [*await axe(page), *await too_wide(page), *await cut_off(page)]
        finds += await too_small(page, THUMB if width <= NARROW else POINTER)
        await page.emulate_media(color_scheme="dark")
        await settle(page)
        finds += [f"dark: {find}" for find in await axe(page, COLOURS)]
        finds += [f"forced colours: {find}" for find in await forced(page)]
        found += [f"{width} px: {find}" for find in finds]
    return found


ENLARGED = {1280: 1024, 640: 512, 320: 256}
"""A window of 1280 x 1024 as it is, at 200 % and at 400 %: the CSS pixels that are left (WCAG 1.4.4, 1.4.10)."""


async def enlarged(page: Page, sizes: Mapping[int, int] = ENLARGED) -> list[str]:
    """Return what is cut off or scrolled to sideways, and what has the focus unmarked or covered by what floats."""
    found = []
    for width, height in sizes.items():
        await page.set_viewport_size({"width": width, "height": height})
        await settle(page)
        finds = await too_wide(page)
        for place in await walked(page):
            if not place["seen"]:
                finds.append(f"{place['name']} has the focus and is not seen")
            if not place["marked"]:
                finds.append(f"{place['name']} has the focus and is not marked")
        found += [f"{width} px: {find}" for find in finds]
    return found + [f"spaced: {find}" for find in (*await too_wide(page), *await cut_off(page, spaced=True))]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
async def test_every_state_is_accessible(world: World, name: str) -> None:
    page = await SCENES[name](world)
    assert await looked_at(page) == []
    assert await enlarged(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
async def test_every_state_is_accessible_in_chinese_and_without_motion(world: World, name: str) -> None:
    world.lang = "zh-CN"
    world.options = {"reduced_motion": "reduce"}
    world.scripts.append(WATCH)
    page = await SCENES[name](world)
    assert await looked_at(page) == []
    assert await moved(page) == []


@pytest.mark.slow
async def test_the_specifications_are_accessible(world: World) -> None:
    """They have thousands of cells, two layouts, and one language; and nothing in them changes."""
    page = await SPECIFICATIONS(world)
    assert await looked_at(page, {360: 740, 1440: 900}) == []
    assert await enlarged(page, {320: 256}) == []
