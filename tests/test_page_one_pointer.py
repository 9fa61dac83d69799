"""What is dragged can be done by single clicks, too (WCAG 2.5.7); keys are tested with what they move.

Rows of the board have a menu, whose clicks are tested with the queue; a row or a ring that is swiped has a button.
"""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import FilePayload, Position, expect

from clients import Recorder, painter
from conftest import Serve
from image_files import image_file
from page_kit import Open, Studio, view_large

pytest_plugins = ["page_fixtures"]

ALL = painter(abilities=("text2image", "image2image", "inpainting"), step_seconds=0.0, decode_seconds=0.0)
MOVED = "image => parseFloat(image.style.translate)"
PAINTED = """(canvas, [x, y]) => {
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(width * x, height * y, 1, 1).data[3] > 0;
}"""


@pytest.fixture
async def atelier(open_page: Open, emulate: Serve, serve: Serve) -> AsyncIterator[Studio]:
    """Serve a model that starts from images and repaints parts of them."""
    engine = Recorder([ALL])
    url = await serve(xinference_url=await emulate(engine), default_size="64x64")
    yield Studio(engine, url, open_page)
    engine.thaw()


async def test_an_image_is_enlarged_at_the_place_of_a_double_click(studio: Studio) -> None:
    page = await view_large(studio)
    stage, image = page.get_by_test_id("viewer-stage"), page.get_by_test_id("viewer-image")
    box = await stage.bounding_box()
    assert box is not None
    middle = box["width"] / 2, box["height"] / 2
    left: Position = {"x": middle[0] - 200, "y": middle[1]}
    right: Position = {"x": middle[0] + 200, "y": middle[1]}
    # So each part of it is seen, without moving it: back to the whole, and to the other side.
    await stage.dblclick(position=left)
    assert await image.evaluate(MOVED) > 0
    await stage.dblclick(position=left)
    assert await image.evaluate("image => image.style.scale") == "1"
    await stage.dblclick(position=right)
    assert await image.evaluate(MOVED) < 0


async def test_the_divider_goes_to_where_its_line_is_clicked(studio: Studio) -> None:
    page = await view_large(studio)
    await page.get_by_test_id("viewer-compare").click()
    await page.get_by_test_id("viewer-next").click()
    divider, pinned = page.get_by_test_id("viewer-divider"), page.get_by_test_id("viewer-pinned")
    box = await divider.bounding_box()
    assert box is not None
    for part in (0.2, 0.8):
        await divider.click(position={"x": box["width"] * part, "y": box["height"] / 2})
        value = int(await divider.input_value())
        assert abs(value - 100 * part) < 3
        assert (
            await pinned.evaluate("pinned => getComputedStyle(pinned).clipPath")
            == f"inset(0px {100 - value}% 0px 0px)"
        )


async def test_a_start_image_is_chosen_by_a_button_and_its_mask_is_clicked(atelier: Studio) -> None:
    page = await atelier.visit()
    file: FilePayload = {"name": "picture.png", "mimeType": "image/png", "buffer": image_file(size=(96, 64))}
    button, canvas = page.get_by_test_id("image-choose"), page.get_by_test_id("mask-canvas")
    async with page.expect_file_chooser() as by_key:
        await button.press("Enter")
    assert not (await by_key.value).is_multiple()
    async with page.expect_file_chooser() as by_click:
        await button.click()
    await (await by_click.value).set_files(file)
    await expect(page.get_by_test_id("start-status")).to_have_text("96 × 64")
    # Each click leaves a dot as large as the brush; all of it is painted by one.
    await page.get_by_test_id("mask-open").click()
    box = await canvas.bounding_box()
    assert box is not None
    places = [(0.2, 0.5), (0.5, 0.5), (0.8, 0.5)]

    async def painted() -> list[bool]:
        return [await canvas.evaluate(PAINTED, place) for place in places]

    for x, y in (places[0], places[2]):
        await canvas.click(position={"x": box["width"] * x, "y": box["height"] * y})
    assert await painted() == [True, False, True]
    await page.get_by_test_id("mask-undo").click()
    assert await painted() == [True, False, False]
    await page.get_by_test_id("mask-all").click()
    assert await painted() == [True, True, True]
    await page.get_by_test_id("mask-done").click()
    await expect(page.get_by_test_id("start-status")).to_contain_text("repaints a part")
