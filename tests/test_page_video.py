"""Videos on the page: asked for by frames, shown with controls, saved as MP4, and honest about a cancel."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from clients import Recorder, painter
from conftest import Serve
from page_kit import FROZEN, Open, Studio, facts, fits, generate, has_state, open_settings, tiles, view
from xinflight.demo import EmulatedModel

pytest_plugins = ["page_fixtures"]

ANIMATOR = EmulatedModel(
    uid="animator",
    type="video",
    abilities=("text2video",),
    step_seconds=0.0,
    decode_seconds=0.0,
    default_generate_config={"num_inference_steps": 4},
)

SIZE = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  return [image.naturalWidth, image.naturalHeight];
}"""


@pytest.fixture
async def cinema(open_page: Open, emulate: Serve, serve: Serve) -> AsyncIterator[Studio]:
    """Serve a model that makes videos of a text, and one that draws, from an image too."""
    abilities = ("text2image", "image2image")
    engine = Recorder([painter(abilities=abilities, step_seconds=0.0, decode_seconds=0.0), ANIMATOR])
    url = await serve(xinference_url=await emulate(engine), default_size="64x64", video_size="96x64")
    yield Studio(engine, url, open_page)
    engine.thaw()


async def test_a_video_is_shown_with_controls_and_saved(cinema: Studio) -> None:
    page = await cinema.visit()
    await open_settings(page)
    await expect(page.get_by_test_id("frames")).to_be_hidden()
    await page.get_by_test_id("model").select_option("animator")
    await page.get_by_test_id("frames").fill("10")
    made = await generate(page, "a boat on a lake", steps=2)
    tile = tiles(made)
    await expect(tile).to_have_attribute("data-loaded", "true")
    await expect(tile.get_by_test_id("length")).to_have_text(re.compile(r"▶ [\d.]+ s"))
    # The tile shows the first frame; the video itself is not loaded before it is played.
    shown = tile.get_by_test_id("video")
    poster = await shown.get_attribute("poster")
    assert poster
    assert await page.evaluate(SIZE, poster) == [96, 64]
    await expect(shown).to_have_js_property("readyState", 0)
    await tile.hover()
    await expect(shown).to_have_js_property("paused", value=False)
    await expect(shown).to_have_js_property("videoWidth", 96)
    viewer = await view(made)
    video = viewer.get_by_test_id("viewer-video")
    await expect(video).to_have_js_property("videoWidth", 96)
    settings = "v => [v.controls, v.muted, v.loop, v.playsInline, v.autoplay, v.videoWidth, v.videoHeight]"
    assert await video.evaluate(settings) == [True, False, True, True, False, 96, 64]
    async with page.expect_download() as download:
        await viewer.get_by_test_id("viewer-download").click()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_a-boat-on-a-lake_seed-\d+\.mp4", (await download.value).suggested_filename)
    # It is no image: neither is it opened as one, nor started from.
    await expect(viewer.get_by_test_id("use-as-start")).to_be_hidden()
    await page.keyboard.press("Escape")
    told = await facts(made)
    assert [told[fact] for fact in ("kind", "model", "size", "frames", "fps")] == [
        "Video",
        "animator",
        "96 × 64",
        "9",
        "16",
    ]
    await tile.get_by_test_id("reuse").click()
    await expect(page.get_by_test_id("model")).to_have_value("animator")
    await expect(page.get_by_test_id("frames")).to_have_value("9")


async def test_the_film_strip_has_first_frames_and_no_players(cinema: Studio) -> None:
    page = await cinema.visit()
    await open_settings(page)
    await page.get_by_test_id("model").select_option("animator")
    for prompt in ("a boat", "a lake"):
        await expect(tiles(await generate(page, prompt, steps=2))).to_have_attribute("data-loaded", "true")
    film = (await view(page.get_by_test_id("generation").first)).get_by_test_id("film")
    frames = film.locator("img[src^=blob]")
    await expect(frames).to_have_count(2)
    await expect(film.locator("video")).to_have_count(0)
    for frame in await frames.all():
        await expect(frame).to_have_js_property("naturalWidth", 96)


async def test_a_player_that_has_the_focus_keeps_its_keys(cinema: Studio) -> None:
    page = await cinema.visit()
    await open_settings(page)
    await page.get_by_test_id("model").select_option("animator")
    for prompt in ("a lake", "a boat"):
        await expect(tiles(await generate(page, prompt, steps=2))).to_have_attribute("data-loaded", "true")
    viewer = await view(page.get_by_test_id("generation").first)
    title, video = page.locator("#viewer-title"), viewer.get_by_test_id("viewer-video")
    await expect(video).to_have_js_property("videoWidth", 96)
    await video.focus()
    await video.evaluate("video => (window.heard = [], video.addEventListener('keydown', (key) => heard.push(key)))")
    keys = ["ArrowRight", "PageDown", "s", "Delete"]
    for key in keys:
        await page.keyboard.press(key)
        await expect(title).to_contain_text("a boat")
    # The view neither took them nor did what they do beside the player.
    assert await page.evaluate("heard.map(({ key }) => key)") == keys
    await expect(viewer.get_by_test_id("viewer-star")).to_have_attribute("aria-pressed", "false")
    await viewer.get_by_test_id("viewer-stage").focus()
    await page.keyboard.press("ArrowRight")
    await expect(title).to_contain_text("a lake")
    await page.keyboard.press("ArrowLeft")
    await expect(title).to_contain_text("a boat")


async def test_a_model_that_takes_no_image_is_not_offered_with_one(cinema: Studio) -> None:
    page = await cinema.visit()
    await open_settings(page)
    options = page.get_by_test_id("model").locator("option")
    await expect(options).to_have_count(2)
    drawn = await generate(page, "a boat", steps=2)
    await (await view(drawn)).get_by_test_id("use-as-start").click()
    await expect(page.get_by_test_id("start-card")).to_be_visible()
    await expect(options).to_have_count(1)


async def test_only_a_video_has_a_player(cinema: Studio) -> None:
    """It is half of all nodes of a tile, of which a sheet has dozens."""
    page = await cinema.visit()
    for model, players in (("painter", 0), ("animator", 1)):
        await open_settings(page)
        await page.get_by_test_id("model").select_option(model)
        made = tiles(await generate(page, f"a boat, {model}", steps=2))
        await expect(made).to_have_attribute("data-loaded", "true")
        await expect(made.locator("video")).to_have_count(players)


async def test_a_video_that_was_begun_is_discarded_and_that_is_said(cinema: Studio) -> None:
    page = await cinema.visit()
    await open_settings(page)
    await page.get_by_test_id("model").select_option("animator")
    await expect(page.get_by_test_id("model-hint")).to_contain_text("Videos can’t be stopped")
    # Its steps are known: the dock shows them, and must not say that they aren't.
    await expect(page.get_by_test_id("settings-open")).to_have_text("4 steps")
    await expect(page.get_by_test_id("model-hint")).not_to_contain_text("not known")
    made = await generate(page, f"a boat on a lake{FROZEN}2", steps=4)
    await has_state(tiles(made), "running")
    await tiles(made).get_by_test_id("cancel-image").click()
    await expect(made).to_have_count(0)
    await expect(page.get_by_test_id("toast")).to_contain_text("computes to the end")
    assert cinema.engine.aborts == []


async def test_a_video_fits_a_phone(cinema: Studio) -> None:
    page = await cinema.visit(width=360)
    await open_settings(page)
    await page.get_by_test_id("model").select_option("animator")
    await fits(page)
    await expect(tiles(await generate(page, "a boat", steps=2))).to_have_attribute("data-loaded", "true")
    await fits(page)
