"""The dock: chips, earlier prompts, a prompt per line, grids, problems that go when mended, a button in sight."""

import re

import aiohttp
from playwright.async_api import Page, expect

from clients import Json, Recorder
from conftest import Serve
from page_kit import QUICK, Open, Studio, generate, is_shown, open_settings, tiles, view

pytest_plugins = ["page_fixtures"]


async def asked_for(studio: Studio, count: int) -> list[Json]:
    """Return the parameters of the newest tasks, as they were asked for."""
    async with (
        aiohttp.ClientSession(studio.url) as http,
        http.get("api/v1/tasks", params={"limit": count}) as response,
    ):
        tasks = (await response.json())["tasks"]
    return [task["params"] for task in reversed(tasks)]


async def press_generate(page: Page, count: int) -> None:
    """Press the button, and wait until so many generations are there in all."""
    await page.get_by_test_id("generate").click()
    await expect(page.locator('[data-testid="generation"][data-state="ended"]')).to_have_count(count)


async def test_shape_number_and_seed_are_one_click_away(open_page: Open, emulate: Serve, serve: Serve) -> None:
    engine = Recorder([QUICK])
    studio = Studio(engine, await serve(xinference_url=await emulate(engine), default_size="256x256"), open_page)
    page = await studio.visit()
    lock = page.get_by_test_id("seed-lock")
    await page.get_by_test_id("prompt").fill("a stone")
    await page.get_by_test_id("shape").nth(1).check()
    await page.get_by_test_id("count").nth(1).check()
    await expect(lock).to_have_attribute("aria-pressed", "false")
    await press_generate(page, 1)
    [first] = await asked_for(studio, 1)
    width, height = map(int, first["size"].split("x"))
    assert width > height
    assert first["n"] == 2

    # The seed of the newest image stays, and is seen to stay.
    await lock.click()
    await expect(lock).to_have_attribute("aria-pressed", "true")
    await expect(lock).to_have_text(f"seed {first['seed'] + 1}")
    await press_generate(page, 2)
    assert (await asked_for(studio, 1))[0]["seed"] == first["seed"] + 1
    await lock.click()
    await expect(lock).to_have_text("New seed")
    await expect(page.get_by_test_id("seed")).to_have_value("")

    # A number and a size that no chip has are shown, too.
    await open_settings(page)
    await page.get_by_test_id("n").fill("3")
    await page.get_by_test_id("size").select_option("custom")
    await page.get_by_test_id("width").fill("96")
    await page.get_by_test_id("height").fill("64")
    await expect(page.get_by_test_id("count-chips")).to_have_text("12348")
    await expect(page.get_by_test_id("shape-other")).to_have_text("96 × 64")
    await page.get_by_test_id("settings-reset").click()
    await expect(page.get_by_test_id("n")).to_have_value("1")
    await expect(page.get_by_test_id("size")).to_have_value("")
    await expect(page.get_by_test_id("prompt")).to_have_value("a stone")


async def test_no_more_images_are_offered_than_a_request_may_ask_for(
    open_page: Open, emulate: Serve, serve: Serve
) -> None:
    url = await serve(xinference_url=await emulate(Recorder([QUICK])), outputs=4)
    page = await open_page(url)
    await expect(page.get_by_test_id("count-chips")).to_have_text("124")


async def test_the_button_tells_what_it_costs_once_that_is_known(studio: Studio) -> None:
    page = await studio.visit()
    cost = page.get_by_test_id("cost")
    await page.get_by_test_id("prompt").fill("a stone")
    await expect(cost).to_be_hidden()
    await page.get_by_test_id("count").nth(2).check()
    await expect(cost).to_have_text("4 images")
    await page.get_by_test_id("count").nth(0).check()
    # How long an image takes is learnt from one that was seen running.
    made = await generate(page, "a tree demo:freeze=4", steps=8)
    await expect(tiles(made)).to_have_attribute("data-state", "running")
    studio.engine.thaw()
    await is_shown(tiles(made))
    await expect(cost).to_have_text(re.compile(r"^about \d+ s$"))
    one = await cost.inner_text()
    await page.get_by_test_id("count").nth(1).check()
    await expect(cost).to_have_text(f"2 × {one}")
    await page.reload()
    await expect(cost).to_have_text(f"2 × {one}")


async def test_arrow_up_fetches_earlier_prompts(studio: Studio) -> None:
    page = await studio.visit()
    prompt = page.get_by_test_id("prompt")
    for text in ("a first one", "a second one"):
        await is_shown(tiles(await generate(page, text, steps=2)))
    await prompt.fill("a draft")
    await prompt.press("ArrowUp")
    await expect(prompt).to_have_value("a second one")
    await prompt.press("ArrowUp")
    await expect(prompt).to_have_value("a first one")
    await prompt.press("ArrowUp")
    await expect(prompt).to_have_value("a first one")
    # Behind the newest comes what was being typed.
    for text in ("a second one", "a draft", "a draft"):
        await prompt.press("End")
        await prompt.press("ArrowDown")
        await expect(prompt).to_have_value(text)
    # Within several lines the arrows move the caret.
    await prompt.fill("one\ntwo")
    await prompt.press("ArrowUp")
    await expect(prompt).to_have_value("one\ntwo")


async def test_of_several_lines_each_can_be_a_prompt(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("prompt").fill("a cat\n\na dog\n a hen ")
    await page.get_by_test_id("lines-on").check()
    await expect(page.get_by_test_id("lines")).to_have_text("Make an image of each of the 3 lines")
    await expect(page.get_by_test_id("cost")).to_have_text("3 images")
    await press_generate(page, 3)
    assert [params["prompt"] for params in await asked_for(studio, 3)] == ["a cat", "a dog", "a hen"]
    await page.get_by_test_id("lines-on").uncheck()
    await press_generate(page, 4)
    assert (await asked_for(studio, 1))[0]["prompt"] == "a cat\n\na dog\n a hen"


async def test_settings_are_compared_in_a_grid(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("prompt").fill("a cat")
    await open_settings(page)
    await page.get_by_test_id("grid-rows").select_option("steps")
    await expect(page.get_by_test_id("grid-rows-values")).to_have_value("5, 10, 15")
    await page.get_by_test_id("grid-rows-values").fill("2, 3.5")
    await page.get_by_test_id("grid-columns").select_option("guidance_scale")
    await page.get_by_test_id("grid-columns-values").fill("1, 2.5")
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#grid_rows_values-problem")).to_have_text(
        "Numbers from 1 to 200, with commas between them."
    )
    await expect(page.get_by_test_id("grid-rows-values")).to_be_focused()
    await page.get_by_test_id("grid-rows-values").fill("2, 3")
    await expect(page.locator("#grid_rows_values-problem")).to_be_hidden()
    await expect(page.get_by_test_id("cost")).to_have_text("4 images")
    await expect(page.get_by_test_id("grid-off")).to_have_text("Compares Steps × Guidance")
    await press_generate(page, 4)
    asked = await asked_for(studio, 4)
    assert [(params["steps"], params["guidance_scale"]) for params in asked] == [(2, 1), (2, 2.5), (3, 1), (3, 2.5)]
    assert len({params["seed"] for params in asked}) == 1
    assert len({params["group"] for params in asked}) == 1
    # It is shown as a table with an address of its own.
    await page.get_by_test_id("toast-act").click()
    view = page.get_by_test_id("grid-view")
    await expect(view.locator("thead th")).to_have_text(["Guidance 1", "Guidance 2.5"])
    await expect(view.locator("tbody th")).to_have_text(["Steps 2", "Steps 3"])
    await expect(view.get_by_test_id("grid-image")).to_have_count(4)
    await page.reload()
    await expect(view.get_by_test_id("grid-image")).to_have_count(4)
    await page.go_back()
    await expect(view).to_be_hidden()
    await page.get_by_test_id("grid-off").click()
    await expect(page.get_by_test_id("grid-off")).to_be_hidden()
    await expect(page.get_by_test_id("prompt")).to_be_focused()


async def test_a_problem_goes_once_it_is_mended(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#prompt-problem")).to_have_text("Please write a prompt.")
    await page.get_by_test_id("prompt").fill("a stone")
    await expect(page.locator("#prompt-problem")).to_be_hidden()

    # What is wrong in the settings opens them.
    await open_settings(page)
    await page.get_by_test_id("n").fill("1.5")
    # What can't be asked for is no choice, and has no price.
    await expect(page.get_by_test_id("count").locator("visible=true")).to_have_count(4)
    await expect(page.get_by_test_id("cost")).to_be_hidden()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("settings")).to_be_hidden()
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#n-problem")).to_have_text("A whole number from 1 to 8.")
    await expect(page.get_by_test_id("n")).to_be_focused()
    await page.get_by_test_id("n").fill("1")
    await expect(page.locator("#n-problem")).to_be_hidden()

    # Of width and height, the wrong one is marked.
    await page.get_by_test_id("size").select_option("custom")
    await page.get_by_test_id("width").fill("64")
    await page.get_by_test_id("height").fill("63")
    await page.get_by_test_id("generate").click()
    await expect(page.get_by_test_id("height")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_test_id("width")).not_to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_test_id("height")).to_be_focused()
    await page.get_by_test_id("height").fill("64")
    await expect(page.locator("#size-problem")).to_be_hidden()
    await press_generate(page, 1)


async def test_what_stays_out_is_not_asked_for_at_guidance_0(studio: Studio) -> None:
    page = await studio.visit()
    await open_settings(page)
    negative = page.get_by_test_id("negative")
    await page.get_by_test_id("guidance").fill("2")
    await negative.fill("thunder")
    await page.get_by_test_id("prompt").fill("a stone")
    await press_generate(page, 1)
    assert (await asked_for(studio, 1))[0]["negative_prompt"] == "thunder"
    await open_settings(page)
    await page.get_by_test_id("guidance").fill("0")
    await expect(negative).to_be_disabled()
    await expect(page.get_by_test_id("negative-off")).to_be_visible()
    await press_generate(page, 2)
    assert "negative_prompt" not in (await asked_for(studio, 1))[0]


async def test_the_button_and_what_was_changed_are_always_in_sight(studio: Studio) -> None:
    page = await studio.visit(width=360)
    made = await generate(page, "a stone", steps=2)
    await is_shown(tiles(made))
    await (await view(made)).get_by_test_id("viewer-reuse").click()
    # On a phone, where the settings are folded away, what is not the model's own is told.
    [params] = await asked_for(studio, 1)
    await expect(page.get_by_test_id("changed-text")).to_have_text(f"2 steps · seed {params['seed']}")
    await page.get_by_test_id("prompt").fill("words " * 400)
    await open_settings(page)
    for width, height in ((360, 560), (1366, 625), (740, 360)):
        await page.set_viewport_size({"width": width, "height": height})
        await expect(page.get_by_test_id("generate")).to_be_in_viewport(ratio=1)
        assert await page.get_by_test_id("generate").evaluate(
            """(button) => {
              const { left, top, width, height } = button.getBoundingClientRect();
              return button.contains(document.elementFromPoint(left + width / 2, top + height / 2));
            }"""
        )
    await page.get_by_test_id("settings-reset").click()
    await expect(page.get_by_test_id("changed")).to_be_hidden()
