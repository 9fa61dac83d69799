"""Files as people get them: what they say of themselves over every API, and names that tell what is in them."""

import base64
import io
import re
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from clients import FakeClock, Recorder, ShiftedClock
from conftest import Serve
from factories import make_task
from image_files import image_file
from streams import all_lines, shared_server
from xinflight.model import MediaInfo, download_name
from xinflight.settings import Settings
from xinflight.tasks import file_labels
from xinflight.tasks.file_labels import FileLabels
from xinflight.web.headers import content_disposition

ANN, BOB = {"X-User": "ann"}, {"X-User": "bob"}
PAGE = "https://page.example"
GENERATED = b"digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
PROMPT = "a red boat"
Connect = Callable[..., Awaitable[aiohttp.ClientSession]]


@pytest.fixture
async def connect(engine: Recorder, emulate: Serve, clock: ShiftedClock, tmp_path: Path) -> AsyncIterator[Connect]:
    """Give a function that starts a server with some settings and returns a session with it."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> aiohttp.ClientSession:
            given = {"xinference_url": await emulate(engine), "data_dir": str(tmp_path), "allow_origins": (PAGE,)}
            url, _ = await stack.enter_async_context(shared_server(**given | settings))
            return await stack.enter_async_context(aiohttp.ClientSession(url))

        yield start


async def drawn(http: aiohttp.ClientSession, headers: dict[str, str] = ANN, **fields: Any) -> list[dict[str, Any]]:
    """Let an owner generate; return all messages."""
    body = {"prompt": PROMPT, "steps": 2, "seed": 7, "size": "64x64", **fields}
    sent = {**ANN, "Accept": "application/x-ndjson", **headers}
    async with http.post("/api/v1/tasks", json=body, headers=sent) as response:
        return [line.data for line in await all_lines(response)]


def output_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    output: dict[str, Any] = messages[-1]["data"]["data"][0]
    return output


async def fetched(http: aiohttp.ClientSession, url: str, **headers: str) -> bytes:
    async with http.get(url, headers=headers) as response:
        assert response.status == 200
        return await response.read()


def prompt_of(data: bytes) -> str | None:
    """Return the parameters in a JPEG."""
    comment = Image.open(io.BytesIO(data)).getexif().get_ifd(0x8769).get(0x9286)
    return None if comment is None else comment[8:].decode("utf-16-be")


async def test_every_api_delivers_the_same(connect: Connect) -> None:
    """A plain GET, a download, base64 in a message, OpenAI's API, an export; a thumbnail has the label only."""
    http = await connect(content_producer="ACME")
    messages = await drawn(http, response_format="b64_json", size="640x320", task_id="a")
    output = output_of(messages)
    plain = await fetched(http, output["url"], **ANN)
    assert len(plain) == output["bytes"]
    assert plain == await fetched(http, output["url"] + "?download=1", **ANN)
    (event,) = [each for each in messages if each["type"] == "output"]
    assert plain == base64.b64decode(event["b64_json"])
    archive = zipfile.ZipFile(io.BytesIO(await fetched(http, "/api/v1/account/export", **ANN)))
    (name,) = [name for name in archive.namelist() if name.startswith("outputs/")]
    assert re.fullmatch(r"outputs/\d{4}-\d\d-\d\d/\d{6}_a-red-boat_seed-7_[^_]+_0\.jpg", name)
    assert plain == archive.read(name)
    assert GENERATED in plain
    assert b'"ContentProducer":"ACME"' in plain
    told = prompt_of(plain)
    assert told is not None
    assert told.startswith("a red boat\nSteps: 2, CFG scale: 0.0, Seed: 7, Size: 640x320, Model: painter, Version: ")
    thumbnail = await fetched(http, output["thumbnail_url"], **ANN)
    assert GENERATED in thumbnail
    assert b"boat" not in thumbnail
    body = {"prompt": PROMPT, "n": 1, "size": "64x64", "response_format": "b64_json"}
    async with http.post("/v1/images/generations", json=body, headers=ANN) as response:
        data = base64.b64decode((await response.json())["data"][0]["b64_json"])
    assert GENERATED in data
    assert (prompt_of(data) or "").startswith(PROMPT)


async def test_a_shared_image_does_not_tell_its_prompt(connect: Connect) -> None:
    """But that a model made it."""
    http = await connect()
    output = output_of(await drawn(http, task_id="a"))
    async with http.post("/api/v1/shares", json={"task_id": "a"}, headers=ANN) as response:
        url = (await response.json())["url"]
    async with http.get(url) as response:
        shared, etag = await response.read(), response.headers["ETag"]
    assert prompt_of(shared) is None
    assert GENERATED in shared
    assert len(shared) < output["bytes"]
    async with http.get(url, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    async with http.get(f"{url}?download=1", headers={"Range": "bytes=2-9"}) as response:
        assert (response.status, await response.read()) == (206, shared[2:10])
        assert "boat" not in response.headers["Content-Disposition"]


@pytest.mark.parametrize(("setting", "label", "told"), [("origin", True, False), ("none", False, False)])
async def test_less_can_be_said(connect: Connect, setting: str, label: bool, told: bool) -> None:
    http = await connect(file_metadata=setting)
    data = await fetched(http, output_of(await drawn(http))["url"], **ANN)
    assert (GENERATED in data, prompt_of(data) is not None) == (label, told)


@pytest.mark.parametrize(
    ("kind", "source"), [("text2image", GENERATED), ("edit", GENERATED), ("inpainting", COMPOSITE)]
)
async def test_what_was_painted_inside_a_mask_is_a_composite(kind: str, source: bytes) -> None:
    task = make_task("a")
    task.kind = kind
    labels = FileLabels(Settings(), FakeClock())
    assert source in await labels.add(task, task.outputs[0], "painter", image_file("PNG"))


async def test_a_large_file_is_labelled_on_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_labels, "LARGE", 100)
    task = make_task("a")
    assert GENERATED in await FileLabels(Settings(), FakeClock()).add(task, task.outputs[0], "m", image_file("PNG"))


# Names


async def test_a_download_has_a_name_that_tells_what_it_is(connect: Connect) -> None:
    """For HEAD, a part of it and a signed address, too; a plain GET shows it in the browser."""
    http = await connect()
    output = output_of(await drawn(http, prompt="月 boat: ../x", task_id="a"))
    url, signed = output["url"], output_of(await drawn(http, {"Origin": PAGE}, prompt="b", task_id="b"))["url"]
    async with http.get(url, headers=ANN) as response:
        assert response.headers["Content-Disposition"] == f'inline; filename="xinflight-{url[-24:-16]}.jpg"'
    async with http.get("/api/v1/tasks/a", headers=ANN) as response:
        day = f"{datetime.fromtimestamp((await response.json())['created'], UTC):%Y-%m-%d}"
    name = f"attachment; filename=\"{day}_boat-x_seed-7.jpg\"; filename*=UTF-8''{day}_%E6%9C%88-boat-x_seed-7.jpg"
    asked: list[tuple[str, dict[str, str]]] = [("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=0-9"})]
    for method, headers in asked:
        async with http.request(method, f"{url}?download=1", headers={**ANN, **headers}) as response:
            assert response.headers["Content-Disposition"] == name
            assert response.headers["ETag"] == f'"{output["output_id"]}"'
    async with http.get(f"{signed}&download=1") as response:
        assert re.fullmatch(
            r'attachment; filename="[0-9-]{10}_b_seed-7\.jpg"', response.headers["Content-Disposition"]
        )
    async with http.get(f"{url}?download=1", headers=BOB) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("prompt", "kind", "media_type", "name"),
    [
        ("A red boat, at dawn!", "text2image", "image/png", "1970-01-12_A-red-boat-at-dawn_seed-5.png"),
        ("../..\0\u202e", "text2image", "image/webp", "1970-01-12_image_seed-5.webp"),
        ("", "video", "video/mp4", "1970-01-12_video_seed-5.mp4"),
    ],
)
def test_names(prompt: str, kind: str, media_type: str, name: str) -> None:
    task = make_task("a", prompt=prompt)
    task.created, task.kind = 1_000_000.0, kind
    (output,) = task.outputs
    output.seed, output.file = 5, MediaInfo(media_type=media_type, width=1, height=1, bytes=1)
    assert download_name(task, output) == name


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a_b.png", 'attachment; filename="a_b.png"'),
        ("d_月光_s.png", "attachment; filename=\"d_s.png\"; filename*=UTF-8''d_%E6%9C%88%E5%85%89_s.png"),
        ("d_é-月_s.png", "attachment; filename=\"d_e_s.png\"; filename*=UTF-8''d_%C3%A9-%E6%9C%88_s.png"),
    ],
)
def test_names_of_any_script(name: str, header: str) -> None:
    assert content_disposition(name) == header
