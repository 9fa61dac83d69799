"""The page's queue: places, moving to the front, and a pause that every window of the owner shows."""

from playwright.async_api import expect

from page_kit import FROZEN, Studio, fits, generate, has_state, is_shown, tiles

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

    # By the keyboard; the next one needs no such button.
    await expect(third.get_by_test_id("move-first")).to_be_visible()
    await expect(first.get_by_test_id("move-first")).to_be_hidden()
    await third.get_by_test_id("move-first").focus()
    await page.keyboard.press("Enter")
    await expect(tiles(third).get_by_test_id(step)).to_have_text("next in the queue")
    await expect(tiles(first).get_by_test_id(step)).to_have_text("queued 2nd")
    await expect(third.get_by_test_id("move-first")).to_be_hidden()
    await expect(third.get_by_test_id("cancel-image")).to_be_focused()

    await expect(pause).to_have_text("Pause my queue")
    await pause.focus()
    await page.keyboard.press("Enter")
    await expect(pause).to_have_text("Resume my queue")
    for generation in (first, second, third):
        await expect(tiles(generation).get_by_test_id(step)).to_have_text("paused")
    await expect(page.get_by_test_id("announcer")).to_contain_text("Your queue is paused.")

    # What comes later is held, too, and another window on a phone shows all of that.
    fourth = await generate(page, "an owl")
    await expect(tiles(fourth).get_by_test_id(step)).to_have_text("paused")
    phone = await studio.visit(lang="zh-CN", width=360)
    await phone.get_by_test_id("ribbon").click()
    await expect(phone.get_by_test_id("pause")).to_have_text("继续我的队列")
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
