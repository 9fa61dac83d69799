"""The search field and the filters of the page: what they find, where it stands, and that it follows what happens."""

import re
from contextlib import AsyncExitStack

from playwright.async_api import Page, expect

from clients import WireClient
from page_kit import FROZEN, Studio, find_the_line, fits, generate, has_state, live, lose_the_line, tiles

pytest_plugins = ["page_fixtures"]

FIELDS = {"size": "64x64", "steps": 1}


async def make(client: WireClient, *prompts: str, n: int = 1) -> None:
    """Have images made by another client; their ids are their prompts, with a dash between words."""
    ids = [prompt.replace(" ", "-") for prompt in prompts]
    for task_id, prompt in zip(ids, prompts, strict=True):
        await client.ask(action="generate", prompt=prompt, task_id=task_id, n=n, **FIELDS)
    await client.ends(*ids)


async def mark(client: WireClient, task_id: str, **marks: object) -> None:
    answer = await client.ask(action="mark", task_id=task_id, **marks)
    assert answer["type"] == "ok", answer


async def shows(page: Page, *ids: str) -> None:
    """Wait until the sheet has these generations, in this order, and no others."""
    generations = page.get_by_test_id("generation")
    await expect(generations).to_have_count(len(ids))
    for at, task_id in enumerate(ids):
        await expect(generations.nth(at)).to_have_attribute("data-task", task_id)


async def find(page: Page, text: str) -> None:
    await page.get_by_test_id("find-text").fill(text)
    await page.keyboard.press("Enter")


async def test_words_tags_models_and_days_are_found_at_an_address(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        await make(client, "red boat", "blue boat")
        await client.ask(action="generate", prompt="红色的帆船", task_id="sail", **FIELDS)
        await client.ends("sail")
        await mark(client, "blue-boat", tags=["sea", "by night"])
    page = await studio.visit()
    await expect(page.get_by_test_id("find-all")).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("/")
    await expect(page.get_by_test_id("find-text")).to_be_focused()
    # Nothing has to be pressed for what is typed to be looked for.
    await page.keyboard.type("boa")
    await shows(page, "blue-boat", "red-boat")
    await expect(page.get_by_test_id("find-count")).to_have_text("2 found")
    await expect(page.get_by_test_id("day").locator("h3")).to_have_text("Today 2 images")
    assert page.url.endswith("#find=boa")
    for text, found in {
        "帆船": ["sail"],
        "#sea": ["blue-boat"],
        "@painter": ["sail", "blue-boat", "red-boat"],
        "red today @painter": ["red-boat"],
        "boat 2001-02-03": [],
    }.items():
        await find(page, text)
        await expect(page.get_by_test_id("find-count").or_(page.get_by_test_id("find-nothing"))).to_be_visible()
        await shows(page, *found)
    await expect(page.get_by_test_id("find-nothing")).to_be_visible()
    await expect(page.get_by_test_id("announcer")).to_contain_text("Nothing found")
    await page.reload()
    await expect(page.get_by_test_id("find-nothing")).to_be_visible()
    await expect(page.get_by_test_id("find-text")).to_have_value("boat 2001-02-03")
    await page.get_by_test_id("find-everything").click()
    await shows(page, "sail", "blue-boat", "red-boat")
    await expect(page.get_by_test_id("find-text")).to_have_value("")
    assert "#" not in page.url


async def test_what_can_be_looked_for_is_offered(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        await make(client, "red boat", "blue boat")
        await mark(client, "blue-boat", tags=["sea", "by night"])
    page = await studio.visit()
    await page.get_by_test_id("find-text").click()
    sheet = page.get_by_test_id("find-sheet")
    choices = sheet.get_by_test_id("find-choice")
    await expect(choices).to_have_text(["by night", "sea", "painter", "Today", "Yesterday"])
    await choices.nth(0).click()
    await expect(page.get_by_test_id("find-text")).to_have_value('#"by night"')
    await shows(page, "blue-boat")
    await expect(choices.nth(0)).to_have_attribute("aria-pressed", "true")
    await choices.nth(0).click()
    await shows(page, "blue-boat", "red-boat")
    # A tag that is begun is completed; typing words makes room for what they find.
    await page.get_by_test_id("find-text").press_sequentially("#s")
    await expect(choices.first).to_have_text("sea")
    await choices.first.click()
    await expect(page.get_by_test_id("find-text")).to_have_value("#sea")
    await shows(page, "blue-boat")
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(page.get_by_test_id("find-text")).to_be_focused()
    await page.get_by_test_id("find-text").fill("red")
    await expect(sheet).to_be_hidden()
    await shows(page, "red-boat")


async def test_going_back_leads_from_an_image_to_what_was_found_and_to_all(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        await make(client, "red boat", "blue boat", "red house")
    page = await studio.visit()
    await find(page, "red")
    await shows(page, "red-house", "red-boat")
    await page.locator('[data-task="red-house"]').get_by_test_id("open").click()
    viewer = page.get_by_test_id("viewer")
    await expect(viewer).to_be_visible()
    # Walking on stays among what was found.
    await page.keyboard.press("ArrowRight")
    await expect(viewer.get_by_test_id("fact-prompt")).to_contain_text("red boat")
    await expect(viewer.get_by_test_id("viewer-next")).to_be_disabled()
    await page.go_back()
    await expect(viewer).to_be_hidden()
    await shows(page, "red-house", "red-boat")
    await page.go_back()
    await shows(page, "red-house", "blue-boat", "red-boat")
    await expect(page.get_by_test_id("find-text")).to_have_value("")
    await page.go_forward()
    await shows(page, "red-house", "red-boat")


async def test_starred_images_follow_the_stars_of_every_window(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        await make(client, "red boat", "blue boat", n=2)
        await mark(client, "red-boat", index=1, starred=True)
        page = await studio.visit()
        await page.get_by_test_id("find-starred").click()
        await shows(page, "red-boat")
        # The other image of its generation has no star.
        await expect(page.get_by_test_id("tile")).to_have_count(1)
        await expect(page.get_by_test_id("tile")).to_have_attribute("data-index", "1")
        await mark(client, "blue-boat", index=0, starred=True)
        await shows(page, "blue-boat", "red-boat")
        await expect(page.get_by_test_id("find-count")).to_have_text("2 found")
        await mark(client, "red-boat", starred=False)
        await shows(page, "blue-boat")
        await client.ask(action="delete", task_id="blue-boat", index=0)
        await expect(page.get_by_test_id("find-nothing")).to_be_visible()
        await client.ask(action="restore", task_id="blue-boat", index=0)
        await shows(page, "blue-boat")
        await client.ask(action="delete", task_id="blue-boat")
        await expect(page.get_by_test_id("find-nothing")).to_be_visible()


async def test_what_is_in_flight_stands_among_all_only_and_what_lands_is_found(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        await make(client, "red boat")
    page = await studio.visit()
    generation = await generate(page, f"red house{FROZEN}1", steps=2)
    await has_state(tiles(generation), "running")
    await find(page, "red")
    await shows(page, "red-boat")
    await expect(page.get_by_test_id("board")).to_be_visible()
    # Who asks for more there stays there, and is led to it.
    await page.get_by_test_id("prompt").fill(f"a house{FROZEN}1")
    await page.get_by_test_id("generate").click()
    await expect(page.get_by_test_id("toast")).to_contain_text("among all images")
    await shows(page, "red-boat")
    # However they get there, the offer has had its use.
    await page.evaluate("location.hash = ''")
    await expect(page.get_by_test_id("generation")).to_have_count(3)
    await expect(page.get_by_test_id("toast")).to_have_count(0, timeout=3000)
    await page.go_back()
    await shows(page, "red-boat")
    await page.get_by_test_id("prompt").fill(f"a hut{FROZEN}1")
    await page.get_by_test_id("generate").click()
    await page.get_by_test_id("toast-act").click()
    await expect(page.get_by_test_id("generation")).to_have_count(4)
    await page.go_back()
    studio.engine.thaw()
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    await expect(page.get_by_test_id("find-count")).to_have_text("2 found")
    await page.get_by_test_id("find-text").fill("boat")
    await shows(page, "red-boat")


async def test_what_failed_is_counted_and_found(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        await make(client, "red boat")
        await make(client, "blue boat demo:error", "broken boat demo:error")
    page = await studio.visit()
    await expect(page.get_by_test_id("failed-count")).to_have_text("2")
    await page.get_by_test_id("find-failed").click()
    await shows(page, "broken-boat-demo:error", "blue-boat-demo:error")
    await expect(page.get_by_test_id("verdict")).to_have_count(2)
    await find(page, "broken")
    await shows(page, "broken-boat-demo:error")
    assert page.url.endswith("#find=broken&only=failed")


async def test_what_changed_while_the_page_was_away_is_found_when_it_is_back(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        await make(client, "red boat", "blue boat", "red house")
        page = await studio.visit()
        await find(page, "red")
        await shows(page, "red-house", "red-boat")
        await lose_the_line(page)
        await make(client, "red car")
        await client.ask(action="delete", task_id="red-boat")
        await find(page, "red car")
        await expect(page.get_by_test_id("find-count")).to_have_text("Looking…")
        await find(page, "red")
        await find_the_line(page)
        await shows(page, "red-car", "red-house")


async def test_many_are_found_page_by_page(studio: Studio, stack: AsyncExitStack) -> None:
    client = await stack.enter_async_context(WireClient.connect(studio.url))
    await make(client, *(f"boat {at}" for at in range(55)), "house")
    # Words of so many at once are there to be found a moment later.
    while (await client.ask(action="list", search="boat")).get("next") is None:
        pass
    page = await studio.visit()
    await find(page, "boat")
    await expect(page.get_by_test_id("find-count")).to_have_text(re.compile(r"50\+ found|55 found"))
    await page.get_by_test_id("gallery").focus()
    await page.keyboard.press("End")
    await expect(page.get_by_test_id("find-count")).to_have_text("55 found")
    await expect(page.get_by_test_id("find-more")).to_be_hidden()
    await expect(page.locator('[data-task="boat-0"]')).to_be_visible()
    # One that nobody scrolled to before, and that no event told of, is starred.
    await page.reload()
    await live(page)
    await page.get_by_test_id("find-text").fill("")
    await page.keyboard.press("Enter")
    await page.get_by_test_id("find-starred").click()
    await expect(page.get_by_test_id("find-nothing")).to_be_visible()
    await mark(client, "boat-0", starred=True)
    await shows(page, "boat-0")


async def test_the_search_fits_a_phone(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        await make(client, "red boat", "blue boat demo:error")
        await mark(client, "red-boat", tags=["sea"], starred=True)
    page = await studio.visit(width=360)
    await expect(page.get_by_test_id("find-starred")).to_be_hidden()
    await page.get_by_test_id("find-text").click()
    await expect(page.get_by_test_id("find-choice").first).to_have_text("sea")
    await fits(page)
    await page.get_by_test_id("find-sheet-starred").click()
    await shows(page, "red-boat")
    await expect(page.get_by_test_id("find-sheet-starred")).to_have_attribute("aria-pressed", "true")
    await page.get_by_test_id("prompt").click()
    await expect(page.get_by_test_id("find-sheet")).to_be_hidden()
