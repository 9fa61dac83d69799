"""What was cancelled or deleted comes back by a key, and there is time to read what is offered."""

from playwright.async_api import Page, expect

from page_kit import FROZEN, Studio, generate, has_state, is_shown, tiles

pytest_plugins = ["page_fixtures"]


async def test_a_key_takes_back_the_last_cancel_or_delete(studio: Studio) -> None:
    page = await studio.visit()
    boat = await generate(page, "a boat", steps=2)
    await is_shown(tiles(boat))
    running = await generate(page, f"two oaks{FROZEN}4", n=2)
    await has_state(tiles(running).nth(1), "running")
    await generate(page, "a fox")
    waiting = page.locator('[data-testid="board-row"][data-state="queued"]')
    await waiting.get_by_test_id("board-cancel").click()
    await expect(waiting).to_have_count(0)
    await tiles(boat).get_by_test_id("open").focus()
    await page.keyboard.press("Delete")
    await expect(boat).to_have_count(0)

    # The newest first; each toast tells the key, to screen readers in its own way.
    toasts, offers = page.get_by_test_id("toast"), page.get_by_test_id("toast-act")
    await expect(toasts).to_have_count(2)
    await expect(offers.last).to_have_text("UndoCtrl Z")
    await expect(offers.last).to_have_accessible_name("Undo")
    await expect(offers.last).to_have_attribute("aria-keyshortcuts", "Control+Z")
    # In a text field it takes back what was typed.
    prompt = page.get_by_test_id("prompt")
    await prompt.focus()
    await page.keyboard.press("End")
    await page.keyboard.type("!")
    await page.keyboard.press("Control+z")
    await expect(prompt).to_have_value("a fox")
    await expect(toasts).to_have_count(2)
    await page.get_by_test_id("theme").focus()
    await page.keyboard.press("Control+z")
    await is_shown(tiles(boat))
    await expect(toasts).to_have_count(1)
    await page.keyboard.press("Control+z")
    await expect(waiting).to_contain_text("a fox")
    await expect(toasts).to_have_count(0)
    await page.keyboard.press("Control+z")
    await expect(waiting).to_have_count(1)


async def cancelled(studio: Studio) -> Page:
    """Return a page with a toast that offers Undo, whose clock stands still."""
    page = await studio.visit()
    running = await generate(page, f"two oaks{FROZEN}4", n=2)
    await has_state(tiles(running).nth(1), "running")
    await generate(page, "a fox")
    await page.clock.install()
    await page.locator('[data-testid="board-row"][data-state="queued"]').get_by_test_id("board-cancel").click()
    await expect(page.get_by_test_id("toast")).to_be_visible()
    return page


async def test_a_toast_stays_while_it_is_pointed_at_or_has_the_focus(studio: Studio) -> None:
    page = await cancelled(studio)
    toast, undo = page.get_by_test_id("toast"), page.get_by_test_id("toast-act")
    await toast.hover()
    await undo.focus()
    await page.mouse.move(2, 2)
    await page.clock.fast_forward(20_000)
    await expect(toast).to_be_visible()
    await toast.hover()
    await page.get_by_test_id("theme").focus()
    await page.clock.fast_forward(20_000)
    await expect(toast).to_be_visible()
    # It has all of its time once it is left.
    await page.mouse.move(2, 2)
    await page.clock.fast_forward(5_000)
    await expect(toast).to_be_visible()
    await page.clock.fast_forward(2_000)
    await expect(toast).to_have_count(0)
