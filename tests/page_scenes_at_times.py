"""States of the page that are seen now and then: menus, questions, what is left out; see `page_scenes.py`."""

from playwright.async_api import Page, Route, expect

from clients import eventually
from page_kit import FROZEN, live, lose_the_line, open_settings, view
from page_world import World, scene, shows
from xinflight.demo import Faults

THIRD = """
  const { parse } = JSON;
  JSON.parse = (text, ...others) => {
    const value = parse(text, ...others);
    value?.languages?.unshift({ tag: "fr", name: "Français", show: "Afficher en français" });
    return value;
  };
"""
"""Has the page read of a third language that its server has texts in."""


@scene
async def question_before_a_deletion(world: World) -> Page:
    """With the chat that is to be deleted, of which an answer was stopped."""
    page = await world.visit()
    await page.get_by_test_id("chat-tab").click()
    world.engine.faults = Faults(freeze=12, requests=1)
    await page.get_by_test_id("chat-text").fill("120 words about boats")
    await page.get_by_test_id("chat-text").press("Enter")
    await expect(page.get_by_test_id("said").last).not_to_be_empty()
    await page.get_by_test_id("chat-stop").click()
    await eventually(lambda: world.engine.aborts != [])
    world.engine.thaw()
    await shows(page, "chat-retry", "chat-delete")
    await page.get_by_test_id("chat-delete").click()
    await shows(page, "confirm")
    return page


@scene
async def chat_that_waits_for_the_line(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("chat-tab").click()
    await expect(page.get_by_test_id("chat-text")).to_be_visible()
    await lose_the_line(page)
    await page.get_by_test_id("chat-text").fill("120 words about boats")
    await page.get_by_test_id("chat-text").press("Enter")
    await shows(page, "chat-step")
    return page


@scene
async def menu_of_languages(world: World) -> Page:
    world.scripts.append(THIRD)
    page = await world.visit()
    await page.get_by_test_id("lang").click()
    await shows(page, "menu", "menu-item")
    return page


@scene
async def menu_of_a_row(world: World) -> Page:
    """Of a board that has more rows than it shows."""
    page = await (await world.context()).new_page()

    async def few(route: Route) -> None:
        script = await (await route.fetch()).text()
        await route.fulfill(body=script.replace("MOST = 50", "MOST = 3"), content_type="text/javascript")

    await page.route("**/board/board.js", few)
    await page.goto(await world.server())
    await live(page)
    await world.make(page, f"a running one{FROZEN}4", "one of many", end=False, n=3)
    await shows(page, "board-more")
    await page.locator("[data-act=menu]").nth(2).click()
    await shows(page, "menu", "menu-item")
    return page


@scene
async def image_of_a_grid_with_tags(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a cat")
    await open_settings(page)
    await page.get_by_test_id("grid-rows").select_option("steps")
    await page.get_by_test_id("grid-rows-values").fill("1, 2")
    await page.get_by_test_id("generate").click()
    await expect(page.get_by_test_id("open")).to_have_count(2)
    viewer = await view(page.get_by_test_id("generation").first)
    await viewer.get_by_test_id("tag-add").fill("sea, 傍晚")
    await page.keyboard.press("Enter")
    await shows(page, "fact-grid", "tag", "tag-remove")
    return page


@scene
async def no_presets(world: World) -> Page:
    """What the first one is to be, and what is wrong with it."""
    page = await world.visit()
    await page.get_by_test_id("presets-open").click()
    await shows(page, "presets-none", "preset-now")
    await page.get_by_test_id("preset-save").click()
    await shows(page, "preset-problem")
    return page


@scene
async def image_that_does_not_load(world: World) -> Page:
    page = await world.visit()
    await page.route("**/outputs/**", lambda route: route.abort())
    await world.make(page, "a lighthouse in a storm")
    await shows(page, "load-again")
    return page


@scene
async def another_token(world: World) -> Page:
    """A link with a token of somebody else was opened in the page of somebody who is signed in."""
    url = await world.server(auth="tokens")
    page = await world.open(url)
    await live(page)
    await page.evaluate("location.hash = 'token=of-somebody-else'")
    await shows(page, "sign-in-dismiss")
    return page


@scene
async def nobody_at_the_proxy(world: World) -> Page:
    page = await world.open(await world.server(auth="proxy", trusted_proxies=("127.0.0.1",)))
    await shows(page, "sign-in-reload")
    return page
