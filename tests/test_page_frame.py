"""The frame of the page: the chip of the top bar, its menus, notices, and the examples of an empty sheet."""

import json
import re

import pytest
from playwright.async_api import Page, expect

from conftest import Serve
from page_kit import Open, Studio, find_the_line, generate, is_shown, lose_the_line, tiles

pytest_plugins = ["page_fixtures"]

AWAY = "http://127.0.0.1:9"
THIRD = """
  const { parse } = JSON;
  JSON.parse = (text, ...others) => {
    const value = parse(text, ...others);
    value?.languages?.unshift({ tag: "fr", name: "Français", show: "Afficher en français" });
    return value;
  };
"""
"""Has the page read of a third language that its server has texts in."""


async def test_one_chip_tells_of_line_and_model(studio: Studio) -> None:
    page = await studio.visit()
    chip, connect = page.get_by_test_id("connection"), page.get_by_test_id("connect")
    await expect(chip).to_have_text("painter ready")
    await expect(chip).to_have_attribute("data-health", "good")
    await chip.click()
    await expect(page.get_by_test_id("line-title")).to_have_text("Model server ready")
    await expect(page.get_by_test_id("line-models")).to_have_text("Running: painter")
    await expect(page.get_by_test_id("line-demo")).to_have_count(0)
    await page.keyboard.press("Escape")
    await lose_the_line(page)
    await expect(chip).to_have_attribute("data-health", "wait")
    await expect(chip).to_have_text(re.compile(r"^reconnecting in \d+ s|connecting$"))
    await connect.focus()
    await find_the_line(page)
    await expect(chip).to_have_text(re.compile("^resumed"))
    await expect(connect).to_be_hidden()
    await expect(chip).to_be_focused()


async def test_a_model_server_that_is_away_is_told_with_what_to_do(open_page: Open, serve: Serve) -> None:
    page = await open_page(await serve(xinference_url=AWAY))
    chip = page.get_by_test_id("connection")
    await expect(chip).to_have_text("model server away")
    await expect(chip).to_have_attribute("data-health", "bad")
    await expect(page.get_by_test_id("trouble")).to_contain_text("Start Xinference")
    await chip.click()
    await expect(page.get_by_test_id("line-cure")).to_contain_text("Start Xinference")
    await expect(page.get_by_test_id("announcer")).to_contain_text("The model server can’t be reached")
    # In the other language, too, after the server has told it anew.
    await page.get_by_test_id("lang").click()
    await expect(chip).to_have_text("模型服务离线")
    await expect(page.get_by_test_id("trouble")).to_contain_text("请启动 Xinference")


async def test_models_that_were_known_do_not_run_while_their_server_is_away(studio: Studio) -> None:
    page = await studio.visit()
    models = page.get_by_test_id("line-models")
    await page.get_by_test_id("connection").click()
    await expect(models).to_have_text("Running: painter")
    upstream = {"state": "unreachable", "message": "The model server can’t be reached", "cure": "Start it"}
    notice = {"type": "notice", "kind": "upstream", "message": "", "upstream": upstream}
    await page.evaluate("data => sockets.at(-1).onmessage({ data })", json.dumps(notice))
    await expect(page.get_by_test_id("line-cure")).to_have_text("Start it")
    await expect(models).to_be_hidden()


async def test_an_example_asks_with_one_click(studio: Studio) -> None:
    page = await studio.visit()
    examples = page.get_by_test_id("example")
    await expect(examples).to_have_count(6)
    await expect(page.get_by_test_id("demo")).to_have_count(0)
    await page.get_by_test_id("prompt").fill("what somebody types")
    await examples.first.focus()
    await page.keyboard.press("Enter")
    made = page.get_by_test_id("generation").filter(has_text="a lighthouse in a storm")
    await is_shown(tiles(made))
    assert studio.engine.prompts == ["a lighthouse in a storm, oil paint"]
    await expect(page.get_by_test_id("prompt")).to_have_value("what somebody types")
    # The examples are gone, and the keyboard is where the image is.
    await expect(page.get_by_test_id("empty")).to_be_hidden()
    await expect(page.get_by_test_id("gallery")).to_be_focused()


async def test_the_demo_says_that_it_is_one(open_page: Open, demo_url: str) -> None:
    page = await open_page(demo_url, lang="zh-CN")
    await expect(page.get_by_test_id("demo")).to_contain_text("--xinference")
    await expect(page.get_by_test_id("example").nth(3)).to_have_text("竹林里的小屋，水墨")
    await page.get_by_test_id("connection").click()
    await expect(page.get_by_test_id("line-demo")).to_contain_text("演示")


async def test_of_three_languages_one_is_chosen_from_a_list(studio: Studio) -> None:
    page = await studio.visit()

    await page.add_init_script(THIRD)
    await page.route("**/words/fr.json", lambda route: route.fulfill(json={"form.generate": "Générer"}))
    await page.reload()
    await page.get_by_test_id("lang").click()
    items = page.get_by_test_id("menu-item")
    await expect(items).to_have_text(["Français", "English", "中文"])
    await expect(page.get_by_role("menuitemradio", checked=True)).to_have_text("English")
    await expect(items.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("generate")).to_contain_text("Générer")
    await expect(items).to_have_count(0)
    await expect(page.get_by_test_id("lang")).to_be_focused()
    await expect(page.get_by_test_id("lang")).to_have_text("fr")


@pytest.mark.parametrize("width", [360, 768, 1099, 1100, 3840])
async def test_the_top_bar_is_one_row_even_with_long_words(studio: Studio, width: int) -> None:
    page = await studio.visit(width=width)
    await page.evaluate(
        """() => {
            const words = document.querySelectorAll(".top [data-t], #connection");
            for (const each of words) each.textContent += each.textContent;
            for (const each of document.querySelectorAll("#tabs, #sign-out, #who")) each.hidden = false;
            document.querySelector("#who").textContent = "somebody.with.a.long.name@example.org";
        }"""
    )
    assert await page.locator(".top").evaluate("bar => [bar.offsetHeight, bar.scrollWidth <= bar.clientWidth]") == [
        52,
        True,
    ]
    # What has no room in the bar is in its menu.
    if width < 1100:
        await expect(page.get_by_test_id("theme")).to_be_hidden()
        await page.get_by_test_id("tools-open").click()
    for tool in ("lang", "theme", "sign-out"):
        await expect(page.get_by_test_id(tool)).to_be_in_viewport(ratio=1)


async def test_a_notice_can_be_closed(studio: Studio) -> None:
    page = await studio.visit()
    await lose_the_line(page)
    await page.route("**/words/zh-CN.json", lambda route: route.fulfill(body="later"))
    await page.get_by_test_id("lang").click()
    notice = page.get_by_test_id("notice")
    await expect(notice).to_have_text("The server can’t be reached.")
    await notice.get_by_test_id("notice-close").click()
    await expect(notice).to_be_hidden()
    await expect(page.get_by_test_id("connection")).to_be_focused()


async def test_a_failure_is_a_strip_with_cause_cure_and_again(studio: Studio) -> None:
    page = await studio.visit()
    made = await generate(page, "a vase demo:error", steps=1)
    tile = tiles(made)
    await expect(tile).to_have_attribute("data-state", "failed")
    await expect(tile.locator(".cause")).to_have_text("The model has too little memory for this.")
    await expect(tile.locator(".cure")).to_have_text("A smaller size may fit.")
    await tile.get_by_test_id("retry").click()
    await expect(page.get_by_test_id("generation")).to_have_count(1)
    await until_asked(page, studio, 2)


async def until_asked(page: Page, studio: Studio, times: int) -> None:
    await expect(page.get_by_test_id("board")).to_be_hidden()
    assert len(studio.engine.prompts) == times
