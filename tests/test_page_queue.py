"""The page's queue: places, moving to the front, and a pause that every window of the owner shows."""

from playwright.async_api import expect

from page_kit import FROZEN, Studio, choose, fits, generate, has_state, is_shown, tiles

pytest_plugins = ["page_fixtures"]


async def test_waiting_images_are_moved_and_paused(studio: Studio) -> None:
    page = await studio.visit()
    running = [await generate(page, f"{name}{FROZEN}4") for name in ("an oak", "an elm")]
    for generation in running:
        await has_state(tiles(generation), "running")
    pause = page.get_by_test_id("pause")
    await expect(pause).to_be_hidden()
    first, second, third = [await generate(page, name) for name in ("a fox", "a hen", "a rat")]
    step = "step"
    await expect(tiles(first).get_by_test_id(step)).to_have_text("next in the queue")
    await expect(tiles(third).get_by_test_id(step)).to_have_text("queued 3rd")

    # By the keyboard, from the menu of its row; the focus comes back to it.
    grip = page.get_by_test_id("board-row").filter(has_text="a rat").get_by_test_id("board-grip")
    await grip.focus()
    await page.keyboard.press("Enter")
    menu = page.get_by_test_id("menu").get_by_role("menuitem")
    await expect(menu).to_have_text(["Make it next", "Sooner", "Later", "Make it last", "Cancel all others"])
    await expect(menu.first).to_be_focused()
    for key in ("ArrowUp", "ArrowDown", "ArrowDown", "End", "Home", "Enter"):
        await page.keyboard.press(key)
    await expect(menu).to_have_count(0)
    await expect(tiles(third).get_by_test_id(step)).to_have_text("next in the queue")
    await expect(tiles(first).get_by_test_id(step)).to_have_text("queued 2nd")
    await expect(grip).to_be_focused()
    # Its own last place is no place to go to.
    await choose(page.get_by_test_id("board-row").filter(has_text="a hen"), "Later")
    await choose(page.get_by_test_id("board-row").filter(has_text="a fox"), "Later")
    await expect(tiles(first).get_by_test_id(step)).to_have_text("queued 3rd")
    await choose(page.get_by_test_id("board-row").filter(has_text="a fox"), "Sooner")
    await expect(tiles(first).get_by_test_id(step)).to_have_text("queued 2nd")

    await expect(pause).to_have_text("Pause")
    await pause.focus()
    await page.keyboard.press("Enter")
    await expect(pause).to_have_text("Resume")
    for generation in (first, second, third):
        await expect(tiles(generation).get_by_test_id(step)).to_have_text("paused")
    await expect(page.get_by_test_id("announcer")).to_contain_text("Your queue is paused.")

    # What comes later is held, too, and another window on a phone shows all of that.
    fourth = await generate(page, "an owl")
    await expect(tiles(fourth).get_by_test_id(step)).to_have_text("paused")
    phone = await studio.visit(lang="zh-CN", width=360)
    await phone.get_by_test_id("ribbon").click()
    await expect(phone.get_by_test_id("pause")).to_have_text("继续")
    await expect(phone.get_by_test_id("step").last).to_have_text("已暂停")
    await fits(phone)

    # What runs goes on, and nothing that is held starts after it.
    studio.engine.thaw()
    for generation in running:
        await is_shown(tiles(generation))
    await expect(page.get_by_test_id("counts")).to_have_text("4 queued · 2 ready")
    await phone.get_by_test_id("pause").click()
    for generation in (first, second, third, fourth):
        await is_shown(tiles(generation))
    await expect(pause).to_be_hidden()
    # Both replicas begin at once, with the first two.
    assert set(studio.engine.prompts[2:4]) == {"a rat", "a fox"}
