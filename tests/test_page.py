"""The page in a real Chromium: what it shows, cancels, says, and how it is used."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from page_kit import FROZEN, Open, Studio, choose, fits, generate, has_state, is_shown, open_settings, tiles

pytest_plugins = ["page_fixtures"]


async def test_shows_what_the_demo_draws(open_page: Open, demo_url: str) -> None:
    page = await open_page(demo_url)
    generation = await generate(page, "a red boat", steps=1)
    await is_shown(tiles(generation))
    await expect(page.get_by_test_id("counts")).to_have_text("1 ready")


async def test_cancels_the_middle_one_of_three(studio: Studio) -> None:
    page = await studio.visit()
    first = await generate(page, "a red boat")
    middle = await generate(page, f"a heron{FROZEN}4")
    last = await generate(page, "a lantern")
    await has_state(tiles(middle), "running")
    await tiles(middle).get_by_test_id("cancel-image").click()
    await has_state(tiles(middle), "cancelling")
    toast = page.get_by_test_id("toast")
    await expect(toast).to_contain_text("“a heron demo:freeze=4” is being stopped.")
    await studio.abort()
    # It leaves no tile: the toast tells what became of it, and nobody says so twice.
    await expect(middle).to_have_count(0)
    await expect(toast).to_have_text(re.compile("“a heron demo:freeze=4” stopped .+ s after the cancel"))
    await is_shown(tiles(first))
    await is_shown(tiles(last))
    await expect(page.get_by_test_id("counts")).to_have_text("2 ready")
    await expect(page.get_by_test_id("announcer")).to_contain_text("is ready")
    await expect(page.get_by_test_id("announcer")).not_to_contain_text("heron")


async def test_cancels_one_image_of_three(studio: Studio) -> None:
    page = await studio.visit()
    generation = await generate(page, f"three foxes{FROZEN}2", n=3)
    await expect(tiles(generation)).to_have_count(3)
    await has_state(tiles(generation).nth(1), "running")
    await tiles(generation).nth(1).get_by_test_id("cancel-image").click()
    await studio.abort()
    await expect(generation).to_have_attribute("data-state", "ended")
    await expect(tiles(generation)).to_have_count(2)
    for tile, index in ((tiles(generation).nth(0), "0"), (tiles(generation).nth(1), "2")):
        await is_shown(tile)
        await expect(tile).to_have_attribute("data-index", index)


async def test_cancels_all_but_one(studio: Studio) -> None:
    page = await studio.visit()
    kept, running, waiting = [await generate(page, f"a {what}{FROZEN}2") for what in ("bridge", "mill", "barn")]
    await has_state(tiles(running), "running")
    await choose(page.get_by_test_id("board-row").filter(has_text="a bridge"), "Cancel all others")
    await expect(waiting).to_have_count(0)
    await studio.abort()
    await expect(running).to_have_count(0)
    await is_shown(tiles(kept))


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
async def test_fits_a_phone(studio: Studio, lang: str) -> None:
    page = await studio.visit(lang=lang, width=360)
    await fits(page)
    generation = await generate(page, "a" * 300 + f"{FROZEN}4", n=3)
    await has_state(tiles(generation).nth(1), "running")
    await fits(page)
    await tiles(generation).nth(1).get_by_test_id("cancel-image").click()
    await studio.abort()
    await expect(generation).to_have_attribute("data-state", "ended")
    await fits(page)


async def test_speaks_both_languages_without_a_reload(studio: Studio) -> None:
    page = await studio.visit(lang="zh-CN")
    button = page.get_by_test_id("generate")
    await expect(button).to_contain_text("生成")
    generation = await generate(page, f"a pine{FROZEN}6")
    step = tiles(generation).get_by_test_id("step")
    await expect(step).to_have_text("第 6/10 步")
    await page.get_by_test_id("lang").click()
    await expect(button).to_contain_text("Generate")
    await expect(step).to_have_text("step 6 of 10")
    assert await page.evaluate("document.documentElement.lang") == "en"
    await page.reload()
    await expect(button).to_contain_text("Generate")


async def test_keeps_its_language_where_the_texts_of_another_do_not_come(studio: Studio) -> None:
    page = await studio.visit()
    await page.route("**/words/zh-CN.json", lambda route: route.fulfill(body="later"))
    await page.get_by_test_id("lang").click()
    await expect(page.get_by_test_id("notice")).to_have_text("The server can’t be reached.")
    await expect(page.get_by_test_id("generate")).to_contain_text("Generate")


async def test_everything_is_done_by_keyboard(studio: Studio) -> None:
    page = await studio.visit()
    await tab_to(page, "prompt")
    await page.keyboard.type(f"a quiet harbour{FROZEN}5")
    await open_settings(page)
    await tab_to(page, "steps")
    await page.keyboard.type("10")
    await page.keyboard.press("Control+Enter")
    tile = page.get_by_test_id("tile")
    await has_state(tile, "running")
    await tab_to(page, "cancel-image")
    await page.keyboard.press("Enter")
    await studio.abort()
    await expect(tile).to_have_count(0)
    # The tile is gone, and the keyboard has not been sent back to the top of the page.
    await expect(page.get_by_test_id("gallery")).to_be_focused()

    await tab_to(page, "settings-open", back=True)
    await page.keyboard.press("Enter")
    await tab_to(page, "steps")
    await page.keyboard.type("2")
    await tab_to(page, "generate")
    await page.keyboard.press("Enter")
    done = page.get_by_test_id("tile").first
    await is_shown(done)
    await tab_to(page, "open")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("viewer")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("viewer")).to_be_hidden()
    await expect(done.get_by_test_id("open")).to_be_focused()


async def test_settings_stay_open_though_what_had_the_focus_before_is_below_them(studio: Studio) -> None:
    """However fast one comes from there and opens them; what they cover while it has the focus closes them."""
    page = await studio.visit()
    settings = page.get_by_test_id("settings")
    frames = (
        "await new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(seen))));"
    )
    await page.evaluate(
        f"""async () => {{
          document.getElementById("gallery").focus();
          document.getElementById("settings-open").focus();
          document.getElementById("settings").showPopover();
          {frames};
        }}"""
    )
    await expect(settings).to_be_visible()
    await page.evaluate(f"async () => {{ document.getElementById('gallery').focus(); {frames}; }}")
    await expect(settings).to_be_hidden()


async def tab_to(page: Page, testid: str, *, back: bool = False) -> None:
    for _ in range(40):
        await page.keyboard.press("Shift+Tab" if back else "Tab")
        if await page.evaluate("document.activeElement.dataset.testid") == testid:
            return
    raise AssertionError(f"the keyboard does not reach {testid}")


async def test_a_shown_percentage_never_falls(studio: Studio) -> None:
    page = await studio.visit()
    await page.evaluate(
        """() => {
          window.shown = [];
          new MutationObserver((changes) => {
            for (const { target } of changes) window.shown.push(Number(target.getAttribute("aria-valuenow")));
          }).observe(document.body, { subtree: true, attributeFilter: ["aria-valuenow"] });
        }"""
    )
    generation = await generate(page, f"a clock{FROZEN}6")
    await expect(tiles(generation).get_by_test_id("progress")).to_have_attribute("aria-valuenow", "60")
    studio.engine.thaw()
    await is_shown(tiles(generation))
    shown = await page.evaluate("window.shown")
    assert shown == sorted(shown)
    assert {60, 100} <= set(shown)


async def test_tells_the_title_and_those_who_listen(studio: Studio) -> None:
    page = await studio.visit()
    generation = await generate(page, f"a bell{FROZEN}6")
    await expect(page).to_have_title("60% (1 to come) – xinflight")
    studio.engine.thaw()
    await is_shown(tiles(generation))
    await expect(page).to_have_title("xinflight")
    await expect(page.get_by_test_id("announcer")).to_contain_text("“a bell demo:freeze=6” is ready.")


async def test_a_prompt_is_never_markup(studio: Studio) -> None:
    page = await studio.visit()
    prompt = '<img src=x onerror="throw 1"><b id=bold>bold</b>'
    generation = await generate(page, prompt, steps=2)
    await is_shown(tiles(generation))
    await expect(tiles(generation).get_by_test_id("tile-prompt")).to_have_text(prompt)
    await expect(page.locator("#bold")).to_have_count(0)


async def test_a_refused_value_is_told_at_its_field(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("prompt").fill("a ship <lora:old:1>")
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#prompt-problem")).to_contain_text("LoRA")
    await expect(page.get_by_test_id("prompt")).to_be_focused()
    await expect(page.get_by_test_id("generation")).to_have_count(0)


async def test_a_seed_is_used_again_for_the_same_image(studio: Studio) -> None:
    page = await studio.visit()
    first = await generate(page, "a stone", steps=2)
    await is_shown(tiles(first))
    await tiles(first).get_by_test_id("reuse").click()
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    again = page.get_by_test_id("generation").filter(has_text="a stone").first
    await is_shown(tiles(again))
    assert await pixels(tiles(first)) == await pixels(tiles(again))


async def pixels(tile: Locator) -> str:
    """Return what is shown: the files also say when each was made."""
    drawn: str = await tile.get_by_test_id("image").evaluate(
        """(image) => {
          const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          return String(context.getImageData(0, 0, canvas.width, canvas.height).data);
        }"""
    )
    return drawn
