"""Everything a client may get wrong: a typed error for each, on a socket that stays open, beside tasks that go on."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from aiohttp import WSMsgType

from bad_input_chats import CHATS
from bad_input_table import CANCEL, FRAME, GENERATE, LARGE_INTEGERS, NO_OBJECT, NOT_JSON, WEBSOCKET_ONLY
from clients import Json, Recorder, WireClient
from conftest import Front

CASES = {
    "no JSON": [(raw.data, *raw[1:]) for raw in NOT_JSON],
    "shapes": [(raw.data, *raw[1:]) for raw in NO_OBJECT],
    "generate": [
        (json.dumps({"action": "generate", **case.fields}), *case[1:]) for case in GENERATE + LARGE_INTEGERS
    ],
    "chat": [(json.dumps({"action": "chat", **case.fields}), *case[1:]) for case in CHATS],
    "cancel": [(json.dumps({"action": "cancel", **case.fields}), *case[1:]) for case in CANCEL],
    "actions": [(raw.data, *raw[1:]) for raw in WEBSOCKET_ONLY],
}
"""By kind: frame, code, field, limit."""


def generate(**fields: Any) -> str:
    """Return a generate frame that is right but for what is given."""
    return json.dumps({"action": "generate", "prompt": "a boat", **fields})


def refused(answer: Json, code: str, field: str | None, limit: str | None) -> None:
    """Hold an answer to be a refusal with its code and field, and its limit if one is named."""
    assert (answer["type"], answer["code"], answer.get("field")) == ("error", code, field)
    if limit is not None:
        assert answer["limit"] == limit
    assert "seq" not in answer
    assert "state" not in answer
    assert answer["message"]
    assert isinstance(answer["timestamp"], float)


async def say(client: WireClient, frame: str) -> Json:
    """Send a frame as it is and return the next answer."""
    await client.ws.send_str(frame)
    return await client.receive()


@pytest.mark.parametrize("kind", CASES)
async def test_each_mistake_has_its_error(client: WireClient, engine: Recorder, kind: str) -> None:
    """Code, field and limit say what is wrong; the socket stays open, and nothing is sent to any model."""
    for case in CASES[kind]:
        refused(await say(client, case[0]), *case[1:])
    assert (await client.ask(action="ping", nonce="n"))["nonce"] == "n"
    assert engine.posts == []


async def test_mistakes_leave_other_tasks_alone(client: WireClient) -> None:
    """A running task goes on to its result while its connection talks nonsense."""
    await client.ask(action="generate", prompt="boat", task_id="good", steps=30)
    for frame, code, _, _ in itertools.chain(*CASES.values()):
        await client.ws.send_str(frame)
        answer = await client.until(lambda m: m["type"] == "error")
        assert answer["code"] == code
    assert (await client.ends("good"))["good"]["type"] == "result"


async def test_an_error_belongs_to_its_question(client: WireClient) -> None:
    """`ref` is echoed even when the rest can't be decoded, and the task id when it can."""
    assert (await client.ask(action="paint"))["code"] == "unknown_action"
    assert (await client.ask(action="generate", prompt=7))["code"] == "wrong_shape"
    answer = await client.ask(action="generate", prompt="", task_id="mine")
    assert (answer["code"], answer["task_id"]) == ("prompt_missing", "mine")


async def test_values_at_their_bounds_are_taken(client: WireClient) -> None:
    """The bounds themselves are inside."""
    ack = await client.ask(
        action="generate",
        prompt="x" * 5000,
        n=8,
        size="64x2048",
        steps=200,
        seed=2**53 - 65,
        guidance_scale=30,
        timeout=86400,
        priority=-100,
        task_id="A-z.0_9:~" + "x" * 55,
        metadata="x" * 1022,
    )
    assert ack["type"] == "ack"
    assert ack["params"]["seed"] == 2**53 - 65
    await client.ask(action="cancel", scope="all")


async def test_unknown_fields_are_ignored_by_name(client: WireClient) -> None:
    """What this version does not know does no harm, and the ack says that it had no effect."""
    ack = await client.ask(action="generate", prompt="boat", sampler="Euler", hires=True)
    assert ack["ignored"] == ["sampler", "hires"]
    ack = await client.ask(action="generate", prompt="boat")
    assert "ignored" not in ack
    many = await client.ask(action="generate", prompt="boat", **{f"f{i}": i for i in range(50)})
    assert many["ignored"] == [f"f{i}" for i in range(16)]


async def test_the_same_id_with_other_content(client: WireClient) -> None:
    """An id stands for one content only, while the task runs and after its end."""
    await client.ask(action="generate", prompt="boat", task_id="a")
    refused(await client.ask(action="generate", prompt="ship", task_id="a"), "task_id_conflict", "task_id", None)
    await client.ends("a")
    answer = await client.ask(action="generate", prompt="boat", task_id="a", seed=3)
    refused(answer, "task_id_conflict", "task_id", None)


async def test_more_tasks_than_the_server_may_have(front: Front) -> None:
    """The limit of all holds whatever the connection has."""
    _, client = await front(tasks=1)
    await client.ask(action="generate", prompt="boat", task_id="a", steps=30)
    refused(await client.ask(action="generate", prompt="boat"), "too_many_tasks", "action", "1 in all")
    await client.ends("a")


async def test_frames_over_the_soft_limit(client: WireClient) -> None:
    """64 KiB is taken, one byte more is refused, counted in bytes and not in characters."""
    frame = '{"action":"ping"}'
    assert (await say(client, frame + " " * (FRAME - len(frame))))["type"] == "pong"
    refused(await say(client, frame + " " * (FRAME + 1 - len(frame))), "frame_too_large", None, f"{FRAME} bytes")
    refused(await say(client, generate(metadata="x" * 900_000)), "frame_too_large", None, f"{FRAME} bytes")
    chinese = json.dumps({"action": "ping", "x": "图" * 25_000}, ensure_ascii=False)
    refused(await say(client, chinese), "frame_too_large", None, f"{FRAME} bytes")
    assert (await client.ask(action="ping"))["type"] == "pong"


async def test_frames_over_the_hard_limit(client: WireClient, server: str) -> None:
    """Above 1 MiB RFC 6455's 1009 closes the socket, that one only."""
    async with WireClient.connect(server) as other:
        await client.ws.send_str("x" * (2**20 + 1))
        async with asyncio.timeout(5):
            while (message := await client.ws.receive()).type is WSMsgType.TEXT:
                pass
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
        assert client.ws.close_code == 1009
        assert (await other.ask(action="ping"))["type"] == "pong"


async def test_binary_frames_where_none_are_agreed(client: WireClient) -> None:
    """Bytes are refused, even if they hold proper JSON."""
    await client.ws.send_bytes(b'{"action":"generate","prompt":"boat"}')
    refused(await client.receive(), "binary_frame", None, None)
    await client.ws.send_bytes(b"\xff\x00")
    refused(await client.receive(), "binary_frame", None, None)
    assert (await client.ask(action="ping"))["type"] == "pong"


async def test_text_that_is_no_utf8_ends_the_connection(client: WireClient) -> None:
    """RFC 6455 section 8.1 makes that frame fatal: 1007."""
    await client.ws._writer.send_frame(b'{"action":"\xff"}', WSMsgType.TEXT)
    async with asyncio.timeout(5):
        while (await client.ws.receive()).type is WSMsgType.TEXT:
            pass
    assert client.ws.close_code == 1007


async def test_metadata_comes_back_as_it_was(client: WireClient) -> None:
    """Opaque JSON of up to 1 KB rides along from ack to end, large numbers and deep lists included."""
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    for task_id, metadata in (
        ("a", {"big": 2**64 - 1, "small": -(2**63)}),
        ("b", deep),
        ("c", [None, 1.5, "图", False]),
    ):
        ack = await client.ask(action="generate", prompt="boat", task_id=task_id, metadata=metadata)
        end = (await client.ends(task_id))[task_id]
        # As text: pytest would take the lists apart to compare them.
        assert {json.dumps(m["metadata"]) for m in (ack, end)} == {json.dumps(metadata)}


async def test_no_message_holds_what_the_user_wrote(client: WireClient, engine: Recorder) -> None:
    """A page may put `message` into innerHTML: neither prompt nor any other text of a client is in it."""
    mark = "<img src=x onerror=alert(1)>"
    await client.ask(action="generate", prompt=mark, task_id="a", negative_prompt=mark, metadata=mark)
    await client.ends("a")
    await client.ask(action=mark)
    await client.ask(action="generate", prompt="x", on_disconnect=mark)
    await client.ask(action="generate", prompt="x", model=mark)
    await client.ask(action="generate", prompt="x", size=mark)
    assert engine.prompts == [mark]
    for message in client.seen:
        assert "onerror" not in message.get("message", "")
        assert "onerror" not in message.get("limit", "")
