"""The tutorial's page and script work as they are: its conversation with the `websockets` library, its own page."""

import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from PIL import Image
from websockets.asyncio.client import ClientConnection, connect

from clients import Json, Recorder
from conftest import Serve
from xinflight.demo import Faults
from xinflight.i18n import translate
from xinflight.settings import BadSettings

KNOWN = ("ack", "progress", "result", "error")
"""The types that the tutorial knows; it ignores every other."""


class Script:
    """The tutorial's script: it sends JSON, and reads what it knows of what comes."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws

    async def send(self, frame: str) -> None:
        await self.ws.send(frame)

    async def next(self) -> Json:
        while True:
            frame = await self.ws.recv()
            assert isinstance(frame, str), "the tutorial knows text frames only"
            message: Json = json.loads(frame)
            if message["type"] in KNOWN:
                return message

    async def conversation(self) -> list[Json]:
        """Read until a result or an error, as the script does."""
        messages = [await self.next()]
        while messages[-1]["type"] not in ("result", "error"):
            messages.append(await self.next())
        return messages


@asynccontextmanager
async def script(server: str) -> AsyncIterator[Script]:
    async with connect(server.replace("http", "ws").rstrip("/") + "/ws/generate") as ws:
        yield Script(ws)


@pytest.fixture
async def talk(server: str) -> AsyncIterator[Script]:
    async with script(server) as talking:
        yield talking


async def load(url: str) -> Image.Image:
    """Load an image as a browser does."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        assert response.content_type == "image/jpeg"
        image = Image.open(io.BytesIO(await response.read()))
        image.load()
        return image


async def test_the_conversation_frame_by_frame(talk: Script, engine: Recorder) -> None:
    """An ack before anything else, whole numbers on the way, and a result whose URL is an image."""
    prompt = "一只在月球上弹吉他的猫 <b>"
    before = time.time()
    await talk.send(json.dumps({"action": "generate", "prompt": prompt}))
    ack, *way, result = await talk.conversation()
    assert ack["type"] == "ack"
    assert isinstance(ack["message"], str)
    assert ack["connection_id"]
    assert way, "no progress was shown"
    for message in way:
        assert message["type"] == "progress"
        assert type(message["progress"]) is int
        assert 0 <= message["progress"] < 100
        assert before - 1 <= message["timestamp"] <= time.time() + 1
        assert message["step"]
        assert prompt not in message["message"]
    shown = [message["progress"] for message in way]
    assert shown == sorted(shown)
    assert (result["type"], result["progress"], result["status"]) == ("result", 100, "completed")
    assert isinstance(result["data"]["created"], int)
    assert len(result["data"]["data"]) == 1
    assert (await load(result["data"]["data"][0]["url"])).size == (64, 64)
    assert engine.prompts == [prompt]


async def test_generate_alone_takes_the_default_prompt(talk: Script, engine: Recorder) -> None:
    """The tutorial's first message has no prompt: it gets the tutorial's."""
    await talk.send('{"action":"generate"}')
    ack, *_, result = await talk.conversation()
    assert ack["params"]["prompt"] == "LiuJuan"
    assert result["type"] == "result"
    assert engine.prompts == ["LiuJuan"]


async def test_cancel_by_task_id(talk: Script, engine: Recorder) -> None:
    """The id of the ack is all that a cancel needs."""
    await talk.send('{"action":"generate","prompt":"boat","steps":200}')
    task_id = (await talk.next())["task_id"]
    while (await talk.next())["progress"] < 5:
        pass
    await talk.send(json.dumps({"action": "cancel", "task_id": task_id}))
    types = []
    while "cancelled" not in types:
        types.append(json.loads(await talk.ws.recv())["type"])
    assert "ok" in types
    assert len(engine.aborts) == 1


async def test_errors_have_a_message_and_a_time(talk: Script, engine: Recorder) -> None:
    """What is refused and what fails both come as `error` with what the script reads."""
    await talk.send('{"action":"generate","prompt":""}')
    (refused,) = await talk.conversation()
    engine.faults = Faults(error="CUDA out of memory", requests=1)
    await talk.send('{"action":"generate","prompt":"boat"}')
    failed = (await talk.conversation())[-1]
    for message in (refused, failed):
        assert message["type"] == "error"
        assert message["message"]
        assert isinstance(message["timestamp"], float)
    assert refused["message"] == translate("prompt_missing", "en")
    assert failed["message"] == translate("upstream_out_of_memory", "en")
    assert failed["state"] == "failed"
    assert "state" not in refused


async def test_a_connection_hears_only_of_its_own(server: str, talk: Script) -> None:
    """A page that draws everything it hears shows nothing of another tab."""
    async with script(server) as other:
        await talk.send('{"action":"generate","prompt":"boat"}')
        task_id = (await talk.conversation())[0]["task_id"]
        await other.send('{"action":"generate","prompt":"ship"}')
        told = await other.conversation()
    assert told[0]["type"] == "ack"
    assert task_id not in {message["task_id"] for message in told}


async def test_several_at_once_each_begin_with_their_ack(talk: Script) -> None:
    """Frames of several generations mix, but each one's ack is its first."""
    for _ in range(3):
        await talk.send('{"action":"generate","prompt":"boat"}')
    first: dict[str, str] = {}
    ends = 0
    while ends < 3:
        message = await talk.next()
        first.setdefault(message["task_id"], message["type"])
        ends += message["type"] == "result"
    assert list(first.values()) == ["ack"] * 3


# Somebody's own page


async def get(url: str) -> tuple[int, str, str]:
    """Return status, content type and text of a page."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, response.content_type, await response.text()


async def test_a_file_as_page(serve: Serve, tmp_path: Path) -> None:
    """A single HTML file is served at / in place of ours, and the WebSocket stays where it looks for it."""
    page = tmp_path / "mine.html"
    page.write_text("<p>my own page</p>")
    url = await serve(page=str(page), xinference_url="http://127.0.0.1:9")
    assert await get(url) == (200, "text/html", "<p>my own page</p>")
    async with connect(url.replace("http", "ws") + "ws/generate") as ws:
        assert json.loads(await ws.recv())["type"] == "welcome"


async def test_a_folder_as_page(serve: Serve, tmp_path: Path) -> None:
    """A folder's index.html is at /, its other files beside it, our own routes before it, nothing above it."""
    folder = tmp_path / "site"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<p>index</p>")
    (folder / "js" / "app.js").write_text("let a = 1")
    (folder / "healthz").write_text("not ours")
    (tmp_path / "secret.txt").write_text("secret")
    url = await serve(page=str(folder), xinference_url="http://127.0.0.1:9")
    assert await get(url) == (200, "text/html", "<p>index</p>")
    assert (await get(url + "js/app.js"))[2] == "let a = 1"
    assert "not ours" not in (await get(url + "healthz"))[2]
    for path in ("../secret.txt", "%2e%2e/secret.txt", "js/..%2f..%2fsecret.txt", "nothing"):
        assert (await get(url + path))[0] in (403, 404)
    async with connect(url.replace("http", "ws") + "ws/generate") as ws:
        assert json.loads(await ws.recv())["type"] == "welcome"


@pytest.mark.parametrize("name", ["nothing.html", "empty"])
async def test_a_page_that_is_not_there(serve: Serve, tmp_path: Path, name: str) -> None:
    """A wrong path stops the start with the path in its words."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadSettings, match=name):
        await serve(page=str(tmp_path / name))
