"""Chats over REST, streams and the host's own code: what is asked, answered, streamed and kept of them."""

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest

from clients import Json, Recorder, WireClient
from conftest import Serve
from streams import EVENT_STREAM, NDJSON, PackClient, all_lines, shared_server
from test_chats import QUESTION, WRITER, text_of
from xinflight import XinflightError
from xinflight.demo import Faults
from xinflight.protocol import Delta, OutputEvent, Result

MESSAGES: list[Json] = [
    {"role": "system", "content": "Be brief. 短一点。"},
    {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
]
TOOLS: list[Json] = [{"type": "function", "function": {"name": "boats", "parameters": {}}}]
CHATS = "api/v1/chats"


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([msgspec.structs.replace(WRITER, abilities=("chat", "tools"))])


def asked(**fields: Any) -> Json:
    return {"messages": MESSAGES, "temperature": 0, **fields}


async def test_over_rest(server: str) -> None:
    """202 with its Location, then the same with 200; the text is in the task, the messages are beside it."""
    async with aiohttp.ClientSession(server) as http:
        body = asked(task_id="a", tools=TOOLS, tool_choice="auto", colour="red")
        async with http.post(CHATS, json=body) as response:
            info = await response.json()
            assert (response.status, response.headers["Location"]) == (202, f"{server}api/v1/tasks/a")
            assert (info["params"]["kind"], info["ignored"]) == ("chat", ["colour"])
            assert QUESTION not in str(info)
        async with http.get("api/v1/tasks/a/events", headers={"Accept": NDJSON}) as response:
            events = [line.data for line in await all_lines(response)]
        async with http.post(CHATS, json=body, headers={"Idempotency-Key": "a"}) as response:
            again = await response.json()
            assert (response.status, again["state"]) == (200, "completed")
        assert text_of([event for event in events if event["type"] == "delta"]) == again["data"][0]["text"]
        async with http.post(CHATS, json=asked(task_id="a")) as response:
            assert (response.status, (await response.json())["code"]) == (409, "task_id_conflict")
        async with http.get("api/v1/tasks/a/messages") as response:
            assert await response.json() == {"messages": MESSAGES, "tools": TOOLS, "tool_choice": "auto"}
        async with http.get("api/v1/tasks/b/messages") as response:
            assert (response.status, (await response.json())["field"]) == (404, "task_id")


@pytest.mark.parametrize("accept", [EVENT_STREAM, NDJSON])
async def test_a_stream_in_one_request(server: str, accept: str) -> None:
    """From its acceptance to its end; each delta has a cursor, and the same request later shows what is kept."""
    async with aiohttp.ClientSession(server, headers={"Accept": accept}) as http:
        async with http.post(CHATS, json=asked(task_id="a")) as response:
            lines = await all_lines(response)
            epoch = response.headers["Xinflight-Cursor"].partition(":")[0]
        kinds = [line.data["type"] for line in lines if "seq" in line.data]
        assert (kinds[0], kinds[-2:], {*kinds[1:-2]}) == ("accepted", ["output", "result"], {"delta"})
        if accept == EVENT_STREAM:
            assert [line.id for line in lines] == [
                f"{epoch}:{line.data['seq']}" if "seq" in line.data else None for line in lines
            ]
        async with http.post(CHATS, json=asked(task_id="a")) as response:
            again = [line.data for line in await all_lines(response)]
    assert [event["type"] for event in again] == ["accepted", "output", "result"]
    assert again == [line.data for line in lines if line.data["type"] in ("accepted", "output", "result")]


async def test_over_messagepack(server: str) -> None:
    """The same messages as maps: text stays text."""
    async with PackClient.connect(server) as client:
        ack = await client.ask(action="chat", task_id="a", **asked())
        assert ack["params"]["kind"] == "chat"
        result = (await client.ends("a"))["a"]
        assert text_of(client.of("a", "delta")) == result["data"]["data"][0]["text"]


@pytest.mark.parametrize("packed", [False, True], ids=["json", "msgpack"])
async def test_only_a_chat_may_be_long(serve: Serve, emulate: Serve, engine: Recorder, *, packed: bool) -> None:
    """Up to `chat_bytes`, over the socket and over REST; whatever else is that long is refused as before."""
    url = await serve(xinference_url=await emulate(engine), chat_bytes=200_000)
    long, longer = ([{"role": "user", "content": "x" * length}] for length in (150_000, 200_000))
    async with (PackClient if packed else WireClient).connect(url) as client:
        assert client.seen[0]["limits"]["chat_bytes"] == 200_000
        assert (await client.ask(action="chat", messages=long, max_tokens=1))["type"] == "ack"
        for action, limit in (("chat", 200_000), ("generate", 65_536), ("ping", 65_536), ("dance", 65_536)):
            await client.send(action=action, messages=longer)
            refused = await client.until(lambda m: m["type"] == "error")
            assert (refused["code"], refused["limit"]) == ("frame_too_large", f"{limit} bytes")
    async with aiohttp.ClientSession(url) as http:
        for body, path, status in ((long, CHATS, 202), (longer, CHATS, 413), (long, "api/v1/tasks", 413)):
            async with http.post(path, json={"messages": body, "max_tokens": 1}) as response:
                assert response.status == status
        async with http.post("v1/chat/completions", json={"messages": longer}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (413, "frame_too_large")


@pytest.mark.parametrize(("field", "number"), [("tool_choice", "9" * 9000), ("temperature", "1e999")])
async def test_numbers_that_no_machine_has(server: str, field: str, number: str) -> None:
    """The refusal names the field and what it may have."""
    body = f'{{"messages": [{{"role": "user", "content": "a"}}], "{field}": {number}}}'
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(server) as http, http.post(CHATS, data=body, headers=headers) as response:
        told = await response.json()
    assert (told["code"], told["field"], told["limit"]) == ("out_of_bounds", field, "numbers of at most 64 bits")


async def test_by_the_hosts_own_code(engine: Recorder, emulate: Serve) -> None:
    """An iterator of events; what is wrong with the fields is raised, and leaving early cancels nothing."""
    async with shared_server(xinference_url=await emulate(engine)) as (_, gateway):
        text, ends = "", []
        async for event in gateway.chat(owner="ann", task_id="a", **asked()):
            match event:
                case Delta(offset=offset):
                    assert offset == len(text)
                    text += event.text
                case OutputEvent():
                    assert event.text == text
                case Result():
                    ends.append(event)
        assert text
        assert len(ends) == 1
        with pytest.raises(XinflightError) as refused:
            async for _ in gateway.chat(owner="ann", messages=[{"role": "nobody", "content": "a"}]):
                pass
        assert (refused.value.code, refused.value.field) == ("wrong_shape", "messages")
        for fields in ({"messages": [{"role": "user", "content": "\ud800"}]}, {**asked(), "metadata": {"\udfff": 1}}):
            with pytest.raises(XinflightError) as refused:
                gateway.chat(owner="ann", **fields)
            assert (refused.value.code, refused.value.limit) == ("wrong_shape", "Unicode text")
        assert refused.value.field == "metadata"
        with pytest.raises(XinflightError, match="prompt"):
            gateway.generate(owner="ann", prompt="a boat \ud83d")
        engine.faults = Faults(freeze=8, requests=1)
        async for event in gateway.chat(owner="ann", task_id="b", **asked()):
            if isinstance(event, Delta):
                break
        engine.thaw()
        again = [event async for event in gateway.chat(owner="ann", task_id="b", **asked())]
        assert isinstance(again[-1], Result)
        assert again[-1].data.data[0].text == text
        assert len(engine.posts) == 2


async def test_a_reader_who_comes_back_late(server: str, client: WireClient, engine: Recorder) -> None:
    """The list has the text so far; events after its cursor continue it, over another transport."""
    engine.faults = Faults(freeze=24, requests=1)
    await client.ask(action="chat", task_id="a", **asked())
    await client.until(lambda m: m["type"] == "delta")
    async with aiohttp.ClientSession(server, headers={"Accept": "application/json"}) as http:
        async with http.get("api/v1/tasks") as response:
            page = await response.json()
        [output] = page["tasks"][0]["data"]
        assert output["incomplete"] is True
        params = {"after": page["cursor"]}
        async with http.get("api/v1/tasks/a/events", params=params, headers={"Accept": NDJSON}) as response:
            reading = asyncio.create_task(all_lines(response))
            engine.thaw()
            events = [line.data for line in await reading]
    text = output["text"]
    for event in events:
        if event["type"] == "delta":
            assert event["offset"] <= len(text)
            text = (
                text[: event["offset"]] + event["text"] if event["offset"] + len(event["text"]) > len(text) else text
            )
    assert text == events[-1]["data"]["data"][0]["text"]
