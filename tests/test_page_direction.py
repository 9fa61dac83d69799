"""What people wrote stands in its own direction: from right to left on a page that goes the other way."""

from playwright.async_api import Page, expect

from clients import Recorder, painter
from conftest import Serve
from page_kit import QUICK, Open, Studio, generate, is_shown, open_settings, tiles, view

pytest_plugins = ["page_fixtures"]

PROMPT = "חתול על הגג"
WRONG = f"""() => [...document.querySelectorAll("body *")]
  .filter((element) => element.checkVisibility() && !element.closest(".unseen, .toast, template, script"))
  .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.includes("{PROMPT}"))
    || element.value?.includes?.("{PROMPT}"))
  .map((element) => [element.outerHTML.slice(0, 120), getComputedStyle(element).direction])"""


async def stands_right(page: Page, count: int) -> None:
    """The text is seen in at least so many places, and in each of them it goes from right to left."""
    found: list[tuple[str, str]] = await page.evaluate(WRONG)
    assert len(found) >= count, found
    assert [element for element, direction in found if direction != "rtl"] == []


async def test_a_prompt_stands_in_its_own_direction(studio: Studio) -> None:
    page = await studio.visit()
    made = await generate(page, PROMPT, steps=2)
    await is_shown(tiles(made))
    await open_settings(page)
    await page.get_by_test_id("guidance").fill("2")
    await page.get_by_test_id("negative").fill(PROMPT)
    # On the tile, in the dock, in the settings.
    await stands_right(page, 3)
    await page.keyboard.press("Escape")
    viewer = await view(made)
    await stands_right(page, 1)
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()
    # On the board, and in the words about what was cancelled.
    running = await generate(page, f"{PROMPT} demo:freeze=4")
    await expect(page.get_by_test_id("board-row")).to_have_count(1)
    await stands_right(page, 4)
    await tiles(running).get_by_test_id("cancel-image").click()
    # A sentence keeps its direction, and the words of the prompt have theirs in it.
    await expect(page.get_by_test_id("toast")).to_contain_text(f"“\u2068{PROMPT} demo:freeze=4\u2069”")
    assert await page.get_by_test_id("toast").evaluate("toast => getComputedStyle(toast).direction") == "ltr"
    await studio.abort()


async def test_a_grid_has_its_prompt_in_its_own_direction(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("prompt").fill(PROMPT)
    await open_settings(page)
    await page.get_by_test_id("grid-rows").select_option("seed")
    await page.get_by_test_id("grid-rows-values").fill("1, 2")
    await page.get_by_test_id("generate").click()
    await page.get_by_test_id("toast-act").click()
    await expect(page.get_by_test_id("grid-image")).to_have_count(2)
    await stands_right(page, 3)


async def test_a_chat_has_each_text_in_its_own_direction(open_page: Open, emulate: Serve, serve: Serve) -> None:
    engine = Recorder([QUICK, painter(uid="writer", abilities=("chat",))])
    page = await Studio(engine, await serve(xinference_url=await emulate(engine)), open_page).visit()
    await page.get_by_test_id("chat-tab").click()
    await page.get_by_test_id("chat-text").fill(PROMPT)
    await stands_right(page, 1)
    await page.get_by_test_id("chat-send").click()
    await expect(page.get_by_test_id("said").first).to_have_text(PROMPT)
    await stands_right(page, 1)
