"""Thumbnails: what they show, who gets them, how often they are made, and that they go with their images."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

import xinflight.thumbnails as made_here
from clients import LONG, FakeClock, Recorder, ShiftedClock
from conftest import Serve
from image_files import animation, image_file, turned
from streams import all_lines, shared_server
from xinflight import imaging
from xinflight.errors import BadImage, ImagesUnsupported, NotFound, RateLimited
from xinflight.model import Task
from xinflight.settings import Settings
from xinflight.storage import Blobs, FileBlobs, MemoryBlobs, MemoryStore, RecentBlobs, Retention, draw_id
from xinflight.supervise import Supervisor
from xinflight.thumbnails import Thumbnails, worth_a_thumbnail

ANN, BOB = {"X-User": "ann"}, {"X-User": "bob"}
LARGE = image_file("PNG", (1200, 600))


@pytest.fixture(params=["memory", "files", "recent files"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "memory":
        return MemoryBlobs(10**7)
    files = FileBlobs(tmp_path / "outputs", full=False)
    return RecentBlobs(files) if request.param == "recent files" else files


@pytest.fixture
def thumbnails(blobs: Blobs) -> Thumbnails:
    return Thumbnails(blobs, Settings())


def seen(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


async def kept(thumbnails: Thumbnails, output_id: str) -> bytes:
    stored = await thumbnails.get(output_id, lambda: True)
    assert stored.media_type == "image/webp"
    assert stored.data is not None
    return stored.data


# What it shows


@pytest.mark.parametrize(
    ("size", "shown"),
    [((1200, 600), (512, 256)), ((300, 900), (171, 512)), ((64, 48), (64, 48)), ((2000, 1), (512, 1))],
)
def test_its_size(size: tuple[int, int], shown: tuple[int, int]) -> None:
    image = seen(imaging.thumbnail(image_file("PNG", size), 512, max_pixels=10**7))
    assert (image.format, image.size, image.mode) == ("WEBP", shown, "RGB")


def test_it_is_upright_and_keeps_what_is_transparent() -> None:
    assert seen(imaging.thumbnail(turned("JPEG", 6), 512, max_pixels=10**7)).size == (48, 64)
    assert seen(imaging.thumbnail(image_file("PNG", mode="RGBA"), 512, max_pixels=10**7)).mode == "RGBA"


@pytest.mark.parametrize("data", [LARGE[:5000], b"none", animation("WEBP"), image_file("GIF")])
def test_what_none_is_made_of(data: bytes) -> None:
    with pytest.raises(BadImage):
        imaging.thumbnail(data, 512, max_pixels=10**7)
    with pytest.raises(BadImage):
        imaging.thumbnail(LARGE, 512, max_pixels=1200 * 600 - 1)


def test_which_images_are_worth_one() -> None:
    assert worth_a_thumbnail("image/png", 513, 8, 100)
    assert worth_a_thumbnail("image/png", 512, 512, 2**16 + 1)
    assert not worth_a_thumbnail("image/png", 512, 512, 2**16)
    assert not worth_a_thumbnail("video/mp4", 832, 480, 10**6)


# How it is made and kept


async def test_it_is_made_once(blobs: Blobs, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask at once."""
    output_id = draw_id()
    await blobs.put(output_id, LARGE)
    makes: list[int] = []
    make = imaging.thumbnail

    def counted(data: bytes, side: int, *, max_pixels: int) -> bytes:
        makes.append(side)
        return make(data, side, max_pixels=max_pixels)

    monkeypatch.setattr(made_here, "thumbnail", counted)
    answers = await asyncio.gather(*(kept(thumbnails, output_id) for _ in range(5)))
    assert {seen(answer).size for answer in answers} == {(512, 256)}
    assert len(set(answers)) == len(makes) == 1
    assert blobs.thumbnail_bytes == len(answers[0])


async def test_it_goes_with_its_image(blobs: Blobs, thumbnails: Thumbnails) -> None:
    output_id, other = draw_id(), draw_id()
    for each in (output_id, other):
        await blobs.put(each, LARGE)
        await kept(thumbnails, each)
    await blobs.delete(output_id)
    assert await blobs.thumbnail(output_id) is None
    with pytest.raises(NotFound):
        await kept(thumbnails, output_id)
    assert blobs.thumbnail_bytes == len(await kept(thumbnails, other))
    await blobs.delete(other)
    assert blobs.thumbnail_bytes == 0


async def test_an_image_that_is_deleted_meanwhile_leaves_none(blobs: Blobs) -> None:
    await blobs.put_thumbnail(draw_id(), b"RIFF")
    assert blobs.thumbnail_bytes == 0
    output_id = draw_id()
    await blobs.put(output_id, LARGE)
    await blobs.delete(output_id)
    await blobs.put_thumbnail(output_id, b"RIFF\x04\0\0\0WEBP")
    assert await blobs.thumbnail(output_id) is None
    assert blobs.thumbnail_bytes == 0


async def test_errors(blobs: Blobs, thumbnails: Thumbnails, monkeypatch: pytest.MonkeyPatch) -> None:
    output_id = draw_id()
    await blobs.put(output_id, LARGE[:5000])
    with pytest.raises(BadImage):
        await kept(thumbnails, output_id)
    with pytest.raises(NotFound):
        # Whoever asked has left.
        await thumbnails.get(output_id, lambda: False)
    monkeypatch.setattr(made_here, "WAITING", 0)
    with pytest.raises(RateLimited):
        await kept(thumbnails, output_id)
    monkeypatch.setattr(imaging.imaging, "HAS_PILLOW", False)
    assert not thumbnails.available
    with pytest.raises(ImagesUnsupported):
        await kept(thumbnails, output_id)


async def test_a_full_disk_takes_nothing_from_whoever_looks(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "outputs", full=False)
    output_id = draw_id()
    await blobs.put(output_id, LARGE)
    await asyncio.to_thread((tmp_path / "thumbnails").write_text, "in the way")
    assert seen(await kept(Thumbnails(blobs, Settings()), output_id)).size == (512, 256)
    assert blobs.thumbnail_bytes == 0


async def test_a_start_deletes_what_is_of_no_image_or_cut_short(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "outputs", full=False)
    ids = [draw_id() for _ in range(3)]
    for output_id in ids:
        await blobs.put(output_id, LARGE)
        await kept(Thumbnails(blobs, Settings()), output_id)
    files = [tmp_path / "thumbnails" / output_id[:2] / output_id for output_id in ids]
    foreign = files[0].with_name("notes.txt")

    def disturb() -> None:
        files[0].write_bytes(files[0].read_bytes()[:-1])
        files[2].rename(files[2].with_name(f".{ids[2]}"))
        foreign.write_text("somebody else's")

    await asyncio.to_thread(disturb)
    again = FileBlobs(tmp_path / "outputs", full=False)
    await again.sweep({ids[0], ids[1]}, 1000.0)
    assert await again.thumbnail(ids[0]) is None
    found = await again.thumbnail(ids[1])
    assert found is not None
    assert found.data is not None
    assert again.thumbnail_bytes == 2 * len(found.data) - 1
    paths = await asyncio.to_thread(lambda: sorted((tmp_path / "thumbnails").glob("*/*")))
    assert paths == sorted([files[0], files[1], foreign])


async def test_two_are_made_at_once_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = MemoryBlobs(10**7)
    ids = ["a" * 23 + end for end in "abcd"]
    for output_id in ids:
        await blobs.put(output_id, LARGE)
    at_once = most = 0
    lock = threading.Lock()
    met = threading.Barrier(2)

    def make(data: bytes, side: int, *, max_pixels: int) -> bytes:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        met.wait()
        with lock:
            at_once -= 1
        return b"RIFF"

    monkeypatch.setattr(made_here, "thumbnail", make)
    thumbnails = Thumbnails(blobs, Settings())
    await asyncio.gather(*(thumbnails.get(output_id, lambda: True) for output_id in ids))
    assert most == 2


async def test_they_count_as_part_of_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs, store, clock = MemoryBlobs(10**7), MemoryStore(10), FakeClock()
    output_id = draw_id()
    await blobs.put(output_id, LARGE)
    await blobs.put_thumbnail(output_id, bytes(1000))
    caps: list[int] = []

    async def prune(*, keep_bytes: int, keep_tasks: int, ended_before: float) -> list[Task]:
        caps.append(keep_bytes)
        return []

    monkeypatch.setattr(store, "prune", prune)
    for cap in (5000, 10):
        await Retention(store, blobs, Settings(history_bytes=cap), clock, Supervisor(clock)).enforce()
    assert caps == [4000, 0]


# Over HTTP


@pytest.fixture
async def http(
    engine: Recorder, emulate: Serve, clock: ShiftedClock, tmp_path: Path
) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session with a server of several owners."""
    settings: dict[str, Any] = {"data_dir": str(tmp_path), "allow_origins": ("https://a.example",)}
    settings["xinference_url"] = await emulate(engine)
    async with shared_server(**settings) as (url, _), aiohttp.ClientSession(url) as session:
        yield session


async def drawn(
    http: aiohttp.ClientSession, size: str = "640x320", *, store: bool = True, **headers: str
) -> dict[str, str]:
    """Let ann generate an image; return its output."""
    sent = {**ANN, "Accept": "application/x-ndjson", **headers}
    body = {"prompt": "boat", "steps": 1, "size": size, "task_id": "a", "store": store}
    async with http.post("/api/v1/tasks", json=body, headers=sent) as response:
        messages = [line.data for line in await all_lines(response)]
    event = next(each for each in messages if each["type"] == "output")
    output: dict[str, str] = messages[-1]["data"]["data"][0]
    assert event.get("thumbnail_url") == output.get("thumbnail_url")
    return output


async def test_who_gets_it(http: aiohttp.ClientSession) -> None:
    output = await drawn(http)
    assert output["thumbnail_url"] == f"{output['url']}/thumbnail"
    async with http.get(output["thumbnail_url"], headers=ANN) as response:
        assert (response.status, response.content_type) == (200, "image/webp")
        assert response.headers["Cache-Control"] == "private, max-age=2592000, immutable"
        etag = response.headers["ETag"]
        assert seen(await response.read()).size == (512, 256)
    async with http.head(output["thumbnail_url"], headers=ANN) as response:
        assert (response.status, await response.read()) == (200, b"")
    async with http.get(output["thumbnail_url"], headers={**ANN, "If-None-Match": etag}) as response:
        assert response.status == 304
    for headers, status in ((BOB, 404), ({}, 401)):
        async with http.get(output["thumbnail_url"], headers=headers) as response:
            assert response.status == status


async def test_a_page_of_another_origin_gets_a_signed_address(http: aiohttp.ClientSession) -> None:
    output = await drawn(http, Origin="https://a.example")
    assert "/thumbnail?expires=" in output["thumbnail_url"]
    async with http.get(output["thumbnail_url"]) as response:
        assert response.status == 200
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "immutable" in response.headers["Cache-Control"]


async def test_a_share_has_one_until_it_is_revoked(http: aiohttp.ClientSession) -> None:
    await drawn(http)
    async with http.post("/api/v1/shares", json={"task_id": "a"}, headers=ANN) as response:
        share = await response.json()
    for status in (200, 404):
        async with http.get(f"{share['url']}/thumbnail") as response:
            assert response.status == status
            if status == 200:
                assert response.headers["Cache-Control"] == "no-cache"
                assert seen(await response.read()).size == (512, 256)
        async with http.delete(f"/api/v1/shares/{share['id']}", headers=ANN) as response:
            assert (response.status == 204) == (status == 200)


async def test_a_small_image_needs_none(http: aiohttp.ClientSession) -> None:
    assert "thumbnail_url" not in await drawn(http, "64x64")


async def test_looking_at_it_is_no_delivery(http: aiohttp.ClientSession) -> None:
    """What is not to be kept stays until the file itself was fetched."""
    output = await drawn(http, store=False)
    for url in (output["thumbnail_url"], output["url"]):
        async with http.get(url, headers=ANN) as response:
            assert (response.status, await response.read() != b"") == (200, True)
    await gone(http, output["url"])
    await gone(http, output["thumbnail_url"])


async def gone(http: aiohttp.ClientSession, url: str) -> None:
    """Wait until a file is deleted."""
    async with asyncio.timeout(LONG):
        while True:
            async with http.head(url, headers=ANN) as response:
                if response.status == 404:
                    return


async def test_without_pillow_none_is_told_of(http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging.imaging, "HAS_PILLOW", False)
    output = await drawn(http)
    assert "thumbnail_url" not in output
    async with http.get(f"{output['url']}/thumbnail", headers=ANN) as response:
        assert (response.status, (await response.json())["code"]) == (501, "images_unsupported")


async def test_it_goes_with_its_task(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    """By a delete; an erasure of all deletes files in the same way, and lets the browser forget its copies."""
    output = await drawn(http)
    async with http.get(output["thumbnail_url"], headers=ANN) as response:
        assert response.status == 200
    async with http.delete("/api/v1/tasks/a", headers=ANN) as response:
        assert response.status == 204
    async with http.get(output["thumbnail_url"], headers=ANN) as response:
        assert response.status == 404
    output = await drawn(http)
    async with http.get(output["thumbnail_url"], headers=ANN) as response:
        assert response.status == 200
    async with http.delete("/api/v1/account", headers=ANN) as response:
        assert response.headers["Clear-Site-Data"] == '"cache"'
    assert await asyncio.to_thread(lambda: [each for each in tmp_path.glob("thumbnails/*/*") if each.is_file()]) == []
