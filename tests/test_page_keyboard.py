"""The whole life of an image without a mouse: asked for, cancelled, brought back, compared, and found."""

from playwright.async_api import Locator, Page, expect

from page_kit import FROZEN, Studio, has_state, is_shown

pytest_plugins = ["page_fixtures"]


async def tab_to(page: Page, target: Locator, *, key: str = "Tab", most: int = 80) -> None:
    """Press a key until something has the focus."""
    for _ in range(most):
        if await target.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press(key)
    await expect(target).to_be_focused(timeout=1)


async def ask(page: Page, prompt: str) -> Locator:
    """Ask for an image from wherever the focus is; return its tile."""
    await page.keyboard.press("p")
    await expect(page.get_by_test_id("prompt")).to_be_focused()
    await page.keyboard.press("Control+a")
    await page.keyboard.type(prompt)
    await page.keyboard.press("Control+Enter")
    tile = page.get_by_test_id("tile").filter(has_text=prompt)
    await expect(tile).to_have_count(1)
    return tile


async def leave_field(page: Page) -> None:
    """Go on from the prompt to what does not take single keys as text."""
    await tab_to(page, page.get_by_test_id("settings-open"))


async def test_the_life_of_an_image_by_keyboard(studio: Studio) -> None:
    page = await studio.visit()
    rows = page.get_by_test_id("board-row")

    # Asked for, and cancelled where it runs; the toast brings it back.
    await ask(page, f"a quiet harbour{FROZEN}4")
    await expect(rows).to_have_attribute("data-state", "running")
    await tab_to(page, rows.get_by_test_id("board-cancel"))
    await page.keyboard.press("Enter")
    again = page.get_by_test_id("toast-act")
    await tab_to(page, again)
    await studio.abort()
    await expect(page.get_by_test_id("board")).to_be_hidden()
    await expect(again).to_be_focused()
    await page.keyboard.press("Enter")
    harbour = page.get_by_test_id("tile").filter(has_text="a quiet harbour").and_(page.locator("[data-state=done]"))
    await is_shown(harbour)

    await leave_field(page)
    await ask(page, "a lighthouse")
    await is_shown(page.get_by_test_id("tile").filter(has_text="a lighthouse"))

    # Looked at, compared with the next one, and left; the focus is where it was.
    lighthouse = page.get_by_test_id("tile").filter(has_text="a lighthouse").get_by_test_id("open")
    await tab_to(page, lighthouse)
    await page.keyboard.press("ArrowRight")
    await expect(harbour.get_by_test_id("open")).to_be_focused()
    await page.keyboard.press("Enter")
    viewer = page.get_by_test_id("viewer")
    await expect(viewer).to_be_visible()
    await page.keyboard.press("c")
    await page.keyboard.press("ArrowLeft")
    divider = page.get_by_test_id("viewer-divider")
    await tab_to(page, divider)
    await page.keyboard.press("ArrowRight")
    await expect(divider).not_to_have_value("50")
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()
    await expect(lighthouse).to_be_focused()

    # Found again by its words, and all are back afterwards.
    await page.keyboard.press("/")
    await expect(page.get_by_test_id("find-text")).to_be_focused()
    await page.keyboard.type("harbour")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("generation")).to_have_count(1)
    await page.keyboard.press("/")
    await page.keyboard.press("Control+a")
    await page.keyboard.press("Delete")
    await page.keyboard.press("Enter")
    await has_state(page.get_by_test_id("tile").filter(has_text="a lighthouse"), "done")
