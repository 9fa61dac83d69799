"""A browser that opens the address with the token: a cookie keeps it logged in, and the address forgets the token."""

from pathlib import Path

from playwright.async_api import Browser, expect

from page_kit import SOON
from xinflight.cli import serving
from xinflight.settings import Settings

pytest_plugins = ["page_fixtures"]


async def test_the_address_with_the_token_logs_in(browser: Browser, tmp_path: Path) -> None:
    settings = Settings(port=0, data_dir=str(tmp_path), drain=0.0, auth="tokens")
    async with serving(settings, demo=True) as (url, _):
        bare, _, token = url.partition("#token=")
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(url)
        connection = page.get_by_test_id("connection")
        await expect(connection).to_have_attribute("data-state", "live", timeout=SOON)
        assert page.url == bare
        (cookie,) = await context.cookies()
        assert cookie["name"] == f"xinflight-{bare.rstrip('/').rpartition(':')[2]}"
        assert token not in cookie["value"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        again = await context.new_page()
        await again.goto(bare)
        await expect(again.get_by_test_id("connection")).to_have_attribute("data-state", "live", timeout=SOON)

        stranger = await (await browser.new_context()).new_page()
        await stranger.goto(bare)
        refused = stranger.get_by_test_id("connection")
        await expect(refused).to_have_attribute("data-state", "given_up", timeout=SOON)
