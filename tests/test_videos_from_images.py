"""Videos that start from an image: of its aspect, from uploads and from outputs, by models that can."""

import io

import aiohttp
import msgspec
import pytest
from PIL import Image

from clients import Recorder, WireClient, painter
from conftest import Front
from test_videos import ANIMATOR, ask


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([painter(), ANIMATOR])


async def uploaded(server: str, size: tuple[int, int], mode: str = "RGBA") -> str:
    """Upload an image; return its id."""
    file = io.BytesIO()
    Image.new(mode, size, "red").save(file, "PNG")
    headers = {"Content-Type": "image/png"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server}api/v1/uploads", data=file.getvalue(), headers=headers) as response,
    ):
        return str((await response.json())["upload_id"])


@pytest.mark.parametrize(
    ("size", "start", "made", "told"),
    [
        ("64x64", (100, 50), "96x48", ["size"]),
        ("96x64", (300, 200), "96x64", []),
        (None, (90, 160), "64x112", []),
        ("64x64", (2000, 10), "192x16", ["size"]),
    ],
)
async def test_a_video_of_an_image(
    front: Front, size: str | None, start: tuple[int, int], made: str, told: list[str]
) -> None:
    """It has the image's aspect and about the area that is asked for, told beforehand; alpha does no harm."""
    engine, client = await front(ANIMATOR, video_size="80x80", size_max=192)
    server = str(client.ws._response.url.with_scheme("http").with_path("/"))
    image = await uploaded(server, start)
    fields = {} if size is None else {"size": size}
    ack = await client.ask(action="generate", prompt="a", kind="video", frames=5, image=image, task_id="a", **fields)
    assert (ack["params"]["size"], ack.get("adjusted", []), ack["params"]["image"]) == (made, told, image)
    [output] = (await client.ends("a"))["a"]["data"]["data"]
    assert f"{output['width']}x{output['height']}" == made
    assert engine.posts == [("video", "animator", "a")]


async def test_a_video_of_an_image_that_was_made(client: WireClient, engine: Recorder) -> None:
    """By its id; a film is no image to start from."""
    await client.ask(action="generate", prompt="a", model="painter", size="128x64", task_id="a")
    [image] = (await client.ends("a"))["a"]["data"]["data"]
    ack = await ask(client, "b", image=image["output_id"])
    assert ack["params"]["size"] == "112x48"
    [film] = (await client.ends("b"))["b"]["data"]["data"]
    assert (film["width"], film["height"], film["duration"]) == (112, 48, 0.5)
    answer = await ask(client, "c", image=film["output_id"])
    assert (answer["code"], answer["field"]) == ("bad_image", "image")


async def test_a_model_that_takes_no_image(front: Front) -> None:
    """Some make videos from text only, some from images only."""
    _, client = await front(
        msgspec.structs.replace(ANIMATOR, uid="text", abilities=("text2video",)),
        msgspec.structs.replace(ANIMATOR, uid="image", abilities=("image2video",)),
    )
    server = str(client.ws._response.url.with_scheme("http").with_path("/"))
    image = await uploaded(server, (64, 64), "RGB")
    for model, fields in (("text", {"image": image}), ("image", {})):
        answer = await ask(client, "a", model=model, **fields)
        assert (answer["type"], answer["code"], answer["field"]) == ("error", "model_unsuitable", "model")
    ack = await ask(client, "b", image=image)
    assert ack["params"]["model"] == "image"
    ack = await ask(client, "c")
    assert ack["params"]["model"] == "text"
    assert {end["type"] for end in (await client.ends("b", "c")).values()} == {"result"}
