"""One contract for the emulator and the real Xinference 4.1.0 in chats, over HTTP.

What the real server does is right: where the emulator differs, the emulator is wrong.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from clients import LONG
from emulator_client import CHAT, Stream, XinferenceClient, new_id
from xinference_kinds import ANIMATOR, CONTEXT, WRITER
from xinference_real import MODEL

pytest_plugins = ["xinference_fixtures", "contract_fixtures"]
pytestmark = pytest.mark.timeout(900)  # the first one on the real server also starts it and its models

FAILED = {"error": "The chat completion request failed. Check the server logs for details."}


def chat(**fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "3000 words about a red boat"}]
    return {"model": WRITER, "messages": messages, "temperature": 0, "max_tokens": 40, **fields}


async def streamed(client: XinferenceClient, **fields: Any) -> Stream:
    async with client.chat_stream(chat(stream=True, **fields)) as stream:
        await stream.rest()
        return stream


async def test_a_chat_that_streams(kinds: XinferenceClient) -> None:
    """A role, text, a reason with the usage, one more with a choice if it is asked for, and [DONE]."""
    stream = await streamed(kinds, stream_options={"include_usage": True})
    assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    first, *texts, last, extra, done = stream.events
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert {event["object"] for event in stream.events[:-1]} == {"chat.completion.chunk"}
    assert {event["model"] for event in stream.events[:-1]} == {WRITER}
    assert all(event["choices"][0]["finish_reason"] is None for event in texts)
    assert last["choices"][0]["finish_reason"] == "length"
    usage = last["usage"]
    assert (usage["completion_tokens"], usage["total_tokens"]) == (40, usage["prompt_tokens"] + 40)
    assert extra["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert extra["usage"] == usage
    assert done == "[DONE]"
    assert stream.text


async def test_a_chat_in_one_piece(kinds: XinferenceClient) -> None:
    """With temperature 0, the streamed text and its usage."""
    stream = await streamed(kinds)
    answer = await kinds.call("POST", CHAT, chat(), headers={"Content-Type": "application/json"})
    assert answer.body.keys() == {"id", "object", "created", "model", "choices", "usage"}
    [choice] = answer.body["choices"]
    assert choice["message"]["content"] == stream.text
    assert (choice["index"], choice["message"]["role"], choice["finish_reason"]) == (0, "assistant", "length")
    assert answer.body["usage"] == stream.events[-2]["usage"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"model": "nope"}, 404),
        ({"messages": []}, 400),
        ({"messages": None}, 500),
        ({"max_tokens": 0}, 500),
        ({"temperature": 9}, 500),
        ({"logit_bias": {"1": 1}}, 501),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, 400),
    ],
)
async def test_chat_errors_before_the_stream(
    kinds: XinferenceClient, fields: dict[str, Any], status: int, stream: bool
) -> None:
    assert (await kinds.call("POST", CHAT, chat(stream=stream, **fields))).status == status


@pytest.mark.parametrize("fields", [{"max_tokens": CONTEXT}, {"model": MODEL}, {"model": ANIMATOR}])
async def test_chat_errors_of_the_model(kinds: XinferenceClient, fields: dict[str, Any]) -> None:
    """More tokens than the context has, and models that don't chat: an event that says nothing, else a 500."""
    assert (await streamed(kinds, **fields)).events[-1] == FAILED
    answer = await kinds.call("POST", CHAT, chat(**fields))
    assert (answer.status, answer.detail) == (500, FAILED["error"])


async def test_an_abort_of_a_chat(kinds: XinferenceClient) -> None:
    """DONE, the end of the stream without [DONE], no progress, no block of the id."""
    request_id = new_id()
    long = chat(stream=True, max_tokens=3000, request_id=request_id)
    async with kinds.chat_stream(long) as stream:
        while not stream.text:
            await stream.next()
        assert (await kinds.progress(request_id)).status == 400
        assert (await kinds.abort(request_id, WRITER)).body == {"msg": "DONE"}
        assert (await stream.rest())[-1] == FAILED
    assert (await kinds.abort(request_id, WRITER)).body == {"msg": "NOT_FOUND"}
    assert (await streamed(kinds, request_id=request_id)).events[-1] == "[DONE]"


async def test_an_abort_of_a_chat_in_one_piece(kinds: XinferenceClient) -> None:
    """A 200 that holds a string."""
    request_id = new_id()
    post = asyncio.create_task(kinds.call("POST", CHAT, chat(max_tokens=3000, request_id=request_id)))
    async with asyncio.timeout(LONG):
        while True:
            if (await kinds.abort(request_id, WRITER)).body == {"msg": "DONE"}:
                break
            await asyncio.sleep(0.05)
    assert (await post).body == "<XINFERENCE_NON_STREAMING_ABORT>"


async def test_a_second_chat_with_an_id_ends_both(kinds: XinferenceClient) -> None:
    request_id = new_id()
    long = chat(stream=True, max_tokens=3000, request_id=request_id)
    async with kinds.chat_stream(long) as stream:
        while not stream.text:
            await stream.next()
        assert (await streamed(kinds, request_id=request_id)).events[-1] == FAILED
        assert (await stream.rest())[-1] == FAILED
    assert (await streamed(kinds)).events[-1] == "[DONE]"


async def test_chats_run_side_by_side(kinds: XinferenceClient) -> None:
    """Four at once all have text before the first of them has ended."""
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(kinds.chat_stream(chat(stream=True, max_tokens=400))) for _ in range(4)
        ]
        for stream in streams:
            while not stream.text:
                await stream.next()
        assert all("[DONE]" not in stream.events for stream in streams)
        for stream in streams:
            assert (await stream.rest())[-1] == "[DONE]"
