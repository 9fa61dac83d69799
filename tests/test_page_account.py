"""The page of an owner whose data is erased, and of one whose other clients keep nothing."""

import aiohttp
import pytest
from playwright.async_api import expect

from clients import WireClient
from page_kit import Studio, find_the_line, lose_the_line

pytest_plugins = ["page_fixtures"]


async def make(url: str, *task_ids: str) -> None:
    """Have images made by another client, until they are there."""
    async with WireClient.connect(url) as client:
        for task_id in task_ids:
            await client.send(action="generate", prompt=task_id, task_id=task_id, size="64x64", steps=1)
        await client.ends(*task_ids)


@pytest.mark.parametrize("away", [False, True])
async def test_what_was_erased_is_gone_from_the_page(studio: Studio, away: bool) -> None:
    await make(studio.url, "a", "b")
    page = await studio.visit()
    await expect(page.get_by_test_id("generation")).to_have_count(2)
    if away:
        await lose_the_line(page)
    async with aiohttp.ClientSession() as http, http.delete(f"{studio.url.rstrip('/')}/api/v1/account") as response:
        assert (await response.json())["tasks"] == 2
    if away:
        await find_the_line(page)
    await expect(page.get_by_test_id("generation")).to_have_count(0)
    await make(studio.url, "anew")
    await expect(page.get_by_test_id("generation")).to_have_count(1)


async def test_what_another_client_does_not_keep_is_not_shown(studio: Studio) -> None:
    """If the page loaded its images, they would count as delivered before the other client had them."""
    page = await studio.visit()
    async with WireClient.connect(studio.url) as other, aiohttp.ClientSession() as http:
        await other.send(action="generate", prompt="a secret", task_id="a", store=False)
        await other.ends("a")
        await make(studio.url, "shown")
        await expect(page.get_by_test_id("generation")).to_have_count(1)
        assert "a" in [task["task_id"] for task in (await other.ask(action="list"))["tasks"]]
        async with http.get(other.of("a", "output")[0]["url"]) as response:
            assert response.status == 200
            await response.read()
        await other.until(lambda m: m["type"] == "notice" and m["kind"] == "deleted")
