"""Stars, tags and deleted images on the page: on tiles and in the view, undone, and in every window."""

from playwright.async_api import Locator, Page, expect

from clients import WireClient
from page_kit import Studio, generate, has_state, is_shown, tiles, view

pytest_plugins = ["page_fixtures"]

FIELDS = {"size": "64x64", "steps": 1}


async def make(studio: Studio, *ids: str, prompt: str = "a boat", n: int = 1) -> None:
    """Have images made by another client."""
    async with WireClient.connect(studio.url) as client:
        for task_id in ids:
            await client.ask(action="generate", prompt=prompt, task_id=task_id, n=n, **FIELDS)
        await client.ends(*ids)


def tile(page: Page, task_id: str, index: int = 0) -> Locator:
    return page.locator(f'[data-task="{task_id}"] [data-index="{index}"]')


async def undo(page: Page) -> None:
    await page.get_by_test_id("toast-act").last.click()


async def test_a_star_is_given_on_the_tile_in_the_view_and_by_a_key(studio: Studio) -> None:
    await make(studio, "one", n=2)
    page, other = await studio.visit(), await studio.visit()
    first, second = (tile(page, "one", index) for index in (0, 1))
    await first.hover()
    await first.get_by_test_id("star").click()
    for window in (page, other):
        await expect(tile(window, "one", 0).get_by_test_id("star")).to_have_attribute("aria-pressed", "true")
        await expect(tile(window, "one", 1).get_by_test_id("star")).to_have_attribute("aria-pressed", "false")
    await second.get_by_test_id("open").focus()
    await page.keyboard.press("s")
    await expect(second.get_by_test_id("star")).to_have_attribute("aria-pressed", "true")
    viewer = await view(page.locator('[data-task="one"]'))
    star = viewer.get_by_test_id("viewer-star")
    await expect(star).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("s")
    await expect(star).to_have_attribute("aria-pressed", "false")
    await page.keyboard.press("Escape")
    await expect(tile(other, "one", 0).get_by_test_id("star")).to_have_attribute("aria-pressed", "false")


async def test_tags_are_added_offered_removed_and_lead_to_what_has_them(studio: Studio) -> None:
    await make(studio, "one", "two")
    async with WireClient.connect(studio.url) as client:
        await client.ask(action="mark", task_id="one", tags=["sea", "by night"])
    page = await studio.visit()
    viewer = await view(page.locator('[data-task="two"]'))
    field = viewer.get_by_test_id("tag-add")
    await field.focus()
    await expect(viewer.locator("datalist option")).to_have_count(2)
    offered = await viewer.locator("datalist option").evaluate_all("all => all.map(({ value }) => value)")
    assert offered == ["by night", "sea"]
    await field.fill("sea, 傍晚")
    await page.keyboard.press("Enter")
    await expect(viewer.get_by_test_id("tag").locator("a")).to_have_text(["sea", "傍晚"])
    await expect(field).to_have_value("")
    await viewer.get_by_test_id("tag-remove").nth(1).click()
    await expect(viewer.get_by_test_id("tag").locator("a")).to_have_text(["sea"])
    # Keys that are typed into the field are no shortcuts.
    await field.fill("")
    await field.press_sequentially("cs")
    await expect(viewer.get_by_test_id("viewer-star")).to_have_attribute("aria-pressed", "false")
    await field.fill("")
    await viewer.get_by_test_id("tag").locator("a").click()
    await expect(viewer).to_be_hidden()
    await expect(page.get_by_test_id("find-text")).to_have_value("#sea")
    await expect(page.get_by_test_id("generation")).to_have_count(2)


async def test_a_deleted_image_comes_back_by_undo_in_every_window(studio: Studio) -> None:
    await make(studio, "one", n=2)
    page, other = await studio.visit(), await studio.visit()
    await tile(page, "one", 0).hover()
    await tile(page, "one", 0).get_by_test_id("delete").click()
    for window in (page, other):
        await expect(tile(window, "one", 0)).to_have_count(0)
        await expect(tile(window, "one", 1)).to_be_visible()
        await expect(window.get_by_test_id("counts")).to_have_text("1 ready")
    await expect(page.get_by_test_id("toast")).to_contain_text("a boat")
    # One that comes meanwhile knows nothing of the image.
    late = await studio.visit()
    await expect(late.get_by_test_id("tile")).to_have_count(1)
    await undo(page)
    for window in (page, other, late):
        await is_shown(tile(window, "one", 0))


async def test_the_view_shows_the_next_image_after_a_deletion_and_undo_works_there(studio: Studio) -> None:
    await make(studio, "one", "two", "three")
    page = await studio.visit()
    viewer = await view(page.locator('[data-task="two"]'))
    await page.keyboard.press("Delete")
    await expect(tile(page, "two")).to_have_count(0)
    assert page.url.endswith("#image=one/0")
    await expect(viewer).to_be_visible()
    # The toast is within the dialog, where it can be pressed.
    await expect(viewer.get_by_test_id("toast")).to_be_visible()
    await undo(page)
    await expect(viewer.get_by_test_id("film").locator("li")).to_have_count(3)
    for left in (2, 1, 0):
        await viewer.get_by_test_id("viewer-delete").click()
        await expect(page.get_by_test_id("tile")).to_have_count(left)
        await expect(viewer.get_by_test_id("film").locator("li")).to_have_count(left)
    await expect(viewer).to_be_hidden()
    await expect(page.get_by_test_id("empty")).to_be_visible()
    await undo(page)
    await expect(page.get_by_test_id("tile")).to_have_count(1)


async def test_the_keyboard_goes_on_beside_a_deleted_tile(studio: Studio) -> None:
    await make(studio, "one", "two", "three")
    page = await studio.visit()
    await tile(page, "two").get_by_test_id("open").focus()
    await page.keyboard.press("Delete")
    await expect(tile(page, "two")).to_have_count(0)
    await expect(tile(page, "one").get_by_test_id("open")).to_be_focused()


async def test_what_failed_is_deleted_once_nobody_can_undo_it(studio: Studio) -> None:
    page, other = await studio.visit(), await studio.visit()
    failed = await generate(page, "broken demo:error", steps=1)
    await has_state(tiles(failed).first, "failed")
    await tiles(failed).first.get_by_test_id("delete").click()
    await expect(failed).to_have_count(0)
    await undo(page)
    await has_state(tiles(failed).first, "failed")
    await tiles(failed).first.get_by_test_id("delete").click()
    await expect(failed).to_have_count(0)
    await expect(other.get_by_test_id("generation")).to_have_count(1)
    # Whoever leaves the page undoes nothing more.
    await page.goto("about:blank")
    await expect(other.get_by_test_id("generation")).to_have_count(0)
