"""Start images on the page: brought in every way, painted on, sent once, and refused where they can't be used."""

import base64
import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
from PIL import Image
from playwright.async_api import FilePayload, Page, expect

from clients import Recorder, painter
from conftest import Serve
from fingers import Fingers, middle
from page_kit import (
    Open,
    Studio,
    facts,
    find_the_line,
    fits,
    generate,
    is_shown,
    live,
    lose_the_line,
    open_settings,
    tiles,
    view,
)

pytest_plugins = ["page_fixtures"]

QUICK = {"step_seconds": 0.0, "decode_seconds": 0.0}
ALL = painter(abilities=("text2image", "image2image", "inpainting"), **QUICK)
PLAIN = painter(uid="plain", **QUICK)
EDITOR = painter(uid="editor", abilities=("image2image",), **QUICK)
SIZE = (96, 64)


def picture(colour: str = "navy") -> FilePayload:
    out = io.BytesIO()
    Image.new("RGB", SIZE, colour).save(out, "PNG")
    return {"name": "picture.png", "mimeType": "image/png", "buffer": out.getvalue()}


BRING = """(way, data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "picture.png", { type: "image/png" }));
  const options = { bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer };
  if (way === "paste") return !document.dispatchEvent(new ClipboardEvent("paste", options));
  const over = new DragEvent("dragover", options);
  dispatchEvent(over);
  return over.defaultPrevented && !dispatchEvent(new DragEvent("drop", options));
}"""


@pytest.fixture
async def atelier(open_page: Open, emulate: Serve, serve: Serve) -> AsyncIterator[Studio]:
    """Serve models that start from images, and one that does not."""
    engine = Recorder([ALL, PLAIN, EDITOR])
    url = await serve(xinference_url=await emulate(engine), default_size="64x64")
    yield Studio(engine, url, open_page)
    engine.thaw()


async def bring(page: Page, way: str, image: FilePayload) -> None:
    if way == "file":
        await page.get_by_test_id("image-file").set_input_files(image)
    else:
        data = base64.b64encode(image["buffer"]).decode()
        assert await page.evaluate(f"([way, data]) => ({BRING})(way, data)", [way, data])
    await expect(page.get_by_test_id("start-status")).to_contain_text("96 × 64")


async def models(page: Page) -> list[str]:
    options = page.get_by_test_id("model").locator("option")
    return [text.removesuffix(" (default)") for text in await options.all_text_contents()]


async def upload_of(atelier: Studio, page: Page, field: str) -> Image.Image:
    """Return what the server has of the image or mask of the newest task."""
    async with aiohttp.ClientSession(atelier.url) as http:
        async with http.get("api/v1/tasks?limit=1") as response:
            [task] = (await response.json())["tasks"]
        async with http.get(f"api/v1/uploads/{task['params'][field]}") as response:
            assert response.status == 200
            return Image.open(io.BytesIO(await response.read()))


@pytest.mark.parametrize("way", ["file", "drop", "paste"])
async def test_an_image_is_brought_and_started_from(atelier: Studio, way: str) -> None:
    page = await atelier.visit()
    await expect(page.get_by_test_id("strength")).to_be_hidden()
    await bring(page, way, picture())
    await page.get_by_test_id("strength").fill("0.35")
    made = await generate(page, "a boat", steps=2)
    await is_shown(tiles(made))
    told = await facts(made)
    assert [told[fact] for fact in ("kind", "model", "size", "strength")] == [
        "Image from the start image",
        "painter",
        "96 × 64",
        "35%",
    ]
    [body] = atelier.engine.img2img_bodies
    assert (body.denoising_strength, body.width, body.height) == (0.35, *SIZE)
    assert Image.open(io.BytesIO(base64.b64decode(body.init_images[0]))).size == SIZE


async def test_only_what_a_model_can_is_offered(atelier: Studio) -> None:
    page = await atelier.visit()
    await open_settings(page)
    model = page.get_by_test_id("model")
    assert await models(page) == ["painter", "plain"]
    await model.select_option("plain")
    await bring(page, "file", picture())
    assert await models(page) == ["painter", "editor"]
    assert await model.locator("optgroup").evaluate_all("groups => groups.map(({label}) => label)") == [
        "Image from the start image",
        "Edit by instruction",
    ]
    await model.select_option("editor")
    await expect(page.get_by_test_id("strength")).to_be_hidden()
    await expect(page.get_by_test_id("size")).to_be_hidden()
    await page.get_by_test_id("start-remove").click()
    await expect(model).to_have_value("painter")
    await expect(page.get_by_test_id("image-choose")).to_be_focused()


async def test_where_no_model_starts_from_images_none_can_be_brought(studio: Studio) -> None:
    page = await studio.visit()
    await expect(page.get_by_test_id("image-choose")).to_be_hidden()
    data = base64.b64encode(picture()["buffer"]).decode()
    # A dropped file never takes the place of the page.
    assert await page.evaluate(f"([way, data]) => ({BRING})(way, data)", ["drop", data])
    await expect(page.get_by_test_id("image-choose")).to_be_hidden()


async def test_any_image_can_be_started_from_again(atelier: Studio) -> None:
    page = await atelier.visit()
    first = await generate(page, "a boat", steps=2)
    await is_shown(tiles(first))
    await (await view(first)).get_by_test_id("use-as-start").click()
    await expect(page.get_by_test_id("start-status")).to_have_text("64 × 64")
    await expect(page.get_by_test_id("prompt")).to_be_focused()
    second = await generate(page, "a boat at night", steps=2)
    await is_shown(tiles(second))
    assert len(atelier.engine.img2img_bodies) == 1
    # All of it can be used again, the start image too.
    await page.get_by_test_id("start-remove").click()
    await tiles(second).get_by_test_id("reuse").click()
    await expect(page.get_by_test_id("start-status")).to_have_text("64 × 64")
    await expect(page.get_by_test_id("start-preview")).to_be_visible()


async def test_a_mask_is_painted_black_and_white_at_the_images_own_size(atelier: Studio) -> None:
    page = await atelier.visit()
    await bring(page, "file", picture())
    await page.get_by_test_id("mask-open").click()
    canvas = page.get_by_test_id("mask-canvas")
    await expect(canvas).to_be_visible()
    box = await canvas.bounding_box()
    assert box is not None
    x, y, width, height = box["x"], box["y"], box["width"], box["height"]
    await page.mouse.move(x + width * 0.25, y + height / 2)
    await page.mouse.down()
    await page.mouse.move(x + width * 0.75, y + height / 2, steps=8)
    await page.mouse.up()
    # What is erased is kept, and what was undone was never there.
    await page.get_by_test_id("mask-erase").click()
    await canvas.click(position={"x": width * 0.5, "y": height * 0.5})
    await page.get_by_test_id("mask-all").click()
    await page.get_by_test_id("mask-undo").click()
    await page.get_by_test_id("mask-all").click()
    await page.keyboard.press("Control+z")
    await page.get_by_test_id("mask-done").click()
    await expect(page.get_by_test_id("start-status")).to_have_text("96 × 64 · repaints a part")
    assert await models(page) == ["painter"]
    made = await generate(page, "a red boat", steps=2)
    await is_shown(tiles(made))
    assert (await facts(made))["kind"] == "Repaint a part"
    mask = (await upload_of(atelier, page, "mask")).convert("RGB")
    assert mask.size == SIZE
    assert {colour for _, colour in mask.getcolors() or []} == {(0, 0, 0), (255, 255, 255)}
    at = {
        name: mask.getpixel(place) for name, place in {"painted": (26, 32), "erased": (48, 32), "far": (5, 5)}.items()
    }
    assert at == {"painted": (255, 255, 255), "erased": (0, 0, 0), "far": (0, 0, 0)}
    assert atelier.engine.img2img_bodies[0].mask is not None


async def test_a_mask_is_painted_by_keyboard_cleared_and_left(atelier: Studio) -> None:
    page = await atelier.visit()
    await bring(page, "file", picture())
    editor = page.get_by_test_id("mask-editor")
    await page.get_by_test_id("mask-open").press("Enter")
    await expect(page.get_by_test_id("mask-canvas")).to_be_focused()
    await page.keyboard.press(" ")
    for _ in range(12):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press(" ")
    await page.get_by_test_id("mask-done").press("Enter")
    await is_shown(tiles(await generate(page, "a boat", steps=2)))
    mask = (await upload_of(atelier, page, "mask")).convert("L")
    assert [mask.getpixel((x, 32)) for x in (30, 48, 60)] == [0, 255, 255]
    # Escape changes nothing, and an empty mask is none.
    await page.get_by_test_id("mask-open").click()
    await page.get_by_test_id("mask-clear").click()
    await page.keyboard.press("Escape")
    await expect(editor).to_be_hidden()
    await expect(page.get_by_test_id("mask-open")).to_be_focused()
    await expect(page.get_by_test_id("start-status")).to_contain_text("repaints a part")
    await page.get_by_test_id("mask-open").click()
    await page.get_by_test_id("mask-clear").click()
    await page.get_by_test_id("mask-done").click()
    await expect(page.get_by_test_id("start-status")).to_have_text("96 × 64")


async def test_what_is_no_image_or_too_large_is_said_at_once(open_page: Open, emulate: Serve, serve: Serve) -> None:
    url = await serve(xinference_url=await emulate(Recorder([ALL])), upload_bytes=2_000_000)
    page = await open_page(url)
    problem = page.get_by_test_id("image-problem")
    no_image: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": b"no image at all"}
    await page.get_by_test_id("image-file").set_input_files(no_image)
    await expect(problem).to_contain_text("can’t be used")
    large: FilePayload = {"name": "b.png", "mimeType": "image/png", "buffer": b"x" * 2_000_001}
    await page.get_by_test_id("image-file").set_input_files(large)
    await expect(problem).to_have_text("The image may have at most 2 MB.")
    await expect(page.get_by_test_id("start-card")).to_be_hidden()


async def test_an_image_that_is_gone_is_refused_at_its_field(atelier: Studio) -> None:
    page = await atelier.visit()
    await bring(page, "file", picture())
    await expect(page.get_by_test_id("start-status")).to_have_text("96 × 64")
    async with aiohttp.ClientSession(atelier.url) as http:
        async with http.get("api/v1/uploads") as response:
            [upload] = (await response.json())["uploads"]
        async with http.delete(f"api/v1/uploads/{upload['upload_id']}") as response:
            assert response.status == 204
    await page.get_by_test_id("prompt").fill("a boat")
    await page.get_by_test_id("generate").click()
    await expect(page.get_by_test_id("image-problem")).to_contain_text("Choose it again")
    await expect(page.get_by_test_id("generation")).to_have_count(0)
    # So it is uploaded once more.
    await page.get_by_test_id("generate").click()
    await is_shown(page.get_by_test_id("tile"))


async def test_a_start_image_survives_a_reload_and_a_lost_line(atelier: Studio) -> None:
    page = await atelier.visit()
    await bring(page, "file", picture())
    await expect(page.get_by_test_id("start-status")).to_have_text("96 × 64")
    await page.reload()
    await live(page)
    await expect(page.get_by_test_id("start-status")).to_have_text("96 × 64")
    await expect(page.get_by_test_id("start-preview")).to_be_visible()
    await lose_the_line(page)
    waiting = await generate(page, "a boat", steps=2)
    await find_the_line(page)
    await is_shown(tiles(waiting))
    assert len(atelier.engine.img2img_bodies) == 1


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
async def test_the_start_image_and_its_brush_fit_a_phone(atelier: Studio, lang: str) -> None:
    page = await atelier.visit(lang=lang, width=360)
    await bring(page, "file", picture())
    await fits(page)
    await page.get_by_test_id("mask-open").click()
    await expect(page.get_by_test_id("mask-done")).to_be_visible()
    await fits(page)
    box = await page.get_by_test_id("mask-done").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 800


async def test_one_finger_paints_a_mask_and_two_enlarge_it(atelier: Studio) -> None:
    page = await atelier.visit(width=390)
    await bring(page, "file", picture())
    await page.get_by_test_id("mask-open").click()
    fingers, canvas = await Fingers.on(page), page.get_by_test_id("mask-canvas")
    painted = """canvas => {
      const { width, height } = canvas;
      const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const { data } = copy.getImageData(0, 0, width, height);
      return data.filter((value, at) => at % 4 === 3 && value).length / (data.length / 4);
    }"""
    x, y = await middle(canvas)
    apart = range(20, 101, 20)
    await fingers.move([(x - by, y) for by in apart], [(x + by, y) for by in apart])
    assert await canvas.evaluate(painted) == 0, "two fingers don't paint"
    sheet = page.locator("#mask-editor .sheet")
    assert float(await sheet.evaluate("sheet => sheet.style.scale")) == pytest.approx(5, rel=0.05)
    await fingers.swipe((x - 50, y), (100, 0))
    once = await canvas.evaluate(painted)
    assert 0 < once < 0.2, "what is painted is as large as it looks"
    # A second finger takes back what the first one began.
    await fingers.touch("Start", (x, y - 30))
    await fingers.touch("Move", (x, y - 50))
    await fingers.touch("Start", (x, y - 50), (x, y + 50))
    await fingers.touch("End")
    assert await canvas.evaluate(painted) == pytest.approx(once, rel=0.02)
    done = await middle(page.get_by_test_id("mask-done"))
    await fingers.swipe((x - 50, y), (100, 0))
    await fingers.tap(done)
    await expect(page.get_by_test_id("start-status")).to_contain_text("repaints a part")
