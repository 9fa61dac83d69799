"""The sheet by keyboard: one stop for Tab, arrows from tile to tile, and the focus stays where tiles come and go."""

import pytest
from playwright.async_api import Page, expect

from clients import WireClient
from page_kit import FROZEN, Studio, generate, has_state, is_shown, tiles, view

pytest_plugins = ["page_fixtures"]

FOCUSED = """() => {
  const tile = document.activeElement.closest(".tile");
  return tile && `${tile.closest("[data-task]").dataset.task}/${tile.dataset.index}`;
}"""
STOPS = """() => [...document.querySelectorAll("#gallery :is(a, button)")]
  .filter((each) => each.tabIndex === 0 && each.checkVisibility())
  .map((each) => each.dataset.testid)"""
COUNT = "document.querySelectorAll('#gallery .tile').length"


async def sheet(studio: Studio, *, tasks: int, height: int) -> Page:
    """Open a sheet of rows of four images, each row a task; the newest is the first."""
    async with WireClient.connect(studio.url) as client:
        for number in range(tasks):
            await client.ask(action="generate", prompt="a boat", task_id=f"t{number}", n=4, size="64x64", steps=1)
        await client.ends(*(f"t{number}" for number in range(tasks)))
    page = await studio.visit(width=1060)
    await page.set_viewport_size({"width": 1060, "height": height})
    await is_shown(page.get_by_test_id("tile").first)
    return page


async def focused(page: Page) -> str:
    return str(await page.evaluate(FOCUSED))


async def press(page: Page, *keys: str) -> list[str]:
    """Press keys one after the other; return the tiles that have the focus then."""
    reached = []
    for key in keys:
        await page.keyboard.press(key)
        reached.append(await focused(page))
    return reached


async def test_tab_stops_once_on_the_sheet_and_goes_to_what_can_be_done_with_a_tile(studio: Studio) -> None:
    page = await sheet(studio, tasks=2, height=800)
    links = page.get_by_test_id("open")
    acts = ["open", "star", "reuse", "vary", "download", "delete"]
    assert await page.evaluate(STOPS) == acts
    # From the end of the dock: the first image, what can be done with it, and what follows the sheet.
    await page.get_by_test_id("form").locator("button:visible").last.focus()
    reached = []
    for _ in acts:
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.dataset.testid"))
    assert reached == acts
    assert await focused(page) == "t1/0"
    # The ring around it, four pixels wide with its distance, is not covered by the heading.
    heading, tile = page.locator(".day h3"), page.get_by_test_id("tile").first
    bottom = "heading => heading.getBoundingClientRect().bottom"
    assert await tile.evaluate("tile => tile.getBoundingClientRect().top") >= await heading.evaluate(bottom) + 4
    await page.keyboard.press("Tab")
    assert not await page.evaluate("gallery.contains(document.activeElement)")
    await page.keyboard.press("Shift+Tab")
    # From an act, an arrow goes to the image beside; Tab stops there when one comes back.
    assert await press(page, "ArrowRight") == ["t1/1"]
    await expect(links.nth(1)).to_be_focused()
    assert await page.evaluate(STOPS) == acts
    await page.get_by_test_id("prompt").focus()
    await links.nth(1).focus()
    await expect(links.nth(1)).to_have_attribute("tabindex", "0")
    await expect(page.get_by_test_id("gallery")).to_have_accessible_description(
        "Arrow keys go from image to image, Tab goes to what can be done with one."
    )


async def test_arrow_keys_walk_over_tiles_that_are_not_in_the_document_yet(studio: Studio) -> None:
    page = await sheet(studio, tasks=12, height=420)
    assert await page.evaluate(COUNT) < 48
    await page.get_by_test_id("open").first.focus()
    walked = await press(page, "ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowLeft")
    assert walked == ["t11/1", "t10/1", "t9/1", "t9/0", "t10/0", "t11/3"]
    assert await press(page, "End", "ArrowRight", "ArrowUp", "Home", "ArrowUp") == [
        "t0/3", "t0/3", "t1/3", "t11/0", "t11/0",
    ]  # fmt: skip
    await expect(page.locator(":focus")).to_be_in_viewport(ratio=1)
    [down] = await press(page, "PageDown")
    assert down in {"t10/0", "t9/0"}
    # Down to the end, each one seen.
    for _ in range(12):
        await page.keyboard.press("ArrowDown")
        await expect(page.locator(":focus")).to_be_in_viewport(ratio=1)
    assert await focused(page) == "t0/0"
    assert await page.evaluate(COUNT) < 48


async def test_the_focus_stays_on_a_tile_while_others_come_and_one_scrolls_away(studio: Studio) -> None:
    page = await sheet(studio, tasks=12, height=420)
    await page.get_by_test_id("open").nth(2).focus()
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await expect(page.locator('[data-task="t0"] .tile').last).to_be_in_viewport()
    async with WireClient.connect(studio.url) as client:
        await client.ask(action="generate", prompt="a fox", task_id="fox", n=2, size="64x64", steps=1)
        await client.ends("fox")
    await expect(page.get_by_test_id("counts")).to_have_text("50 ready")
    assert await focused(page) == "t11/2"
    await expect(page.locator('[data-task="t0"] .tile').last).to_be_in_viewport()
    # Without a focus on it, Tab stops at what is seen.
    await page.get_by_test_id("prompt").focus()
    await expect(page.locator('#gallery [tabindex="0"]:visible').first).to_be_in_viewport()


async def test_a_view_that_is_left_far_away_leads_to_its_tile(studio: Studio) -> None:
    page = await sheet(studio, tasks=12, height=420)
    viewer = await view(page.locator('[data-task="t11"]'))
    await page.evaluate(
        "history.replaceState(null, '', '#image=t0/3');"
        "dispatchEvent(new HashChangeEvent('hashchange', { oldURL: location.href, newURL: location.href }))"
    )
    await expect(page.locator("#viewer-title")).to_contain_text("4 of 4")
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()
    await expect(page.locator('[data-task="t0"] [data-index="3"]').get_by_test_id("open")).to_be_focused()


async def test_arrow_keys_go_to_what_is_in_flight_and_what_failed(studio: Studio) -> None:
    page = await studio.visit()
    boat = tiles(await generate(page, "a boat", steps=1))
    await is_shown(boat)
    await has_state(tiles(await generate(page, "broken demo:error", steps=1)), "failed")
    running = await generate(page, f"an oak{FROZEN}4")
    await has_state(tiles(running), "running")
    await boat.get_by_test_id("open").focus()
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_role("button", name="Again", exact=True)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(running.get_by_test_id("cancel-image")).to_be_focused()
    # It lands, and keeps the focus.
    studio.engine.thaw()
    await is_shown(tiles(running))
    await expect(running.get_by_test_id("open")).to_be_focused()
    await expect(running.get_by_test_id("star")).to_have_attribute("tabindex", "0")


ROWS = """tile => [...tile.querySelectorAll(".acts > *")].filter((act) => act.checkVisibility()).map((act) => {
  const { left, top, right, width, height } = act.getBoundingClientRect();
  const { left: from, right: to } = tile.getBoundingClientRect();
  return { name: act.dataset.testid, top, fits: left >= from && right <= to && width >= 24 && height >= 24 };
})"""


@pytest.mark.parametrize(
    ("size", "acts"),
    [
        ("128x128", ["star", "reuse", "vary", "download", "delete"]),
        ("96x128", ["star", "reuse", "vary", "download", "delete"]),
        ("80x128", ["star", "reuse", "vary", "download", "delete"]),
        ("64x128", ["star", "download", "delete"]),
        ("64x192", ["star", "download", "delete"]),
    ],
)
async def test_what_can_be_done_with_a_slim_image_stands_in_one_row(
    studio: Studio, size: str, acts: list[str]
) -> None:
    async with WireClient.connect(studio.url) as client:
        await client.ask(action="generate", prompt="a tower by the sea", task_id="one", size=size, steps=1)
        await client.ends("one")
    page = await studio.visit()
    tile = page.get_by_test_id("tile")
    await is_shown(tile)
    await tile.get_by_test_id("open").focus()
    shown = await tile.evaluate(ROWS)
    assert [act["name"] for act in shown] == acts
    assert len({act["top"] for act in shown}) == 1
    assert all(act["fits"] for act in shown), shown
