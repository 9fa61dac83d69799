"""The states of the page in which images are made, looked at and found, each reached in a browser of its own.

They are what tests of accessibility walk through; the rest is in `page_scenes_elsewhere.py`. A new state of the page
belongs here.
"""

from playwright.async_api import FilePayload, Page, expect

from clients import Json, WireClient
from image_files import image_file
from page_kit import FROZEN, has_state, is_shown, open_settings, tiles, view
from page_world import World, scene, shows


async def made(world: World) -> Page:
    """Open a page with images of three shapes."""
    page = await world.visit()
    for size in ("128x96", "96x128", "128x128"):
        await world.make(page, f"a lighthouse in a storm, {size}", size=size, negative_prompt="fog", guidance_scale=3)
    await expect(page.get_by_test_id("tile")).to_have_count(3)
    for number in range(3):
        await is_shown(page.get_by_test_id("tile").nth(number))
    return page


@scene
async def empty(world: World) -> Page:
    page = await world.visit()
    await shows(page, "empty", "example", "tabs", "shapes", "operator-open")
    return page


@scene
async def many_images(world: World) -> Page:
    page = await made(world)
    await tiles(page.get_by_test_id("generation").first).get_by_test_id("open").focus()
    await shows(page, "open", "star", "reuse", "vary", "download", "delete")
    return page


@scene
async def in_flight(world: World) -> Page:
    """Everything that a tile can be at once: landed, failed, running, being cancelled, waiting."""
    page = await world.visit()
    await world.make(page, "a landed one", "another failed one demo:error=odd")
    await world.make(page, "a failed one demo:error", n=2)
    await world.make(page, f"a running one{FROZEN}4", f"one being cancelled{FROZEN}4", end=False)
    await world.make(page, "a waiting one", "a second one that waits", end=False, n=2)
    rows = page.get_by_test_id("board-row")
    await expect(rows).to_have_count(6)
    tile = page.get_by_test_id("tile").filter(has_text="one being cancelled")
    await has_state(tile, "running")
    await (
        page.get_by_test_id("board-row").filter(has_text="one being cancelled").get_by_test_id("board-cancel").click()
    )
    await has_state(tile, "cancelling")
    await shows(page, "step", "eta", "board-step", "board-left", "which-failed", "retry")
    return page


@scene
async def cancelled(world: World) -> Page:
    """What was cancelled, with the toast that tells of it."""
    page = await world.visit()
    await world.make(page, f"a running one{FROZEN}4", f"another{FROZEN}4", "a waiting one", end=False)
    await expect(page.get_by_test_id("board-row")).to_have_count(3)
    await page.get_by_test_id("cancel-all").click()
    await expect(page.get_by_test_id("toast")).to_be_visible()
    await page.get_by_test_id("toast-act").focus()
    return page


@scene
async def paused(world: World) -> Page:
    page = await world.visit()
    await world.make(page, f"a running one{FROZEN}4", f"another{FROZEN}4", "a waiting one", end=False)
    await page.get_by_test_id("pause").click()
    await expect(page.get_by_test_id("board-all")).to_be_visible()
    return page


@scene
async def board_of_a_phone(world: World) -> Page:
    page = await world.visit()
    await page.set_viewport_size({"width": 360, "height": 740})
    await world.make(page, f"a running one{FROZEN}4", f"another{FROZEN}4", "a waiting one", "another", end=False)
    await page.get_by_test_id("ribbon").click()
    await expect(page.get_by_test_id("board")).to_be_visible()
    return page


WRONG = {"width": "65", "n": "99", "steps": "1.5", "guidance": "-1", "seed": "-1"}
"""Values that the settings refuse."""


@scene
async def settings(world: World) -> Page:
    page = await world.visit()
    await open_settings(page)
    await page.get_by_test_id("guidance").fill("0")
    await page.get_by_test_id("n").fill("4")
    await shows(page, "settings", "negative-off", "cost")
    return page


@scene
async def wrong_settings(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a boat")
    await open_settings(page)
    await page.get_by_test_id("size").select_option("custom")
    await page.get_by_test_id("height").fill("64")
    for name, value in WRONG.items():
        await page.get_by_test_id(name).fill(value)
    await page.get_by_test_id("generate").click()
    await expect(page.locator(".problem:visible")).not_to_have_count(0)
    return page


@scene
async def settings_of_a_video(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("model").select_option("animator")
    await open_settings(page)
    await shows(page, "frames", "model-hint")
    return page


@scene
async def several_lines(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a cat\na dog\na hen")
    await expect(page.get_by_test_id("lines")).to_be_visible()
    await page.get_by_test_id("seed-lock").click()
    await shows(page, "shape-other")
    await page.set_viewport_size({"width": 360, "height": 740})
    await shows(page, "changed")
    return page


@scene
async def grid_settings(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a cat")
    await open_settings(page)
    await page.get_by_test_id("grid-rows").select_option("steps")
    await page.get_by_test_id("grid-rows-values").fill("2, odd")
    await page.get_by_test_id("grid-columns").select_option("guidance_scale")
    await page.get_by_test_id("generate").click()
    await expect(page.locator("#grid_rows_values-problem")).to_be_visible()
    await shows(page, "grid-off")
    return page


@scene
async def grid(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("prompt").fill("a cat")
    await open_settings(page)
    await page.get_by_test_id("grid-rows").select_option("steps")
    await page.get_by_test_id("grid-columns").select_option("guidance_scale")
    await page.get_by_test_id("generate").click()
    await page.get_by_test_id("toast-act").click()
    await expect(page.get_by_test_id("grid-image")).to_have_count(9)
    await shows(page, "grid-view", "grid-image")
    return page


async def start_image(world: World) -> Page:
    page = await world.visit()
    file: FilePayload = {"name": "boat.png", "mimeType": "image/png", "buffer": image_file(size=(96, 64))}
    await page.get_by_test_id("image-file").set_input_files(file)
    await expect(page.get_by_test_id("start-status")).to_contain_text("96 × 64")
    return page


@scene
async def start_from_an_image(world: World) -> Page:
    page = await start_image(world)
    await shows(page, "start-field", "strength-field", "strength")
    return page


@scene
async def start_from_no_image(world: World) -> Page:
    page = await world.visit()
    file: FilePayload = {"name": "boat.png", "mimeType": "image/png", "buffer": b"nothing of an image"}
    await page.get_by_test_id("image-file").set_input_files(file)
    await expect(page.get_by_test_id("image-problem")).to_be_visible()
    return page


@scene
async def mask_editor(world: World) -> Page:
    page = await start_image(world)
    await page.get_by_test_id("mask-open").click()
    await expect(page.get_by_test_id("mask-editor")).to_be_visible()
    return page


@scene
async def image(world: World) -> Page:
    page = await made(world)
    await view(page.get_by_test_id("generation").first)
    await shows(page, "viewer", "vary-note", "tag-add")
    return page


@scene
async def compared_images(world: World) -> Page:
    page = await made(world)
    viewer = await view(page.get_by_test_id("generation").first)
    await viewer.get_by_test_id("viewer-compare").click()
    await viewer.get_by_test_id("viewer-next").click()
    await shows(page, "viewer-pinned", "viewer-divider")
    return page


@scene
async def shared_image(world: World) -> Page:
    page = await made(world)
    viewer = await view(page.get_by_test_id("generation").first)
    await viewer.get_by_test_id("viewer-share").click()
    await shows(page, "viewer-link", "viewer-share-note")
    return page


@scene
async def made_video(world: World) -> Page:
    page = await world.visit(video_size="96x64")
    await world.make(page, "a boat on a lake", model="animator", steps=2)
    await shows(page, "length")
    return page


@scene
async def video(world: World) -> Page:
    page = await made_video(world)
    await view(page.get_by_test_id("generation").first)
    await shows(page, "viewer-video", "video")
    return page


@scene
async def bell(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("bell").click()
    await page.get_by_test_id("bell-notify").click()
    await shows(page, "bell-sheet", "bell-problem")
    return page


@scene
async def shortcuts(world: World) -> Page:
    page = await world.visit()
    await page.get_by_test_id("shortcuts-open").click()
    await expect(page.get_by_test_id("shortcuts")).to_be_visible()
    return page


@scene
async def presets(world: World) -> Page:
    """The list of presets: one is used, one can't have its model, and one was just deleted."""
    page = await world.visit()
    around = "an oil painting of {prompt}, thick strokes, museum light"
    saved = [
        {"name": "Oil", "settings": {"steps": "6", "n": "2", "negative_prompt": "fog"}, "prompt": around},
        {"name": "Portrait", "settings": {"model": "gone-painter", "size": "64x96"}},
        {"name": "Sketch", "settings": {}},
    ]
    async with WireClient.connect(page.url) as client:
        await client.ask(action="preset", change={"save": saved})
    await page.get_by_test_id("presets-open").click()
    await page.get_by_test_id("preset").first.click()
    await expect(page.get_by_test_id("around")).to_be_visible()
    await page.get_by_test_id("presets-open").click()
    await page.get_by_test_id("preset-menu").last.click()
    await page.get_by_test_id("menu-item").last.click()
    await shows(page, "presets", "presets-done", "presets-undo")
    return page


@scene
async def change_of_a_preset(world: World) -> Page:
    """A preset is about to be renamed, to a name that there is."""
    page = await world.visit()
    saved: list[Json] = [{"name": name, "settings": {}, "prompt": "pencil sketch"} for name in ("Portrait", "Sketch")]
    async with WireClient.connect(page.url) as client:
        await client.ask(action="preset", change={"save": saved})
    await page.get_by_test_id("presets-open").click()
    await page.get_by_test_id("preset-menu").last.click()
    await page.get_by_test_id("menu-item").nth(1).click()
    await page.get_by_test_id("preset-name").fill("Portrait")
    await shows(page, "preset-form", "preset-prompt", "preset-save", "preset-stop")
    return page


@scene
async def what_to_find(world: World) -> Page:
    """The sheet of the search field, with a tag."""
    page = await made(world)
    async with WireClient.connect(page.url) as client:
        [task, *_] = (await client.ask(action="list"))["tasks"]
        await client.ask(action="mark", task_id=task["task_id"], starred=True, tags=["sea"])
    await page.get_by_test_id("find-text").focus()
    await expect(page.get_by_test_id("find-choice").first).to_have_text("sea")
    await shows(page, "find-sheet", "find-choice", "find-day")
    return page


@scene
async def found(world: World) -> Page:
    page = await made(world)
    await page.get_by_test_id("find-text").fill("lighthouse")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("find-count")).to_be_visible()
    return page


@scene
async def nothing_found(world: World) -> Page:
    page = await made(world)
    await page.get_by_test_id("find-text").fill("volcano")
    await page.keyboard.press("Enter")
    await shows(page, "find-nothing", "find-everything")
    return page
