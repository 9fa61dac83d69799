"""The emulator's chats: the stream, its bursts, and the odd corners as measured on Xinference 4.1.0."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from clients import LONG, FakeClock, eventually
from emulator_client import CHAT, PAINTER, Server, Stream, emulated, paint
from xinflight.demo import Chat, EmulatedModel, Emulator, EmulatorOptions, Faults, serve_emulator
from xinflight.demo.chat_replica import ChatReplica
from xinflight.demo.prose import compose, count_tokens, tokens_of

WRITER = EmulatedModel(uid="writer", type="LLM", abilities=("chat",), engine="transformers", step_seconds=0.01)
FAILED = "The chat completion request failed. Check the server logs for details."


def body(**fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "200 words about boats 🚣"}]
    return {"model": "writer", "messages": messages, "temperature": 0, "max_tokens": 40, **fields}


async def serve(stack: AsyncExitStack, *models: EmulatedModel, **options: Any) -> Server:
    return await stack.enter_async_context(emulated(*(models or (WRITER,)), **options))


@asynccontextmanager
async def streaming(server: Server, **fields: Any) -> AsyncIterator[Stream]:
    async with server.chat_stream(body(stream=True, **fields)) as stream:
        yield stream


def chats(server: Server) -> dict[str, Chat]:
    """Return what runs and waits on the model, by request id."""
    launched = server.engine._launched.find("writer")
    assert launched is not None
    [replica] = launched.replicas
    assert isinstance(replica, ChatReplica)
    return replica._chats


async def streamed(server: Server, **fields: Any) -> Stream:
    async with streaming(server, **fields) as stream:
        await stream.rest()
        return stream


async def test_a_stream(stack: AsyncExitStack) -> None:
    """A role, the text, a reason with the usage, and [DONE], in the media type and the headers of the real one."""
    server = await serve(stack)
    stream = await streamed(server)
    assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert stream.response.headers["Cache-Control"] == "no-store"
    first, *texts, last, done = stream.events
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert {event["id"] for event in stream.events[:-1]} == {first["id"]}
    assert all(event["usage"] is None and event["object"] == "chat.completion.chunk" for event in texts)
    assert len(texts) == 40
    assert last["choices"][0] == {"index": 0, "delta": {"content": ""}, "logprobs": None, "finish_reason": "length"}
    assert last["usage"]["completion_tokens"] == 40
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + 40
    assert done == "[DONE]"


async def test_a_whole_answer_is_the_streamed_text(stack: AsyncExitStack) -> None:
    """With temperature 0; with another every answer differs, whatever the seed."""
    server = await serve(stack)
    stream = await streamed(server, max_tokens=100)
    answer = await server.call("POST", CHAT, body(max_tokens=100))
    [choice] = answer.body["choices"]
    assert (choice["message"], choice["finish_reason"]) == ({"role": "assistant", "content": stream.text}, "length")
    assert answer.body["usage"] == stream.events[-2]["usage"]
    one, other = [
        (await server.call("POST", CHAT, body(max_tokens=100, temperature=1, seed=1))).body["choices"][0]
        for _ in range(2)
    ]
    assert one != other


async def test_usage_that_is_asked_for_comes_with_a_choice(stack: AsyncExitStack) -> None:
    """Its reason is always stop, even after one that says length."""
    stream = await streamed(await serve(stack), stream_options={"include_usage": True})
    last, extra, _ = stream.events[-3:]
    assert last["choices"][0]["finish_reason"] == "length"
    assert extra["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert extra["usage"] == last["usage"]


async def test_tokens_come_in_bursts(stack: AsyncExitStack) -> None:
    """Sixteen in each step."""
    clock = FakeClock()
    engine = Emulator([WRITER], options=EmulatorOptions(latency=0.0), clock=clock, paint=paint)
    session = await stack.enter_async_context(aiohttp.ClientSession())
    server = Server(engine, await stack.enter_async_context(serve_emulator(engine)), session)
    async with streaming(server) as stream:
        for burst in (16, 16, 8):
            await eventually(lambda: clock.waiting)
            await clock.advance(0.01)
            for _ in range(burst):
                event = await stream.next()
                if "role" in event["choices"][0]["delta"]:
                    await stream.next()
        assert await stream.next() == stream.events[-1]
        assert stream.events[-1]["usage"]["completion_tokens"] == 40


async def test_a_character_of_four_bytes_takes_two_tokens(stack: AsyncExitStack) -> None:
    """The first of them is empty, as of any text of which only some bytes are there."""
    stream = await streamed(await serve(stack), max_tokens=100)
    contents = [event["choices"][0]["delta"]["content"] for event in stream.events[1:-2]]
    at = next(index for index, content in enumerate(contents) if "🚣" in content)
    assert contents[at - 1] == ""


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"model": "nope"}, 404, "uid: nope"),
        ({"messages": []}, 400, "Invalid input. Please specify the prompt."),
        ({"messages": None}, 500, "messages\n  none is not an allowed value"),
        ({"max_tokens": 0}, 500, "max_tokens\n  ensure this value is greater than or equal to 1"),
        ({"temperature": 9}, 500, "temperature\n  ensure this value is less than or equal to 2"),
        ({"logit_bias": {"1": 1}}, 501, "Not implemented"),
        ({"tools": [{"type": "function"}]}, 400, "support tool calls"),
        ({"messages": [{"role": "tool", "content": "1"}]}, 400, "support tool messages"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_errors_before_the_stream(
    stack: AsyncExitStack, fields: dict[str, Any], status: int, text: str, stream: bool
) -> None:
    """What is found before the model is asked has a status of its own."""
    answer = await (await serve(stack)).call("POST", CHAT, body(stream=stream, **fields))
    said = answer.body if isinstance(answer.body, str) else answer.detail
    assert (answer.status, text in said) == (status, True), said


@pytest.mark.parametrize("fields", [{"model": "painter"}, {"max_tokens": 4089}])
async def test_errors_of_the_model(stack: AsyncExitStack, fields: dict[str, Any]) -> None:
    """They say nothing: in a stream an event without [DONE], else a 500."""
    server = await serve(stack, WRITER, PAINTER)
    assert (await streamed(server, **fields)).events == [{"error": FAILED}]
    answer = await server.call("POST", CHAT, body(**fields))
    assert (answer.status, answer.detail) == (500, FAILED)


async def test_tools_and_parts_are_tolerated(stack: AsyncExitStack) -> None:
    """A model with tools takes them; an image beside the text is dropped without a word."""
    server = await serve(stack, msgspec.structs.replace(WRITER, abilities=("chat", "tools")))
    parts = [{"type": "text", "text": "200 words about boats 🚣"}, {"type": "image_url", "image_url": {"url": "x"}}]
    plain = await streamed(server)
    other = await streamed(server, messages=[{"role": "user", "content": parts}], tools=[{"type": "function"}])
    assert other.text == plain.text


async def test_a_long_prompt_is_cut_and_stops_are_kept(stack: AsyncExitStack) -> None:
    """Of the prompt the last tokens are left, which only the usage tells."""
    server = await serve(stack, msgspec.structs.replace(WRITER, context=100))
    messages = [{"role": "user", "content": "a boat " * 200}]
    answer = await server.call("POST", CHAT, body(messages=messages, stop=[" demo"]))
    assert answer.body["usage"]["prompt_tokens"] == 100 - 40 - 8
    [choice] = answer.body["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("This text is written by the", "stop")


async def test_an_abort_ends_the_stream_without_done(stack: AsyncExitStack) -> None:
    """The text so far, an error that says nothing, and the end."""
    server = await serve(stack)
    server.engine.faults = Faults(freeze=5, requests=1)
    async with streaming(server, request_id="a") as stream:
        for _ in range(6):
            await stream.next()
        assert (await server.abort("a", "writer")).body == {"msg": "DONE"}
        server.engine.thaw()
        assert (await stream.rest())[6:] == [{"error": FAILED}]
    assert (await server.abort("a", "writer")).body == {"msg": "NOT_FOUND"}
    assert (await streamed(server, request_id="a")).events[-1] == "[DONE]", "no id is blocked"
    assert (await server.progress("a")).status == 400, "chats have no progress"


async def test_an_aborted_whole_answer_is_a_string(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    server.engine.faults = Faults(freeze=5, requests=1)
    post = asyncio.create_task(server.call("POST", CHAT, body(request_id="a")))
    await eventually(lambda: "a" in chats(server))
    assert (await server.abort("a", "writer")).body == {"msg": "DONE"}
    server.engine.thaw()
    assert (await post).body == "<XINFERENCE_NON_STREAMING_ABORT>"


async def test_a_client_that_leaves_stops_its_stream(stack: AsyncExitStack) -> None:
    """Its place is free for the next one."""
    server = await serve(stack, msgspec.structs.replace(WRITER, sequences=1))
    server.engine.faults = Faults(freeze=5, requests=1)
    async with streaming(server, request_id="a") as stream:
        await stream.next()
        stream.response.close()
    await eventually(lambda: chats(server)["a"].stopping)
    server.engine.thaw()
    assert (await streamed(server)).events[-1] == "[DONE]"


async def test_seventeen_chats(stack: AsyncExitStack) -> None:
    """Sixteen run side by side; the next waits without a byte, and its abort waits with it."""
    server = await serve(stack)
    server.engine.faults = Faults(freeze=1, requests=16)
    running = [await stack.enter_async_context(streaming(server, request_id=str(n))) for n in range(16)]
    for stream in running:
        await stream.next()
    async with streaming(server, request_id="w") as waiting:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting.response.content.readline(), 0.1)
        assert (await server.abort("w", "writer")).body == {"msg": "DONE"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting.response.content.readline(), 0.1)
        server.engine.thaw()
        assert (await waiting.rest()) == [{"error": FAILED}]
    for stream in running:
        assert (await stream.rest())[-1] == "[DONE]"


async def test_a_second_request_with_an_id_ends_both(stack: AsyncExitStack) -> None:
    server = await serve(stack)
    server.engine.faults = Faults(freeze=5, requests=1)
    async with streaming(server, request_id="a") as stream:
        await stream.next()
        assert (await streamed(server, request_id="a")).events == [{"error": FAILED}]
        assert (await stream.rest())[-1] == {"error": FAILED}
    server.engine.thaw()


async def test_a_killed_model(stack: AsyncExitStack) -> None:
    """Its streams end with an error; then it is refused before the stream."""
    server = await serve(stack)
    server.engine.faults = Faults(freeze=5, requests=1)
    async with streaming(server) as stream:
        await stream.next()
        server.engine.kill("writer")
        assert (await stream.rest())[-1] == {"error": FAILED}
    assert (await server.call("POST", CHAT, body(stream=True))).status == 500


async def test_a_silent_stream_is_pinged(stack: AsyncExitStack) -> None:
    server = await serve(stack, ping_seconds=0.1)
    server.engine.faults = Faults(freeze=1, requests=1)
    async with streaming(server) as stream:
        await stream.next()
        await stream.next()
        lines = [await asyncio.wait_for(stream.response.content.readline(), LONG) for _ in range(2)]
        assert lines[1].startswith(b": ping")
        server.engine.thaw()
        await stream.rest()


async def test_faults(stack: AsyncExitStack) -> None:
    """A stream can break, hang, tell nonsense, fail, be refused, and lose its model."""
    server = await serve(stack)

    def asking(words: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": f"200 words {words}"}]}

    for words in ("demo:drop=5", "demo:reset"):
        async with streaming(server, **asking(words)) as stream:
            with pytest.raises(aiohttp.ClientPayloadError):
                await stream.rest()
            assert "[DONE]" not in stream.events
    assert (await streamed(server, **asking("demo:error=kaput"))).events == [{"error": FAILED}]
    refused = await server.call("POST", CHAT, body(**asking("demo:refuse=7")))
    assert (refused.status, refused.headers["Retry-After"]) == (503, "7")
    async with streaming(server, **asking("demo:hang")) as stream:
        for _ in range(41):
            await stream.next()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.next(), 0.1)
    assert (await streamed(server, **asking("demo:garbage=shape"))).events[0] == {"choices": 7}
    async with streaming(server, **asking("demo:garbage=base64")) as stream:
        with pytest.raises(json.JSONDecodeError):
            await stream.next()
    assert (await streamed(server, **asking("demo:die=20"))).events[-1] == {"error": FAILED}


def test_tokens_are_the_text() -> None:
    """Whatever it is written in."""
    for text in ("a red boat\n\n 12,345 é", "湖面🚣 \t👩‍🚀", ""):
        assert "".join(tokens_of(text)) == text
    assert count_tokens([{"role": "user", "content": "a 🚣"}, {"role": "user", "content": None}]) == 4 + 3 + 4


def test_an_answer_has_the_asked_length() -> None:
    """About as many tokens as a question names, in the question's language."""
    asked = compose([{"role": "user", "content": "500 tokens, please"}], temperature=0, limit=4000)
    assert (500 <= len(asked.tokens) < 560, asked.reason) == (True, "stop")
    assert "not by a model" in "".join(asked.tokens)
    asked = compose([{"role": "user", "content": "写100个字"}], temperature=0, limit=4000)
    assert "不是模型生成的" in "".join(asked.tokens)
