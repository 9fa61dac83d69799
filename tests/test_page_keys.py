"""The keys of the page: each one that the list names does what it says, and the list names all."""

import re

from playwright.async_api import Download, Locator, Page, expect

from page_kit import FROZEN, Studio, generate, has_state, is_shown, tiles, view, view_large

pytest_plugins = ["page_fixtures"]

LISTED = {
    "Everywhere": ["/", "p", "e", "Ctrl Z", "Esc", "?"],
    "In the prompt": ["Ctrl Enter", "↑ ↓"],
    "In the list of presets": ["↑ ↓", "1 … 9"],
    "On a row of what is in flight": ["↑ ↓", "Alt ↑ ↓", "Delete"],
    "On an image of the sheet": ["← → ↑ ↓", "PgUp PgDn", "Home End", "Tab", "s", "Delete"],
    "In an image": ["← →", "+ - 0", "← → ↑ ↓", "PgUp PgDn", "c", "d", "s", "Delete"],
    "Where a part is painted over": ["← → ↑ ↓", "Space", "Ctrl Z"],
}
"""What the tests below press, and those of search, presets, stars, undo, sheet, board (Alt and arrows) and mask."""

SECTIONS = """parts => Object.fromEntries(parts.map((part) => {
  const pressed = (keys) => [...keys.querySelectorAll("kbd")].map((key) => key.textContent).join(" ");
  return [part.querySelector("h3").textContent, [...part.querySelectorAll("dt")].map(pressed)];
}))"""


async def two_images(studio: Studio) -> tuple[Page, Locator]:
    """Open the newer one of two images."""
    page = await studio.visit()
    await is_shown(tiles(await generate(page, "an older one", steps=2)))
    newer = await generate(page, "a newer one", steps=2)
    await is_shown(tiles(newer))
    return page, await view(newer)


async def test_the_list_has_all_keys_and_opens_everywhere(studio: Studio) -> None:
    page, viewer = await two_images(studio)
    listed = page.get_by_test_id("shortcuts")
    await page.keyboard.press("?")
    await expect(listed).to_be_visible()
    assert await listed.locator("section").evaluate_all(SECTIONS) == LISTED
    await page.keyboard.press("Escape")
    await expect(listed).to_be_hidden()
    await expect(viewer).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()
    await page.keyboard.press("?")
    await page.get_by_test_id("shortcuts-on").uncheck()
    await page.keyboard.press("Escape")
    # Then no single letter or sign does anything, in an image neither; arrows and Escape go on.
    await page.get_by_test_id("open").first.click()
    await page.keyboard.press("c")
    await page.keyboard.press("?")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#viewer-title")).to_contain_text("an older one")
    await expect(viewer.get_by_test_id("viewer-compare")).to_have_attribute("aria-pressed", "false")
    await expect(listed).to_be_hidden()


async def test_keys_of_the_prompt(studio: Studio) -> None:
    page = await studio.visit()
    await page.locator("body").press("p")
    await page.keyboard.type("a stone")
    await page.keyboard.press("Control+Enter")
    await is_shown(page.get_by_test_id("tile"))
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.press("Delete")
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_test_id("prompt")).to_have_value("a stone")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_test_id("prompt")).to_have_value("")


async def test_keys_of_an_image(studio: Studio) -> None:
    page, viewer = await two_images(studio)
    image, title = viewer.get_by_test_id("viewer-image"), page.locator("#viewer-title")
    scale = "image => Number(image.style.scale)"
    await page.keyboard.press("+")
    assert await image.evaluate(scale) == 1.5
    await page.keyboard.press("+")
    await page.keyboard.press("-")
    assert await image.evaluate(scale) == 1.5
    await page.keyboard.press("0")
    assert await image.evaluate(scale) == 1

    # It is pinned, and the others are compared with it, with a divider that arrows move.
    pinned, divider = viewer.get_by_test_id("viewer-pinned"), viewer.get_by_test_id("viewer-divider")
    newer = await image.get_attribute("src")
    await page.keyboard.press("c")
    await expect(viewer.get_by_test_id("viewer-compare")).to_have_attribute("aria-pressed", "true")
    await expect(divider).to_be_hidden()
    await page.keyboard.press("ArrowRight")
    await expect(title).to_contain_text("an older one")
    await expect(pinned).to_have_attribute("src", newer or "")
    await divider.press("ArrowRight")
    await expect(divider).to_have_value("51")
    assert await pinned.evaluate("pinned => getComputedStyle(pinned).clipPath") == "inset(0px 49% 0px 0px)"
    await viewer.get_by_test_id("viewer-stage").focus()
    await page.keyboard.press("c")
    await expect(pinned).to_be_hidden()

    async with page.expect_download() as saved:
        await page.keyboard.press("d")
    download: Download = await saved.value
    assert re.search(r"an-older-one", download.suggested_filename)
    await page.keyboard.press("ArrowLeft")
    await expect(title).to_contain_text("a newer one")
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()


async def test_arrow_keys_move_an_enlarged_image_and_page_keys_walk_on(studio: Studio) -> None:
    page = await view_large(studio)
    image, title = page.get_by_test_id("viewer-image"), page.locator("#viewer-title")
    # How far the image has moved: to the left when one looks further to the right.
    moved = "image => image.style.translate.split(' ').map((by) => Math.sign(parseFloat(by)))"
    for _ in range(3):
        await page.keyboard.press("+")
    for key, expected in (
        ("ArrowRight", [-1, 0]),
        ("ArrowDown", [-1, -1]),
        ("ArrowLeft", [0, -1]),
        ("ArrowUp", [0, 0]),
    ):
        await page.keyboard.press(key)
        found = await image.evaluate(moved)
        assert found == expected or (expected[1] == 0 and found == expected[:1]), key
    await expect(title).to_contain_text("newer")
    # Not beyond its edge.
    for _ in range(30):
        await page.keyboard.press("ArrowRight")
    edges = "image => image.getBoundingClientRect().right - image.parentElement.getBoundingClientRect().right"
    assert abs(await image.evaluate(edges)) < 1
    await page.keyboard.press("PageDown")
    await expect(title).to_contain_text("older")
    await expect(image).to_have_js_property("style.scale", "1")
    await page.keyboard.press("PageUp")
    await expect(title).to_contain_text("newer")
    await page.keyboard.press("ArrowRight")
    await expect(title).to_contain_text("older")


async def test_colours_go_round_and_are_kept(studio: Studio) -> None:
    page = await studio.visit()
    button, ground = page.get_by_test_id("theme"), "getComputedStyle(document.documentElement).backgroundColor"
    await page.emulate_media(color_scheme="dark")
    await expect(button).to_have_attribute("aria-label", re.compile("as the system"))
    assert await page.evaluate(ground) == "rgb(17, 17, 18)"
    await button.press("Enter")
    await expect(button).to_have_attribute("aria-label", re.compile("light"))
    assert await page.evaluate(ground) == "rgb(244, 244, 242)"
    await page.reload()
    assert await page.evaluate(ground) == "rgb(244, 244, 242)"
    await button.click()
    await expect(button).to_have_attribute("aria-label", re.compile("dark"))
    await page.emulate_media(color_scheme="light")
    assert await page.evaluate(ground) == "rgb(17, 17, 18)"
    await button.click()
    assert await page.evaluate(ground) == "rgb(244, 244, 242)"


SOUNDS = """
  window.tones = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (when) {
    window.tones.push(this.frequency.value);
    return start.call(this, when);
  };
"""


async def test_a_sound_tells_that_everything_is_done(studio: Studio) -> None:
    page = await studio.visit()
    await page.add_init_script(SOUNDS)
    await page.reload()
    await page.get_by_test_id("bell").click()
    await page.get_by_test_id("bell-sound").check()
    assert await page.evaluate("tones") == [660, 880], "it is heard once when it is chosen"
    await page.keyboard.press("Escape")
    made = await generate(page, f"two oaks{FROZEN}4", n=2)
    await has_state(tiles(made).nth(1), "running")
    studio.engine.thaw()
    await page.evaluate("new Promise((heard) => setInterval(() => tones.length === 4 && heard(), 20))")
    await expect(page.get_by_test_id("board")).to_be_hidden()
    await page.get_by_test_id("bell").click()
    await page.get_by_test_id("bell-sound").uncheck()
    await page.keyboard.press("Escape")
    await is_shown(tiles(await generate(page, "a stone", steps=2)))
    await expect(page.get_by_test_id("board")).to_be_hidden()
    assert len(await page.evaluate("tones")) == 4
