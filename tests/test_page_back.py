"""Where an image or a grid was opened from is where leaving it leads, also after a reload."""

import re

from playwright.async_api import Page, expect

from clients import WireClient
from page_kit import Studio, live, view

pytest_plugins = ["page_fixtures"]

FIELDS = {"size": "64x64", "steps": 1}


async def found(studio: Studio) -> Page:
    """Open the page, and find two of three images."""
    async with WireClient.connect(studio.url) as client:
        for task_id, prompt in {"one": "red boat", "two": "blue boat", "three": "a house"}.items():
            await client.ask(action="generate", prompt=prompt, task_id=task_id, **FIELDS)
        await client.ends("one", "two", "three")
    page = await studio.visit()
    await page.get_by_test_id("find-text").fill("boat")
    await expect(page.get_by_test_id("find-count")).to_have_text("2 found")
    return page


async def test_a_reload_on_an_image_comes_back_to_the_search_it_was_opened_from(studio: Studio) -> None:
    page = await found(studio)
    viewer = await view(page.locator('[data-task="two"]'))
    await page.keyboard.press("ArrowRight")
    await expect(page).to_have_url(re.compile("#image=one/0$"))
    await page.reload()
    await live(page)
    await expect(viewer).to_be_visible()
    # The film strip is that of the search, too.
    await expect(viewer.get_by_test_id("film").locator("li")).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()
    await expect(page).to_have_url(f"{studio.url}#find=boat")
    await expect(page.get_by_test_id("find-text")).to_have_value("boat")
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    # And from there to everything, as before.
    await page.get_by_test_id("find-all").click()
    await expect(page.get_by_test_id("generation")).to_have_count(3)
    await expect(page).to_have_url(studio.url)


async def test_an_image_of_a_link_leads_to_the_sheet(studio: Studio) -> None:
    page = await found(studio)
    await page.goto("about:blank")
    await page.goto(f"{studio.url}#image=one/0")
    await live(page)
    await expect(page.get_by_test_id("viewer")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("generation")).to_have_count(3)
    await expect(page).to_have_url(studio.url)


async def test_all_shows_all_whatever_was_looked_for(studio: Studio) -> None:
    page = await found(studio)
    everything = page.get_by_test_id("find-all")
    await expect(everything).to_have_attribute("aria-pressed", "false")
    await page.get_by_test_id("find-starred").click()
    await expect(page.get_by_test_id("find-nothing")).to_be_visible()
    await expect(page.get_by_test_id("find-text")).to_have_value("boat")
    await everything.click()
    await expect(page.get_by_test_id("find-text")).to_have_value("")
    await expect(page.get_by_test_id("generation")).to_have_count(3)
    await expect(everything).to_have_attribute("aria-pressed", "true")


async def test_what_variations_keep_is_told_where_they_are_asked_for(studio: Studio) -> None:
    page = await found(studio)
    viewer = await view(page.locator('[data-task="two"]'))
    told = viewer.get_by_test_id("vary-note")
    await expect(told).to_contain_text("settings stay, the seeds are new.")
    described = await viewer.get_by_test_id("viewer-vary").evaluate("it => it.ariaDescribedByElements[0].textContent")
    assert described == await told.text_content()
