"""What else a stream of OpenAI's chat completions meets: thoughts and tools, slow readers, tokens that expire."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import openai
import pytest
from aiohttp import web
from openai import AsyncOpenAI
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

from clients import Json, Recorder, ShiftedClock, WireClient, eventually
from conftest import Serve
from streams import EVENT_STREAM, all_lines
from test_chats import WRITER, text_of
from test_openai_chat import asked, named, rest_of, started
from xinflight.auth import TokenFile
from xinflight.demo import Faults, http_chat
from xinflight.web.streams import Reader

ABLE = msgspec.structs.replace(WRITER, abilities=("chat", "tools"), step_seconds=0.005, burst=8)
TOOLS: list[Any] = [{"type": "function", "function": {"name": "boats", "parameters": {}}}]


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([ABLE])


@pytest.fixture
async def ai(server: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server}v1", api_key="none") as ai:
        yield ai


@pytest.fixture
def thoughtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine think first, and call a tool in the end, both in pieces."""
    chunk = http_chat._Stream._chunk

    def write(self: Any, delta: Json, *, reason: str | None = None, **rest: Any) -> bytes:
        if reason is None:
            return chunk(self, delta, **rest)
        function = {"name": "boats", "arguments": '{"n":'}
        begun = {"index": 0, "id": "call-1", "type": "function", "function": function}
        ended = {"index": 0, "function": {"arguments": " 3}"}}
        parts: list[Any] = [
            *({"reasoning_content": text} for text in ("Hm. ", "🚣!")),
            *({"tool_calls": [part]} for part in (begun, ended)),
        ]
        return b"".join(chunk(self, part) for part in parts) + chunk(self, {}, reason="tool_calls", **rest)

    monkeypatch.setattr(http_chat._Stream, "_chunk", write)


@pytest.mark.usefixtures("thoughtful")
async def test_thoughts_and_tools(ai: AsyncOpenAI) -> None:
    """Both come as an engine would send them, whole and streamed; the package puts the calls together."""
    request = asked(tools=TOOLS, tool_choice="auto", max_tokens=8)
    made = await ai.chat.completions.create(**request)
    message = made.choices[0].message
    assert made.choices[0].finish_reason == "tool_calls"
    assert message.model_extra == {"reasoning_content": "Hm. 🚣!"}
    [wanted] = message.tool_calls or []
    assert (wanted.id, wanted.type) == ("call-1", "function")
    assert wanted.type == "function"
    assert (wanted.function.name, wanted.function.arguments) == ("boats", '{"n": 3}')
    thoughts, reasons = "", []
    calls: list[ChoiceDeltaToolCall] = []
    async for chunk in await ai.chat.completions.create(**request, stream=True):
        delta = chunk.choices[0].delta
        thoughts += (delta.model_extra or {}).get("reasoning_content", "")
        calls += delta.tool_calls or []
        reasons.append(chunk.choices[0].finish_reason)
    assert (thoughts, reasons[-1], {*reasons[:-1]}) == ("Hm. 🚣!", "tool_calls", {None})
    assert [(each.index, each.id, each.function and each.function.arguments) for each in calls] == [
        (0, "call-1", '{"n": 3}')
    ]
    # The answer goes back into the conversation as it came, with what the tool says.
    answer = {"role": "tool", "tool_call_id": "call-1", "content": "3 🚣"}
    again = await ai.chat.completions.create(**{**request, "messages": [*request["messages"], message, answer]})
    assert again.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("path", ["v1/chat/completions", "api/v1/chats"])
async def test_a_client_that_reads_slowly(
    server: str, client: WireClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """What came meanwhile is sent in few long pieces, and nothing of it is missing."""
    stuck, goes_on, writes = asyncio.Event(), asyncio.Event(), 0
    write = Reader.write

    async def slow(self: Reader, response: web.StreamResponse, data: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == 4:
            stuck.set()
            await goes_on.wait()
        await write(self, response, data)

    monkeypatch.setattr(Reader, "write", slow)
    await client.ask(action="follow", scope="all")
    messages = [{"role": "user", "content": "1500 words about 🚣 boats"}]
    headers = {"Accept": EVENT_STREAM}
    async with (
        aiohttp.ClientSession(server, headers=headers) as http,
        http.post(path, json=asked(messages=messages, stream=True, task_id="a")) as response,
    ):
        await stuck.wait()
        text = (await client.ends("a"))["a"]["data"]["data"][0]["text"]
        goes_on.set()
        if path.startswith("v1"):
            told = [line.removeprefix("data: ") for line in (await response.text()).split("\n\n")]
            assert told[-2:] == ["[DONE]", ""]
            chunks: list[Json] = [msgspec.json.decode(line) for line in told[:-2]]
            assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == text
        else:
            events = [line.data for line in await all_lines(response)]
            assert text.startswith(text_of([event for event in events if event["type"] == "delta"]))
            assert events[-1]["data"]["data"][0]["text"] == text
    assert len(text) > 5000
    assert len(client.of("a", "delta")) > 20
    assert writes < 12


async def test_a_token_that_expires(
    clock: ShiftedClock, engine: Recorder, emulate: Serve, serve: Serve, tmp_path: Path
) -> None:
    """A stream ends with the reason, and what has no key is cancelled; with a key it is taken up by a new token."""
    url, _, _ = (await serve(xinference_url=await emulate(engine), auth="tokens")).partition("#")
    tokens = TokenFile(tmp_path / "data")

    async def token(name: str, seconds: float) -> str:
        now = clock.time()
        made, _ = await asyncio.to_thread(tokens.add, name, owner="ann", now=now, expires=now + seconds)
        return made

    engine.faults = Faults(freeze=12)
    async with (
        AsyncOpenAI(base_url=f"{url}v1", api_key=await token("short", 600)) as ai,
        AsyncOpenAI(base_url=f"{url}v1", api_key=await token("long", 6000)) as later,
    ):
        whole = asyncio.create_task(ai.chat.completions.create(**named("a")))
        await eventually(lambda: engine.in_flight["writer"] == 1)
        kept, begun = await started(ai, named("a"))
        unnamed, _ = await started(ai, asked())
        clock.advance(601)
        for stream in (unnamed, kept):
            with pytest.raises(openai.APIError) as expired:
                await rest_of(stream)
            assert expired.value.code == "token_expired"
        await eventually(lambda: len(engine.aborts) == 1)
        with pytest.raises(openai.AuthenticationError):
            await ai.chat.completions.create(**named("a"))
        resumed, so_far = await started(later, named("a"))
        assert so_far.startswith(begun)
        engine.thaw()
        text = so_far + await rest_of(resumed)
        # The token was valid for the request, and so it is for its only response.
        assert (await whole).choices[0].message.content == text
    assert len(engine.posts) == 2


async def test_one_that_is_not_kept(ai: AsyncOpenAI, server: str, client: WireClient) -> None:
    """It is deleted once it was delivered, by a stream and as a whole."""
    stream = await ai.chat.completions.create(**named("a", store=False), stream=True)
    assert await rest_of(stream)
    await client.until(lambda m: m.get("kind") == "deleted" and m["task_id"] == "a")
    assert (await ai.chat.completions.create(**named("b", store=False))).choices[0].message.content
    await client.until(lambda m: m.get("kind") == "deleted" and m["task_id"] == "b")
