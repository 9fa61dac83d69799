"""Images in chats: ids become the images themselves, and a model that can't see is never asked to look."""

import base64
import io
import threading
from typing import Any

import aiohttp
import msgspec
import pytest
from PIL import Image

from clients import Json, Recorder, WireClient
from test_chats import WRITER, ask
from xinflight.demo import Chat, ChatBody
from xinflight.imaging import imaging


class Looking(Recorder):
    """An emulator that remembers the messages of its chats."""

    def __init__(self, *models: Any) -> None:
        super().__init__(models)
        self.messages: list[list[Json]] = []

    async def chat(self, body: ChatBody) -> Chat:
        self.messages.append(body.messages)
        return await super().chat(body)


@pytest.fixture
async def engine() -> Looking:
    seeing = msgspec.structs.replace(WRITER, uid="seeing", abilities=("chat", "vision"))
    return Looking(WRITER, seeing)


def png(color: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(out, "PNG")
    return out.getvalue()


async def upload(server: str, color: str) -> str:
    async with aiohttp.ClientSession() as http:
        headers = {"Content-Type": "image/png"}
        async with http.post(f"{server}/api/v1/uploads", data=png(color), headers=headers) as response:
            return str((await response.json())["upload_id"])


def color_of(url: str) -> tuple[int, ...]:
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    pixel = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").getpixel((9, 9))
    assert isinstance(pixel, tuple)
    return pixel


async def test_ids_become_images(server: str, client: WireClient, engine: Looking) -> None:
    """In their order, an image twice as well; inline ones and texts are passed on as they are."""
    red, blue = await upload(server.rstrip("/"), "red"), await upload(server.rstrip("/"), "blue")
    inline = f"data:image/png;base64,{base64.b64encode(png('lime')).decode()}"
    content = [
        {"type": "image", "image": red},
        {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": inline, "detail": "low"}},
        {"type": "image", "image": blue},
    ]
    messages: list[Json] = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": content},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]},
        {"role": "tool", "content": "7", "tool_call_id": "c"},
        {"role": "user", "content": [{"type": "image", "image": red}]},
    ]
    await ask(client, "a", messages=messages, model="seeing")
    assert (await client.ends("a"))["a"]["type"] == "result"
    [sent] = engine.messages
    assert sent[0] == {"role": "system", "content": "be brief"}
    first, text, second, third = sent[1]["content"]
    assert text == {"type": "text", "text": "and"}
    assert second == {"type": "image_url", "image_url": {"url": inline, "detail": "low"}}
    [last] = sent[4]["content"]
    colors = [color_of(part["image_url"]["url"]) for part in (first, third, last)]
    assert colors == [(255, 0, 0), (0, 0, 255), (255, 0, 0)]
    assert sent[2:4] == [{"content": None, **messages[2]}, messages[3]]


@pytest.mark.parametrize("part", ["upload", "inline"])
async def test_a_model_that_reads_texts_only(server: str, client: WireClient, engine: Looking, part: str) -> None:
    """Xinference would leave the image out without a word."""
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(b'x').decode()}"}}
    if part == "upload":
        image = {"type": "image", "image": await upload(server.rstrip("/"), "red")}
    refused = await ask(client, "a", messages=[{"role": "user", "content": [image]}], model="writer")
    assert (refused["code"], refused["field"]) == ("model_unsuitable", "messages")
    assert not engine.messages


async def test_an_image_that_is_not_there(client: WireClient, engine: Looking) -> None:
    content = [{"type": "image", "image": "u" + "x" * 43}]
    refused = await ask(client, "a", messages=[{"role": "user", "content": content}], model="seeing")
    assert (refused["code"], refused["field"]) == ("image_not_found", "messages")
    assert not engine.messages


async def test_many_images_are_refused_before_they_are_looked_for(client: WireClient, engine: Looking) -> None:
    """Ten thousand ids fit into one message, and each image would be decoded and sent."""
    content = [{"type": "image", "image": "u" + "x" * 43}] * 17
    refused = await ask(client, "a", messages=[{"role": "user", "content": content}], model="seeing")
    assert (refused["code"], refused["field"], refused["limit"]) == ("out_of_bounds", "messages", "16 images")


async def test_without_pillow_a_chat_has_no_images(
    server: str, client: WireClient, engine: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = [{"type": "image", "image": await upload(server.rstrip("/"), "red")}]
    monkeypatch.setattr(imaging, "HAS_PILLOW", False)
    refused = await ask(client, "a", messages=[{"role": "user", "content": content}], model="seeing")
    assert refused["code"] == "images_unsupported"


async def test_bodies_with_images_are_encoded_on_a_thread(
    server: str, client: WireClient, engine: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Base64 of megabytes would hold up everybody; what has no images stays on the loop."""
    threads: list[bool] = []
    encode = msgspec.json.encode

    def noted(value: Any, **options: Any) -> bytes:
        if isinstance(value, dict) and "stream_options" in value:
            threads.append(threading.current_thread() is not threading.main_thread())
        return encode(value, **options)

    monkeypatch.setattr(msgspec.json, "encode", noted)
    content = [{"type": "image", "image": await upload(server.rstrip("/"), "red")}]
    for task_id, said in (("a", content), ("b", "hello")):
        await ask(client, task_id, messages=[{"role": "user", "content": said}], model="seeing")
        await client.ends(task_id)
    assert threads == [True, False]
