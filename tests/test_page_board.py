"""The board: what is in flight, in its order, moved, cancelled and brought back; the ribbon, the icon, the bell."""

import re

from playwright.async_api import Locator, Page, expect

from page_kit import FROZEN, Studio, choose, facts, fits, generate, has_state, is_shown, lose_the_line, tiles
from page_world import settle

pytest_plugins = ["page_fixtures"]


def rows(page: Page) -> Locator:
    return page.get_by_test_id("board-row")


def queue(page: Page) -> Locator:
    """Rows of what waits. What runs stands still here, so which one is sooner is not known."""
    return page.locator('[data-testid="board-row"][data-state="queued"]')


def prompts(*texts: str) -> list[re.Pattern[str]]:
    return [re.compile(f"^\\s*{re.escape(text)}") for text in texts]


async def fill_the_queue(studio: Studio, page: Page, *waiting: str) -> None:
    """Have two images run that stand still, and others wait in this order."""
    for name in ("an oak", "an elm"):
        await has_state(tiles(await generate(page, f"{name}{FROZEN}4")), "running")
    for name in waiting:
        await generate(page, name)
    await expect(rows(page).last.get_by_test_id("board-step")).to_have_text(re.compile("next|2nd|3rd|4th"))


async def test_rows_stand_in_the_order_in_which_they_will_be_made(studio: Studio) -> None:
    page = await studio.visit()
    await expect(page.get_by_test_id("board")).to_be_hidden()
    await fill_the_queue(studio, page, "a fox", "a hen", "a rat")
    await expect(queue(page)).to_have_text(prompts("a fox", "a hen", "a rat"))
    await expect(rows(page)).to_have_count(5)
    await expect(rows(page).first.get_by_test_id("board-step")).to_have_text("step 4 of 10")
    await expect(rows(page).nth(2).get_by_test_id("board-step")).to_have_text("next")

    # By the keyboard, one by one; the focus stays on the row.
    grip = rows(page).nth(4).get_by_test_id("board-grip")
    await grip.press("Alt+ArrowUp")
    await expect(queue(page)).to_have_text(prompts("a fox", "a rat", "a hen"))
    moved = rows(page).nth(3).get_by_test_id("board-grip")
    await expect(moved).to_be_focused()
    await moved.press("Alt+ArrowDown")
    await expect(queue(page)).to_have_text(prompts("a fox", "a hen", "a rat"))
    # By the menu that a press on the grip opens, to the front.
    await choose(rows(page).nth(4), "Make it next")
    await expect(queue(page)).to_have_text(prompts("a rat", "a fox", "a hen"))
    # By the pointer, from the end to before the second one that waits.
    last, second = rows(page).nth(4), rows(page).nth(3)
    where = await second.bounding_box()
    assert where is not None
    await last.get_by_test_id("board-grip").hover()
    await page.mouse.down()
    await page.mouse.move(where["x"] + 10, where["y"] + 2, steps=4)
    await page.mouse.up()
    await expect(queue(page)).to_have_text(prompts("a rat", "a hen", "a fox"))

    # What runs has no grip, and what ends leaves the board.
    await expect(rows(page).first.get_by_test_id("board-grip")).to_have_count(0)
    studio.engine.thaw()
    await expect(page.get_by_test_id("board")).to_be_hidden()
    assert [prompt for prompt in studio.engine.prompts if len(prompt) == 5] == ["a rat", "a hen", "a fox"]


async def test_what_had_not_begun_is_brought_back_to_its_place(studio: Studio) -> None:
    page = await studio.visit()
    await fill_the_queue(studio, page, "a fox", "a hen", "a rat")
    await rows(page).nth(2).get_by_test_id("board-cancel").click()
    toast = page.get_by_test_id("toast")
    await expect(toast).to_contain_text("“a fox” cancelled before it started.")
    await expect(queue(page)).to_have_text(prompts("a hen", "a rat"))
    await toast.get_by_test_id("toast-act").click()
    await expect(queue(page)).to_have_text(prompts("a fox", "a hen", "a rat"))
    await expect(toast).to_have_count(0)

    # Everything at once: what ran is stopped, what waited comes back in its order.
    await page.get_by_test_id("cancel-all").click()
    await expect(toast).to_contain_text("3 cancelled before they started, 2 are being stopped.")
    await studio.abort(2)
    await expect(page.get_by_test_id("board")).to_be_hidden()
    await toast.get_by_test_id("toast-act").click()
    made = page.locator('[data-testid="tile"][data-state="done"]')
    await expect(made).to_have_count(3)
    assert [prompt for prompt in studio.engine.prompts if len(prompt) == 5] == ["a fox", "a hen", "a rat"]


async def test_a_running_one_is_stopped_at_once_and_offered_again(studio: Studio) -> None:
    page = await studio.visit()
    made = await generate(page, f"two oaks{FROZEN}4", n=2)
    await has_state(tiles(made).nth(1), "running")
    await rows(page).nth(1).get_by_test_id("board-cancel").focus()
    await page.keyboard.press("Enter")
    toast = page.get_by_test_id("toast")
    await expect(toast).to_contain_text("“two oaks demo:freeze=4”, image 2 of 2 is being stopped.")
    await studio.abort()
    await is_shown(tiles(made).first)
    await expect(toast).to_contain_text("image 2 of 2 stopped: the model is free again.")
    await expect(tiles(made)).to_have_count(1)
    await toast.get_by_test_id("toast-act").click()
    again = page.get_by_test_id("generation").first
    await expect(again).not_to_have_attribute("data-task", await made.get_attribute("data-task") or "")
    await is_shown(tiles(again))
    assert int((await facts(again))["seed"]) == int((await facts(made))["seed"]) + 1


async def test_a_lost_line_is_said_and_nothing_can_be_moved(studio: Studio) -> None:
    page = await studio.visit()
    await fill_the_queue(studio, page, "a fox", "a hen")
    await lose_the_line(page)
    await expect(page.get_by_test_id("board-all")).to_have_text("line lost")
    await expect(page.get_by_test_id("board-grip")).to_have_count(0)


async def test_on_a_phone_a_ribbon_opens_the_board(studio: Studio) -> None:
    page = await studio.visit(width=360)
    await fill_the_queue(studio, page, "a fox", "a hen")
    board, ribbon = page.get_by_test_id("board"), page.get_by_test_id("ribbon")
    await expect(board).to_be_hidden()
    await expect(page.get_by_test_id("ribbon-text")).to_have_text("4 in flight")
    await fits(page)
    await ribbon.click()
    await expect(ribbon).to_have_attribute("aria-expanded", "true")
    await expect(queue(page)).to_have_text(prompts("a fox", "a hen"))
    await fits(page)
    await page.keyboard.press("Escape")
    await expect(board).to_be_hidden()
    await expect(ribbon).to_be_focused()
    studio.engine.thaw()
    await expect(ribbon).to_be_hidden()


async def test_a_row_is_swiped_off_the_board(studio: Studio) -> None:
    page = await studio.visit(width=360)
    await fill_the_queue(studio, page, "a fox", "a hen")
    await page.get_by_test_id("ribbon").click()
    swipe = """(row, by) => {
      const at = (name, x) => row.dispatchEvent(
        new PointerEvent(name, { bubbles: true, pointerId: 7, pointerType: "touch", clientX: x, clientY: 0 }));
      at("pointerdown", 200);
      at("pointermove", 200 - by);
      at("pointerup", 200 - by);
    }"""
    await rows(page).nth(2).evaluate(swipe, 40)
    await rows(page).nth(3).evaluate(swipe, 120)
    await expect(page.get_by_test_id("toast")).to_contain_text("“a hen” cancelled before it started.")
    await expect(queue(page)).to_have_text(prompts("a fox"))


async def test_progress_is_a_property_of_what_shows_it(studio: Studio) -> None:
    """What a row or a tile has itself is passed on to all in it: with much in flight, styling that takes too long."""
    page = await studio.visit()
    made = await generate(page, f"an oak{FROZEN}4")
    await has_state(tiles(made), "running")
    value = "element => element.style.getPropertyValue('--part')"
    assert await tiles(made).get_by_test_id("progress").evaluate(value) == "0.4"
    assert await rows(page).locator(".thumb").evaluate(value) == "0.4"
    for whole in (tiles(made), rows(page)):
        style = await whole.get_attribute("style") or ""
        assert "--part" not in style
        assert "--estimate" not in style


async def test_title_and_icon_tell_how_far_everything_is(studio: Studio) -> None:
    page = await studio.visit()
    icon = page.locator("#icon")
    await expect(icon).to_have_attribute("href", re.compile("favicon"))
    made = await generate(page, f"an oak{FROZEN}4")
    await has_state(tiles(made), "running")
    await expect(page).to_have_title(re.compile("40%"))
    await expect(icon).to_have_attribute("href", re.compile("^blob:"))
    assert await page.locator("#mark").evaluate("mark => mark.style.getPropertyValue('--part')") == "0.4"
    studio.engine.thaw()
    await is_shown(tiles(made))
    await expect(icon).to_have_attribute("href", re.compile("favicon"))


NOTES = """
  window.notes = [];
  window.Notification = class extends EventTarget {
    static permission = "granted";
    static requestPermission = async () => window.answer ?? "granted";
    constructor(title, { body }) { super(); window.notes.push(body); }
  };
  window.hide = (hidden) => Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
"""


async def test_who_looks_elsewhere_is_told_when_everything_is_done(studio: Studio) -> None:
    page = await studio.visit()
    await page.add_init_script(NOTES)
    await page.reload()
    bell = page.get_by_test_id("bell")
    await bell.click()
    await page.evaluate("window.answer = 'denied'")
    await page.get_by_test_id("bell-notify").click()
    await expect(page.get_by_test_id("bell-problem")).to_contain_text("does not allow")
    await expect(page.get_by_test_id("bell-notify")).not_to_be_checked()
    await page.evaluate("window.answer = 'granted'")
    await page.get_by_test_id("bell-notify").check()
    await expect(bell).to_have_attribute("aria-label", "Tell me when everything is done: on")
    await page.keyboard.press("Escape")

    made = await generate(page, f"two oaks{FROZEN}4", n=2)
    await has_state(tiles(made).nth(1), "running")
    await page.evaluate("hide(true)")
    studio.engine.thaw()
    await page.evaluate("new Promise((told) => setInterval(() => notes.length && told(), 20))")
    assert await page.evaluate("notes") == ["2 images are ready."]
    # Not to who is here; the choice stays over a reload.
    await page.reload()
    await expect(bell).to_have_attribute("data-on", "true")
    await is_shown(tiles(await generate(page, "a stone", steps=2)))
    await expect(page.get_by_test_id("board")).to_be_hidden()
    assert await page.evaluate("notes") == []


async def test_single_keys_are_listed_and_can_be_turned_off(studio: Studio) -> None:
    page = await studio.visit()
    listed = page.get_by_test_id("shortcuts")
    await page.locator("body").press("?")
    await expect(listed).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(listed).to_be_hidden()
    # The list's end is told to the page, and the focus given back, after it is out of sight.
    await settle(page)
    await page.locator("body").press("p")
    await expect(page.get_by_test_id("prompt")).to_be_focused()
    # What is typed is no shortcut.
    await page.keyboard.type("p?")
    await expect(page.get_by_test_id("prompt")).to_have_value("p?")
    await expect(listed).to_be_hidden()
    await page.get_by_test_id("shortcuts-open").click()
    await page.get_by_test_id("shortcuts-on").uncheck()
    await page.get_by_test_id("shortcuts-close").click()
    await page.reload()
    await page.get_by_test_id("shortcuts-open").focus()
    await page.keyboard.press("p")
    await expect(page.get_by_test_id("prompt")).not_to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("shortcuts-on")).not_to_be_checked()


async def test_the_board_by_keyboard_has_one_stop_and_arrows_between_its_rows(studio: Studio) -> None:
    page = await studio.visit()
    await fill_the_queue(studio, page, "a fox", "a hen", "a rat")
    await expect(page.get_by_test_id("pause")).to_be_visible()
    stops = "rows => [...rows.querySelectorAll('button')].filter((each) => each.tabIndex === 0).length"
    assert await page.get_by_test_id("board-rows").evaluate(stops) == 2
    crosses = rows(page).get_by_test_id("board-cancel")
    await crosses.first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(crosses.nth(1)).to_be_focused()
    await page.keyboard.press("End")
    await expect(crosses.last).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(crosses.last).to_be_focused()
    assert await page.get_by_test_id("board-rows").evaluate(stops) == 2
    # What can be done with a row is beside it, and the next key stays there.
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("ArrowUp")
    await expect(rows(page).nth(3).get_by_test_id("board-grip")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("pause")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(crosses.nth(3)).to_be_focused()
    # A row that is gone leaves the focus to the one that takes its place, the last one to the one before it.
    await page.keyboard.press("Delete")
    await expect(rows(page)).to_have_count(4)
    await expect(queue(page)).to_have_text(prompts("a fox", "a rat"))
    await expect(crosses.nth(3)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(rows(page)).to_have_count(3)
    await expect(crosses.nth(2)).to_be_focused()
    await page.keyboard.press("Control+z")
    await expect(queue(page)).to_have_text(prompts("a fox", "a rat"))
    await expect(crosses.nth(2)).to_be_focused()
    await expect(page.get_by_test_id("board-rows")).to_have_accessible_description(
        "Arrow keys up and down go from row to row."
    )
