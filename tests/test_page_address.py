"""The address of an image: it opens at once however old the image is, and says so where there is none."""

import re

from playwright.async_api import expect

from clients import WireClient
from page_kit import Open, Studio, live

pytest_plugins = ["page_fixtures"]

NOT_ALL = re.compile(r"^(50|100)\+ ready$")


async def test_an_image_older_than_what_is_loaded_opens_at_its_address(studio: Studio) -> None:
    ids = [f"image-{at}" for at in range(102)]
    async with WireClient.connect(studio.url) as client:
        for task_id in ids:
            await client.send(action="generate", prompt=task_id, task_id=task_id, size="80x64", steps=1)
        await client.ends(*ids)
        page = await studio.visit()
        # A page more comes by itself where one scrolls near to it, the last one only after that.
        await expect(page.get_by_test_id("counts")).to_have_text(NOT_ALL)
        await page.goto(f"{studio.url}#image=image-0/0")
        await page.reload()
        await live(page)
        viewer = page.get_by_test_id("viewer")
        await expect(viewer).to_be_visible()
        await expect(viewer.get_by_test_id("viewer-image")).to_have_js_property("naturalWidth", 80)
        await expect(viewer.get_by_test_id("facts")).to_contain_text("image-0")
        # What lies between it and what is loaded is not known: there is no next one.
        await expect(viewer.get_by_test_id("film").get_by_role("link")).to_have_count(1)
        for way in ("viewer-previous", "viewer-next"):
            await expect(viewer.get_by_test_id(way)).to_be_disabled()
        await expect(page.get_by_test_id("counts")).to_have_text(NOT_ALL)
        # Another client deletes it.
        await client.ask(action="delete", task_id="image-0")
        await expect(viewer).to_be_hidden()


async def test_an_address_of_nothing_is_told(studio: Studio, open_page: Open) -> None:
    page = await open_page(studio.url, missing=True)
    await page.evaluate("location.hash = '#image=nothing/0'")
    await expect(page.get_by_test_id("notice")).to_contain_text("The image of this address is not there any more")
    await expect(page.get_by_test_id("viewer")).to_be_hidden()
    assert not await page.evaluate("location.hash")
