"""Share links on the page: copied from the viewer, opened by anybody, and revoked."""

import re

import aiohttp
from playwright.async_api import expect

from page_kit import Studio, generate, is_shown, tiles

pytest_plugins = ["page_fixtures"]


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status


async def test_a_link_is_copied_opened_and_revoked(studio: Studio) -> None:
    page = await studio.visit()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    generation = await generate(page, "a red boat", n=2)
    await is_shown(tiles(generation).nth(1))
    await is_shown(tiles(generation).first)
    await tiles(generation).first.get_by_test_id("open").click()
    note, link = page.get_by_test_id("viewer-share-note"), page.get_by_test_id("viewer-link")
    await expect(link).to_be_hidden()
    await page.get_by_test_id("viewer-share").click()
    await expect(note).to_contain_text("Anyone who has this link")
    await expect(link).to_have_value(re.compile(rf"^{re.escape(studio.url)}shared/[A-Za-z0-9_-]{{32}}$"))
    url = await link.input_value()
    assert await page.evaluate("navigator.clipboard.readText()") == url
    assert await status(url) == 200

    await page.get_by_test_id("viewer-next").click()
    await expect(note).to_be_hidden()
    await page.get_by_test_id("viewer-revoke").click()
    await expect(note).to_have_text("This image has no share links.")
    assert await status(url) == 200, "it is of the other image"

    await page.get_by_test_id("viewer-previous").click()
    await page.get_by_test_id("viewer-revoke").click()
    await expect(note).to_have_text("No share link of this image works any more.")
    assert await status(url) == 404


async def test_the_viewer_shares_in_chinese(studio: Studio) -> None:
    page = await studio.visit(lang="zh-CN")
    await is_shown(tiles(await generate(page, "a red boat")))
    await page.get_by_test_id("open").click()
    await expect(page.get_by_test_id("viewer-share")).to_have_text("复制分享链接")
    await page.get_by_test_id("viewer-share").click()
    await expect(page.get_by_test_id("viewer-share-note")).to_contain_text("任何获得此链接的人都能看到这张图片")
