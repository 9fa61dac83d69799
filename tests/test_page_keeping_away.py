"""Stars, tags and deletes without a connection: shown at once, told as kept, and sent when there is one."""

from playwright.async_api import Locator, Page, expect

from clients import Json, WireClient
from page_kit import Open, Studio, find_the_line, generate, has_state, is_shown, live, lose_the_line, tiles, view

pytest_plugins = ["page_fixtures"]

FIELDS = {"size": "64x64", "steps": 1}


async def make(studio: Studio, *ids: str) -> None:
    async with WireClient.connect(studio.url) as client:
        for task_id in ids:
            await client.ask(action="generate", prompt="a boat", task_id=task_id, **FIELDS)
        await client.ends(*ids)


async def listed(studio: Studio) -> dict[str, Json]:
    """Return the image of each task, as the server has it."""
    async with WireClient.connect(studio.url) as client:
        page = await client.ask(action="list")
        return {task["task_id"]: task["data"][0] for task in page["tasks"] if task.get("data")}


def tile(page: Page, task_id: str) -> Locator:
    return page.locator(f'[data-task="{task_id}"] [data-testid="tile"]')


async def press(page: Page, task_id: str, what: str) -> None:
    await tile(page, task_id).hover()
    await tile(page, task_id).get_by_test_id(what).click()


async def tag(page: Page, task_id: str, *tags: str) -> None:
    viewer = await view(page.locator(f'[data-task="{task_id}"]'))
    await viewer.get_by_test_id("tag-add").fill(", ".join(tags))
    await page.keyboard.press("Enter")
    await expect(viewer.get_by_test_id("tag").locator("a").first).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(viewer).to_be_hidden()


def starred(page: Page, task_id: str) -> Locator:
    return tile(page, task_id).locator('[data-testid="star"][aria-pressed="true"]')


async def test_what_is_noted_without_a_connection_is_sent_with_the_next(studio: Studio) -> None:
    await make(studio, "one", "two", "three")
    page = await studio.visit()
    await lose_the_line(page)
    await press(page, "one", "star")
    await expect(starred(page, "one")).to_have_count(1)
    await expect(page.get_by_test_id("toast")).to_contain_text("sent as soon as there is a connection")
    await tag(page, "two", "sea")
    await press(page, "three", "delete")
    await expect(tile(page, "three")).to_have_count(0)
    await expect(page.get_by_test_id("toast").last).to_contain_text("will be deleted as soon as")
    known = await listed(studio)
    assert len(known) == 3
    assert not any(image.get("starred") or image.get("tags") for image in known.values())
    await find_the_line(page)
    async with WireClient.connect(studio.url) as client:
        # The last of them has arrived once nobody has it any more.
        await expect(page.get_by_test_id("tile")).to_have_count(2)
        other = await studio.visit()
        await expect(other.get_by_test_id("tile")).to_have_count(2)
        await expect(starred(other, "one")).to_have_count(1)
        told = await client.ask(action="list", tag="sea")
        assert [task["task_id"] for task in told["tasks"]] == ["two"]
    # Undo brings it back, also after it was sent.
    await page.get_by_test_id("toast").filter(has_text="deleted").get_by_test_id("toast-act").click()
    await is_shown(tile(page, "three"))
    assert "three" in await listed(studio)


async def test_a_delete_is_taken_back_before_it_was_sent(studio: Studio) -> None:
    await make(studio, "one")
    page = await studio.visit()
    await lose_the_line(page)
    await press(page, "one", "star")
    await press(page, "one", "delete")
    await expect(tile(page, "one")).to_have_count(0)
    await page.get_by_test_id("toast-act").last.click()
    await is_shown(tile(page, "one"))
    await find_the_line(page)
    other = await studio.visit()
    await expect(starred(other, "one")).to_have_count(1)
    await is_shown(tile(other, "one"))


async def test_it_outlives_a_reload(studio: Studio, open_page: Open) -> None:
    await make(studio, "one", "two")
    # Both may ask for the image before its delete is sent, and get it after that.
    page = await open_page(studio.url, missing=True)
    failed = await generate(page, "broken demo:error", steps=1)
    await has_state(tiles(failed), "failed")
    task_id = await failed.get_attribute("data-task")
    await lose_the_line(page)
    await press(page, "one", "star")
    await press(page, "two", "delete")
    await tiles(failed).get_by_test_id("delete").click()
    await expect(page.locator(f'[data-task="{task_id}"]')).to_have_count(0)
    await page.reload()
    await live(page)
    other = await open_page(studio.url, missing=True)
    await expect(starred(other, "one")).to_have_count(1)
    for window in (page, other):
        await expect(window.get_by_test_id("generation")).to_have_count(1)


async def test_what_happened_elsewhere_meanwhile_counts_too(studio: Studio) -> None:
    """Tags of both stay; what is gone by then is told."""
    await make(studio, "one", "two")
    page = await studio.visit()
    await lose_the_line(page)
    await tag(page, "one", "sea")
    await press(page, "two", "star")
    async with WireClient.connect(studio.url) as client:
        await client.ask(action="mark", task_id="one", index=0, tags=["night"])
        await client.ask(action="delete", task_id="two")
    await find_the_line(page)
    await expect(page.get_by_test_id("toast").filter(has_text="was not taken")).to_contain_text("Not found")
    async with WireClient.connect(studio.url) as client:
        found = (await client.ask(action="list", tag="sea"))["tasks"]
        assert [sorted(task["data"][0]["tags"]) for task in found] == [["night", "sea"]]
