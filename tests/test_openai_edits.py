"""OpenAI's edits and variations: forms with files, for the real `openai` package and for whatever else may come."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest
from PIL import Image

from clients import Recorder, WireClient, eventually, is_end
from conftest import Serve
from kind_table import EDITOR, PAINTER, picture
from streams import shared_server
from xinflight.demo import Faults

EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
HOLE = picture(hole=True)
START = picture((200, 30, 30))


@pytest.fixture
async def engine() -> AsyncIterator[Recorder]:
    engine = Recorder([PAINTER, EDITOR])
    yield engine
    engine.faults = Faults()
    engine.thaw()


@pytest.fixture
async def api(server: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{server}v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
async def http(server: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server) as session:
        yield session


def opened(data: str | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(base64.b64decode(data)))


def form(*files: tuple[str, bytes], **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        data.add_field(name, value)
    for name, content in files:
        data.add_field(name, content, filename="a.png", content_type="image/png")
    return data


# The real client


async def test_an_edit_of_one_image(api: openai.AsyncOpenAI, engine: Recorder, client: WireClient) -> None:
    """Numbers are texts in a form; what only OpenAI's models know is ignored; the task is like any other."""
    made = await api.images.edit(
        image=START,
        prompt="make it green",
        n=2,
        size="auto",
        quality="high",
        background="opaque",
        user="somebody",
        response_format="b64_json",
        extra_body={"steps": 4, "seed": 7, "strength": 0.5, "group": "g", "metadata": {"a": 1}},
    )
    assert [opened(image.b64_json).size for image in made.data or []] == [(64, 64)] * 2
    (task,) = (await client.ask(action="list", group="g"))["tasks"]
    params = task["params"]
    assert (task["state"], params["kind"], params["n"], params["seed"]) == ("completed", "image2image", 2, 7)
    assert (params["steps"], params["strength"], params.get("response_format", "url")) == (4, 0.5, "url")
    assert [route for route, _, _ in engine.posts] == ["img2img"] * 2


async def test_an_edit_inside_a_mask_keeps_the_rest_to_the_pixel(api: openai.AsyncOpenAI, client: WireClient) -> None:
    made = await api.images.edit(image=START, mask=HOLE, prompt="a window", response_format="b64_json")
    (image,) = made.data or []
    pixels = opened(image.b64_json).convert("RGB")
    assert [pixels.getpixel(at) for at in ((2, 2), (61, 5), (5, 61))] == [(200, 30, 30)] * 3
    assert pixels.getpixel((32, 32)) != (200, 30, 30)
    (task,) = (await client.ask(action="list"))["tasks"]
    assert task["params"]["kind"] == "inpainting"


async def test_an_edit_by_an_edit_model_and_urls(
    api: openai.AsyncOpenAI, engine: Recorder, http: aiohttp.ClientSession
) -> None:
    made = await api.images.edit(image=[START], prompt="make it green", model="editor")
    (image,) = made.data or []
    assert engine.posts == [("img2img", "editor", "make it green")]
    async with http.get(image.url or "") as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")


async def test_edits_are_streamed(api: openai.AsyncOpenAI) -> None:
    events = [event async for event in await api.images.edit(image=START, prompt="make it green", n=2, stream=True)]
    assert [event.type for event in events] == ["image_edit.completed"] * 2
    assert {(event.size, event.output_format) for event in events} == {("64x64", "jpeg")}
    assert all(opened(event.b64_json).size == (64, 64) for event in events)


async def test_a_variation_needs_no_prompt(api: openai.AsyncOpenAI, engine: Recorder) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        made = await api.images.create_variation(image=START, n=2, size="256x256", response_format="b64_json")
    assert [opened(image.b64_json).size for image in made.data or []] == [(256, 256)] * 2
    assert engine.prompts == ["", ""]


async def test_a_failure_has_the_code_of_the_protocol(api: openai.AsyncOpenAI, engine: Recorder) -> None:
    engine.faults = Faults(error="CUDA out of memory.")
    with pytest.raises(openai.APIStatusError) as failed:
        await api.images.edit(image=START, prompt="make it green")
    assert failed.value.code == "upstream_out_of_memory"
    stream = await api.images.edit(image=START, prompt="make it green", stream=True)
    with pytest.raises(openai.APIError) as broken:
        await anext(stream)
    assert broken.value.code == "upstream_out_of_memory"


async def test_closing_cancels(api: openai.AsyncOpenAI, engine: Recorder, client: WireClient) -> None:
    await client.ask(action="follow", scope="all")
    engine.faults = Faults(freeze=1)
    asking = asyncio.create_task(api.images.edit(image=START, prompt="make it green"), name="edit")
    await eventually(lambda: engine.posts)
    asking.cancel()
    await asyncio.wait([asking])
    await eventually(lambda: engine.aborts)
    engine.faults = Faults()
    engine.thaw()
    end = await client.until(is_end)
    assert (end["type"], end["upstream"]) == ("cancelled", "stopped")


# What may be wrong


PROMPT = {"prompt": "make it green"}
CUT = START[:60]
BAD = [
    (EDITS, form(("image", START)), 422, "prompt_missing", "prompt"),
    (EDITS, form(("image", START), prompt=" \n"), 422, "prompt_missing", "prompt"),
    (EDITS, form(**PROMPT), 422, "wrong_shape", "image"),
    (EDITS, form(("mask", HOLE), **PROMPT), 422, "wrong_shape", "image"),
    (EDITS, form(("image", b"no image"), **PROMPT), 422, "bad_image", "image"),
    (EDITS, form(("image", b""), **PROMPT), 422, "bad_image", "image"),
    (EDITS, form(("image", CUT), **PROMPT), 422, "bad_image", "image"),
    (EDITS, form(("image", START), ("mask", b"<svg/>"), **PROMPT), 422, "bad_image", "mask"),
    (EDITS, form(("image", START), ("mask", HOLE), ("mask", HOLE), **PROMPT), 422, "wrong_shape", "mask"),
    (EDITS, form(("picture", START), **PROMPT), 422, "wrong_shape", "picture"),
    (EDITS, form(*[("image[]", START)] * 10, **PROMPT), 422, "out_of_bounds", "image"),
    (EDITS, form(("image", START), n="many", **PROMPT), 422, "wrong_shape", "n"),
    (EDITS, form(("image", START), n="0", **PROMPT), 422, "out_of_bounds", "n"),
    (EDITS, form(("image", START), size="64", **PROMPT), 422, "out_of_bounds", "size"),
    (EDITS, form(("image", START), strength="2", **PROMPT), 422, "out_of_bounds", "strength"),
    (EDITS, form(("image", START), stream="perhaps", **PROMPT), 422, "wrong_shape", "stream"),
    (EDITS, form(("image", START), model="nobody", **PROMPT), 404, "model_not_found", "model"),
    (EDITS, form(image="https://example.org/a.png", **PROMPT), 422, "out_of_bounds", "image"),
    (EDITS, form(image="u" + "a" * 43, **PROMPT), 404, "image_not_found", "image"),
    (VARIATIONS, form(), 422, "wrong_shape", "image"),
    (VARIATIONS, form(("image", START), ("image", HOLE)), 422, "wrong_shape", "image"),
    (VARIATIONS, form(("image", START), ("mask", HOLE)), 422, "wrong_shape", "image"),
]


@pytest.mark.parametrize(("path", "data", "status", "code", "param"), BAD)
async def test_bad_input(
    http: aiohttp.ClientSession,
    engine: Recorder,
    path: str,
    data: aiohttp.FormData,
    status: int,
    code: str,
    param: str,
) -> None:
    """In OpenAI's form, with the field that is wrong; nothing is asked of a model."""
    async with http.post(path, data=data) as response:
        error = (await response.json())["error"]
        assert (error["code"], error["param"], response.status) == (code, param, status), error
    assert engine.posts == []


@pytest.mark.parametrize(
    ("media_type", "body", "status", "code"),
    [
        ("application/json", b"{}", 415, "unsupported_type"),
        ("image/png", START, 415, "unsupported_type"),
        ("multipart/form-data", START, 422, "wrong_shape"),
        ("multipart/form-data; boundary=x", b"--x\r\n", 422, "wrong_shape"),
        ("multipart/form-data; boundary=x", b"", 422, "wrong_shape"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\r\n--x--\r\n',
            *(422, "wrong_shape"),
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + b"a" * 2**17 + b"\r\n--x--\r\n",
            *(413, "frame_too_large"),
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name=""\r\n\r\n\r\n' * 2000 + b"--x--\r\n",
            *(413, "frame_too_large"),
        ),
    ],
    ids=["json", "image", "no boundary", "cut", "empty", "not utf-8", "long field", "many parts"],
)
async def test_bodies_that_are_no_forms(
    http: aiohttp.ClientSession, media_type: str, body: bytes, status: int, code: str
) -> None:
    async with http.post(EDITS, data=body, headers={"Content-Type": media_type}) as response:
        assert ((await response.json())["error"]["code"], response.status) == (code, status)


async def test_files_are_the_callers_own(engine: Recorder, emulate: Serve) -> None:
    """They become the caller's uploads; somebody else's can't be named."""
    async with (
        shared_server(xinference_url=await emulate(engine)) as (base, _),
        aiohttp.ClientSession(base) as http,
    ):
        ann, bob = {"X-User": "ann"}, {"X-User": "bob"}
        async with http.post(EDITS, data=form(("image", START), **PROMPT), headers=ann) as response:
            assert response.status == 200
        async with http.get("/api/v1/uploads", headers=ann) as response:
            (upload,) = (await response.json())["uploads"]
        for user, status in ((bob, 404), (ann, 200)):
            data = form(image=upload["upload_id"], **PROMPT)
            async with http.post(EDITS, data=data, headers=user) as response:
                assert response.status == status
        async with http.post(EDITS, data=form(("image", START), **PROMPT)) as response:
            assert response.status == 401
