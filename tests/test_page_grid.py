"""Grids of compared settings: a table per prompt, found again however old, saved as one picture."""

import asyncio
import io
import re
from pathlib import Path

from PIL import Image
from playwright.async_api import Download, Page, expect

from clients import Recorder, WireClient, painter
from conftest import Serve
from page_kit import QUICK, Open, Studio, fits, open_settings

pytest_plugins = ["page_fixtures"]

GROUP = "grid:steps:guidance_scale:old1"


async def compare(page: Page, rows: tuple[str, str], columns: tuple[str, str] | None = None) -> None:
    """Choose what differs, and its values."""
    await open_settings(page)
    for side, axis in (("rows", rows), ("columns", columns)):
        if axis is not None:
            await page.get_by_test_id(f"grid-{side}").select_option(axis[0])
            await page.get_by_test_id(f"grid-{side}-values").fill(axis[1])


async def test_an_old_grid_is_found_and_saved_as_one_picture(studio: Studio) -> None:
    async with WireClient.connect(studio.url) as client:
        for steps in (2, 3):
            for guidance in (1, 2):
                cell = {"steps": steps, "guidance_scale": guidance, "group": GROUP, "seed": 5, "size": "640x320"}
                await client.send(action="generate", prompt="an old cat", task_id=f"cell-{steps}-{guidance}", **cell)
        await client.ends(*[f"cell-{steps}-{guidance}" for steps in (2, 3) for guidance in (1, 2)])
        later = [f"later-{at}" for at in range(60)]
        for at in later:
            await client.send(action="generate", prompt="something newer", task_id=at, size="64x64", steps=1)
        await client.ends(*later)
    page = await studio.visit()
    await expect(page.get_by_text("an old cat")).to_have_count(0)
    await page.evaluate(f"location.hash = '#grid={GROUP}'")
    view = page.get_by_test_id("grid-view")
    images = view.get_by_test_id("grid-image")
    await expect(images).to_have_count(4)
    await expect(view.locator("caption")).to_have_text("an old cat")
    # They are the small ones, of at most 512 pixels.
    await images.first.scroll_into_view_if_needed()
    await expect(images.first).to_have_js_property("complete", value=True)
    assert await images.first.evaluate("image => image.naturalWidth") == 512
    async with page.expect_download() as saved:
        await page.get_by_test_id("grid-save").click()
    download: Download = await saved.value
    assert download.suggested_filename == "grid-an-old-cat.png"
    data = await asyncio.to_thread(Path(await download.path()).read_bytes)
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert picture.width > 2 * 512
    assert picture.height > 2 * 512
    # What the images say of themselves it says, too.
    assert b"trainedAlgorithmicMedia" in data
    await page.go_back()
    await expect(view).to_be_hidden()


async def test_each_prompt_has_its_table_and_an_image_leads_back_to_it(studio: Studio) -> None:
    page = await studio.visit()
    await page.get_by_test_id("prompt").fill("a cat\na dog")
    await page.get_by_test_id("lines-on").check()
    await compare(page, ("seed", "7, 8"))
    await expect(page.get_by_test_id("cost")).to_have_text("4 images")
    await page.get_by_test_id("generate").click()
    await page.get_by_test_id("toast-act").click()
    view = page.get_by_test_id("grid-view")
    await expect(view.locator("caption")).to_have_text(["a cat", "a dog"])
    await expect(view.locator("tbody th")).to_have_text(["Seed 7", "Seed 8"] * 2)
    images = view.get_by_test_id("grid-image")
    await expect(images).to_have_count(4)
    await images.nth(2).click()
    viewer = page.get_by_test_id("viewer")
    await expect(viewer.get_by_test_id("fact-prompt")).to_contain_text("a dog")
    await expect(view).to_be_hidden()
    await page.go_back()
    await expect(view).to_be_visible()
    await page.get_by_test_id("grid-view-close").click()
    await expect(page).not_to_have_url(re.compile("#grid"))
    await expect(page.get_by_test_id("gallery")).to_be_visible()


async def test_models_are_compared_on_a_phone(open_page: Open, emulate: Serve, serve: Serve) -> None:
    engine = Recorder([QUICK, painter(uid="slow-painter", step_seconds=0.0, decode_seconds=0.0)])
    url = await serve(xinference_url=await emulate(engine), default_size="64x64")
    page = await Studio(engine, url, open_page).visit(width=360)
    await page.get_by_test_id("prompt").fill("a cat")
    await compare(page, ("model", "painter, nobody"), ("steps", "1, 2, 3, 4"))
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#grid_rows_values-problem")).to_have_text(
        "Models with commas between them: painter, slow-painter"
    )
    await page.get_by_test_id("grid-rows").select_option("model")
    await expect(page.get_by_test_id("grid-rows-values")).to_have_value("painter, slow-painter")
    await page.get_by_test_id("grid-rows-values").fill("painter, slow-painter")
    await page.get_by_test_id("generate").click()
    await page.get_by_test_id("toast-act").click()
    view = page.get_by_test_id("grid-view")
    await expect(view.get_by_test_id("grid-image")).to_have_count(8)
    await expect(view.locator("tbody th")).to_have_text(["painter", "slow-painter"])
    assert {model for _, model, _ in engine.posts} == {"painter", "slow-painter"}
    await fits(page)
    # The labels of the rows stay while the images are moved sideways.
    table = page.locator("#grid-table")
    left = "row => row.getBoundingClientRect().left"
    was = await view.locator("tbody th").first.evaluate(left)
    moved = await table.evaluate("table => (table.scrollLeft = 400, table.scrollLeft)")
    assert moved > 100
    assert await view.locator("tbody th").first.evaluate(left) <= was
    assert await view.locator("tbody th").first.evaluate(left) >= 0


async def test_an_image_of_a_grid_leads_back_to_it(studio: Studio) -> None:
    """The table is offered when it is asked for; later the image is the only way to it."""
    page = await studio.visit()
    await compare(page, ("steps", "1, 2"))
    await page.get_by_test_id("prompt").fill("a compared cat")
    await page.get_by_test_id("generate").click()
    await page.get_by_test_id("open").nth(1).wait_for()
    await page.get_by_test_id("open").first.click()
    await page.get_by_test_id("fact-grid").get_by_role("link", name="Steps").click()
    view = page.get_by_test_id("grid-view")
    await expect(view.get_by_test_id("grid-image")).to_have_count(2)
    await expect(page.get_by_test_id("viewer")).to_be_hidden()
    # An image of the table leads there, too, and Back to it.
    await view.get_by_test_id("grid-image").first.click()
    await expect(page.get_by_test_id("fact-grid")).to_be_visible()
    await page.go_back()
    await expect(view).to_be_visible()
