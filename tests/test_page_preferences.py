"""What a person has chosen goes along to their other devices: colours, language, bell, settings of the dock."""

import asyncio

from playwright.async_api import Page, expect

from page_kit import SOON, Open, Studio, find_the_line, lose_the_line, open_settings

pytest_plugins = ["page_fixtures"]


STORED = """async (wanted) => {
  const same = ({ preferences }) =>
    Object.entries(wanted).every(([name, value]) => JSON.stringify(preferences[name]) === JSON.stringify(value));
  const stored = async () => (await fetch("api/v1/account/preferences")).json();
  while (!same(await stored())) await new Promise((go) => setTimeout(go, 50));
}"""


async def is_stored(page: Page, **preferences: object) -> None:
    """Wait until the server has these preferences of the page's owner."""
    async with asyncio.timeout(SOON / 1000):
        await page.evaluate(STORED, preferences)


async def test_another_device_has_the_same_choices(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("prompt").fill("a half-written poem")
    await open_settings(page)
    await page.get_by_test_id("steps").fill("7")
    await page.get_by_test_id("n").fill("4")
    await page.get_by_test_id("seed").fill("42")
    await page.get_by_test_id("guidance").fill("2")
    await page.get_by_test_id("negative").fill("thunder")
    await page.keyboard.press("Escape")
    await page.get_by_test_id("theme").click()
    await page.get_by_test_id("bell").click()
    await page.get_by_test_id("bell-sound").check()
    await page.get_by_test_id("lang").click()
    dock = {"n": "4", "steps": "7", "guidance_scale": "2", "negative_prompt": "thunder"}
    await is_stored(page, theme="light", sound=True, language="zh-CN", dock=dock)

    other = await studio.visit()
    await expect(other.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(other.locator("html")).to_have_attribute("data-theme", "light")
    await expect(other.get_by_test_id("bell-sound")).to_be_checked()
    for field, value in {"steps": "7", "n": "4", "negative": "thunder", "seed": "", "prompt": ""}.items():
        await expect(other.get_by_test_id(field)).to_have_value(value)

    # What is seen of a choice is followed at once; what is being asked for is not disturbed.
    await other.get_by_test_id("theme").click()
    await open_settings(other)
    await other.get_by_test_id("settings-reset").click()
    await other.get_by_test_id("steps").fill("9")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await is_stored(other, theme="dark", dock={"steps": "9"})
    await expect(page.get_by_test_id("steps")).to_have_value("7")
    await page.reload()
    await expect(page.get_by_test_id("steps")).to_have_value("9")
    for field, value in {"n": "1", "negative": "", "seed": "42", "prompt": "a half-written poem"}.items():
        await expect(page.get_by_test_id(field)).to_have_value(value)


async def test_a_choice_without_a_line_is_stored_later_and_counts(studio: Studio) -> None:
    page, other = await studio.visit(), await studio.visit()
    await lose_the_line(page)
    await page.get_by_test_id("theme").click()
    await open_settings(page)
    await page.get_by_test_id("steps").fill("5")
    await open_settings(other)
    await other.get_by_test_id("steps").fill("50")
    await is_stored(other, dock={"steps": "50"})
    await find_the_line(page)
    await is_stored(page, theme="light", dock={"steps": "5"})
    await expect(page.get_by_test_id("steps")).to_have_value("5")
    await expect(other.locator("html")).to_have_attribute("data-theme", "light")


async def test_an_address_that_names_a_language_is_shown_in_it(studio: Studio, open_page: Open) -> None:
    page = await studio.visit()
    await page.get_by_test_id("theme").click()
    await page.get_by_test_id("lang").click()
    await is_stored(page, theme="light", language="zh-CN")
    other = await open_page(f"{studio.url}?lang=en", lang="zh-CN")
    await expect(other.locator("html")).to_have_attribute("data-theme", "light")
    await expect(other.locator("html")).to_have_attribute("lang", "en")
