"""Presets of the dock: saved, used, changed and deleted with undo, on all devices; what is sent is what was shown."""

import aiohttp
from playwright.async_api import Page, expect

from clients import Json
from page_kit import Studio, facts, find_the_line, generate, lose_the_line, open_settings

pytest_plugins = ["page_fixtures"]

OIL = {"name": "Oil", "settings": {"steps": "6", "n": "2"}, "prompt": "oil painting of {prompt}, thick strokes"}
SKETCH = {"name": "Sketch", "settings": {"steps": "3", "size": "64x96"}, "prompt": "pencil sketch"}
SHARP = {"name": "Sharp", "settings": {"steps": "9"}}


async def store(studio: Studio, *presets: Json) -> None:
    async with (
        aiohttp.ClientSession(studio.url) as http,
        http.patch("api/v1/account/presets", json={"save": presets}) as response,
    ):
        assert response.status == 200


async def stored(studio: Studio) -> dict[str, Json]:
    """Return the presets that the server has, by name."""
    async with aiohttp.ClientSession(studio.url) as http, http.get("api/v1/account/presets") as response:
        return {preset["name"]: preset for preset in (await response.json())["presets"]}


async def open_presets(page: Page, *names: str) -> None:
    """Open the list; wait until it has these and no others."""
    await page.get_by_test_id("presets-open").click()
    await shows(page, *names)


async def shows(page: Page, *names: str) -> None:
    await expect(page.get_by_test_id("preset").locator("b")).to_have_text(list(names))


async def do(page: Page, name: str, act: str) -> None:
    """Choose an act from the menu of a preset."""
    row = page.get_by_test_id("presets").get_by_role("listitem").filter(has=page.get_by_text(name, exact=True))
    await row.get_by_test_id("preset-menu").click()
    await page.get_by_test_id("menu").get_by_role("menuitem", name=act, exact=True).click()


async def test_what_is_set_is_saved_and_used_on_another_device(studio: Studio) -> None:
    page, other = await studio.visit(), await studio.visit()
    await open_settings(page)
    await page.get_by_test_id("steps").fill("7")
    await page.get_by_test_id("guidance").fill("2")
    await page.get_by_test_id("negative").fill("thunder")
    await page.get_by_test_id("seed").fill("5")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("presets-open").click()
    await expect(page.get_by_test_id("presets-none")).to_be_visible()
    await expect(page.get_by_test_id("preset-name")).to_be_focused()
    await expect(page.get_by_test_id("preset-now")).to_have_text("7 steps · guidance 2 · Negative prompt")
    await page.get_by_test_id("preset-save").click()
    await expect(page.get_by_test_id("preset-problem")).to_have_text("Please give it a name.")
    await page.get_by_test_id("preset-name").fill("Storm")
    await page.get_by_test_id("preset-prompt").fill("{prompt} in a storm")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await shows(page, "Storm")
    settings = {"steps": "7", "guidance_scale": "2", "negative_prompt": "thunder"}
    assert await stored(studio) == {
        "Storm": {"name": "Storm", "settings": settings, "prompt": "{prompt} in a storm"}
    }, "the seed is what is asked for now"
    # The dock is set to what was saved, and says so.
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("presets-open")).to_have_text("Storm")
    await expect(page.get_by_test_id("around-text")).to_have_text("… in a storm")

    await other.get_by_test_id("prompt").fill("a lighthouse")
    await open_presets(other, "Storm")
    await other.get_by_test_id("preset").click()
    await expect(other.get_by_test_id("presets")).to_be_hidden()
    await expect(other.get_by_test_id("presets-open")).to_have_text("Storm")
    for field, value in {"steps": "7", "guidance": "2", "negative": "thunder", "seed": ""}.items():
        await expect(other.get_by_test_id(field)).to_have_value(value)
    await expect(other.get_by_test_id("prompt")).to_have_value("a lighthouse")
    await other.get_by_test_id("toast-act").click()
    await expect(other.get_by_test_id("steps")).to_have_value("")
    await expect(other.get_by_test_id("around")).to_be_hidden()
    await expect(other.get_by_test_id("presets-open")).to_have_text("Presets")


async def test_the_text_around_a_prompt_is_sent_as_it_is_shown(studio: Studio) -> None:
    await store(studio, OIL)
    page = await studio.visit()
    await open_presets(page, "Oil")
    await page.get_by_test_id("preset").click()
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#prompt-problem")).to_have_text("Please write a prompt.")
    await page.get_by_test_id("prompt").fill("a red boat")
    # It is there after a reload, too.
    await page.reload()
    await expect(page.get_by_test_id("around-text")).to_have_text("oil painting of …, thick strokes")
    await expect(page.get_by_test_id("presets-open")).to_have_text("Oil")
    await page.get_by_test_id("generate").click()
    made = page.locator('[data-testid="generation"][data-state="ended"]')
    await expect(made).to_have_count(1)
    told = await facts(made)
    whole = "oil painting of a red boat, thick strokes"
    assert whole in told["prompt"]

    # Taken from there, the prompt has it already: nothing is put around it again.
    await made.get_by_test_id("open").first.click()
    await page.get_by_test_id("viewer-reuse").click()
    await expect(page.get_by_test_id("prompt")).to_have_value(whole)
    await expect(page.get_by_test_id("around")).to_be_hidden()
    await expect(page.get_by_test_id("presets-open")).to_have_text("Presets")
    await open_presets(page, "Oil")
    await page.get_by_test_id("preset").click()
    await page.get_by_test_id("generate").click()
    await expect(made).to_have_count(2)
    assert studio.engine.prompts == [whole] * 4

    await page.get_by_test_id("around-off").click()
    await expect(page.get_by_test_id("around")).to_be_hidden()
    await expect(page.get_by_test_id("prompt")).to_be_focused()


async def test_each_line_has_the_text_around_it(studio: Studio) -> None:
    await store(studio, SKETCH)
    page = await studio.visit()
    await open_presets(page, "Sketch")
    await page.get_by_test_id("preset").click()
    await page.get_by_test_id("prompt").fill("a cat\na dog")
    await page.get_by_test_id("lines-on").check()
    await page.get_by_test_id("generate").click()
    await expect(page.locator('[data-testid="generation"][data-state="ended"]')).to_have_count(2)
    sent = sorted(studio.engine.prompts)
    assert sent == ["a cat, pencil sketch", "a dog, pencil sketch"]


async def test_presets_are_changed_and_deleted_with_undo(studio: Studio) -> None:
    await store(studio, OIL, SKETCH)
    page, other = await studio.visit(), await studio.visit()
    await open_presets(other, "Oil", "Sketch")
    await open_presets(page, "Oil", "Sketch")

    await do(page, "Oil", "Delete")
    await shows(page, "Sketch")
    await shows(other, "Sketch")
    await page.get_by_test_id("presets-undo").click()
    await shows(page, "Oil", "Sketch")
    await shows(other, "Oil", "Sketch")
    await expect(page.get_by_test_id("presets-undo")).to_be_hidden()

    await do(page, "Oil", "Change name or text")
    await page.get_by_test_id("preset-name").fill("Paint")
    await page.get_by_test_id("preset-prompt").fill("")
    await page.get_by_test_id("preset-save").click()
    await shows(page, "Paint", "Sketch")
    assert (await stored(studio))["Paint"] == {"name": "Paint", "settings": OIL["settings"]}
    await expect(page.get_by_test_id("presets-open")).to_have_text("Presets")
    await page.get_by_test_id("presets-undo").click()
    await shows(page, "Oil", "Sketch")
    assert await stored(studio) == {"Oil": OIL, "Sketch": SKETCH}

    # A name that is there already is told before its preset is replaced.
    await page.get_by_test_id("preset-name").fill("Sketch")
    await expect(page.get_by_test_id("preset-save")).to_have_text("Replace “Sketch”")
    await page.get_by_test_id("preset-save").click()
    await expect(page.get_by_test_id("presets-done")).to_contain_text("“Sketch” is saved.")
    assert (await stored(studio))["Sketch"] == {"name": "Sketch", "settings": {}}
    await page.get_by_test_id("presets-undo").click()
    await expect(page.get_by_test_id("presets-undo")).to_be_hidden()
    assert (await stored(studio))["Sketch"] == SKETCH

    await page.keyboard.press("Escape")
    await open_settings(page)
    await page.get_by_test_id("steps").fill("8")
    await page.keyboard.press("Escape")
    await open_presets(page, "Oil", "Sketch")
    await do(page, "Oil", "Overwrite with what is set now")
    await expect(page.get_by_test_id("presets-done")).to_contain_text("“Oil” has what is set now.")
    assert (await stored(studio))["Oil"] == {"name": "Oil", "settings": {"steps": "8"}}
    await expect(page.get_by_test_id("presets-open")).to_have_text("Oil")


async def test_what_is_written_while_the_list_opens_is_kept(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("presets-open").click()
    await expect(page.get_by_test_id("preset-name")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("presets")).to_be_hidden()
    written = await page.evaluate(
        """() => new Promise((resolve) => {
          const root = document.getElementById("presets"), name = document.getElementById("preset-name");
          root.addEventListener("toggle", () => resolve(name.value), { once: true });
          document.getElementById("presets-open").click();
          name.value = "Storm";
          name.dispatchEvent(new Event("input", { bubbles: true }));
        })"""
    )
    assert written == "Storm"


async def test_a_model_that_is_not_there_is_told_and_the_rest_is_set(studio: Studio) -> None:
    await store(studio, {"name": "Other", "settings": {"model": "gone-painter", "steps": "4"}})
    page = await studio.visit()
    await open_presets(page, "Other")
    await expect(page.get_by_test_id("preset")).to_contain_text("gone-painter (not running)")
    await page.get_by_test_id("preset").click()
    await expect(page.get_by_test_id("toast")).to_contain_text("but for its model: gone-painter is not running")
    await expect(page.get_by_test_id("steps")).to_have_value("4")
    made = await generate(page, "a stone", steps=4)
    await expect(made).to_have_attribute("data-state", "ended")
    assert studio.engine.posts[-1][1] == "painter"


async def test_presets_by_keyboard(studio: Studio) -> None:
    await store(studio, OIL, SHARP, SKETCH)
    page = await studio.visit()
    rows = page.get_by_test_id("preset")
    await page.get_by_test_id("settings-open").focus()
    await page.keyboard.press("e")
    await shows(page, "Oil", "Sharp", "Sketch")
    await expect(rows.nth(0)).to_be_focused()
    await page.keyboard.press("End")
    await expect(rows.nth(2)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(rows.nth(1)).to_be_focused()
    # One stop of Tab for the list, and one for what else can be done with that preset.
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("preset-menu").nth(1)).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("preset-name")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("menu-item").first).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("preset-menu").nth(1)).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await shows(page, "Oil", "Sketch")
    await expect(rows.nth(1)).to_be_focused()
    await page.keyboard.press("Control+z")
    await shows(page, "Oil", "Sharp", "Sketch")
    await page.keyboard.press("3")
    await expect(page.get_by_test_id("presets-open")).to_have_text("Sketch")
    await expect(page.get_by_test_id("presets-open")).to_be_focused()
    await page.keyboard.press("Control+z")
    await expect(page.get_by_test_id("presets-open")).to_have_text("Presets")
    await page.keyboard.press("Enter")
    await expect(rows.nth(2)).to_be_focused()
    # It stays the same one where another device puts one before it; opened again, the list begins at the one in use.
    await page.keyboard.press("End")
    await store(studio, {"name": "Aged", "settings": {"steps": "5"}})
    await shows(page, "Aged", "Oil", "Sharp", "Sketch")
    await expect(rows.nth(3)).to_be_focused()
    await page.keyboard.press("1")
    await page.keyboard.press("Enter")
    await expect(rows.nth(0)).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("presets")).to_be_hidden()


async def test_without_a_line_presets_can_be_used_and_a_change_says_why_not(studio: Studio) -> None:
    await store(studio, OIL)
    page = await studio.visit()
    await open_presets(page, "Oil")
    await lose_the_line(page)
    await do(page, "Oil", "Delete")
    await expect(page.get_by_test_id("preset-problem")).to_have_text("There is no connection to the server.")
    await page.get_by_test_id("preset").click()
    await expect(page.get_by_test_id("presets-open")).to_have_text("Oil")
    await store(studio, SHARP)
    await find_the_line(page)
    await open_presets(page, "Oil", "Sharp")


async def test_a_name_is_shown_as_long_as_nothing_was_changed(studio: Studio) -> None:
    await store(studio, OIL)
    page = await studio.visit()
    await open_presets(page, "Oil")
    await page.get_by_test_id("preset").click()
    chip = page.get_by_test_id("presets-open")
    await expect(chip).to_have_text("Oil")
    await page.get_by_test_id("prompt").fill("whatever is written")
    await expect(chip).to_have_text("Oil")
    await page.get_by_test_id("count").first.check()
    await expect(chip).to_have_text("Presets")
    await page.get_by_test_id("count").nth(1).check()
    await expect(chip).to_have_text("Oil")
    # Deleted on another device, it is no preset any more.
    async with (
        aiohttp.ClientSession(studio.url) as http,
        http.patch("api/v1/account/presets", json={"delete": ["Oil"]}) as response,
    ):
        assert response.status == 200
    await expect(chip).to_have_text("Presets")
    await expect(page.get_by_test_id("around-text")).to_have_text("oil painting of …, thick strokes")
