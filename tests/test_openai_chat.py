"""OpenAI's chat completions, by the `openai` package: whole and streamed, refusals, cancels, keys to come back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from clients import Json, Recorder, ShiftedClock, WireClient
from test_chats import QUESTION, WRITER
from xinflight.demo import Faults


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([WRITER])


@pytest.fixture
async def ai(server: str) -> AsyncIterator[AsyncOpenAI]:
    """Give OpenAI's client as people make it: its retries are on."""
    async with AsyncOpenAI(base_url=f"{server}v1", api_key="none") as ai:
        yield ai


def asked(**fields: Any) -> dict[str, Any]:
    """Return a request, whose answer is the same each time."""
    messages = [{"role": "user", "content": QUESTION}]
    return {"model": "writer", "messages": messages, "temperature": 0, **fields}


def named(key: str, **fields: Any) -> dict[str, Any]:
    """Return a request with a key."""
    return asked(extra_headers={"Idempotency-Key": key}, **fields)


async def whole(ai: AsyncOpenAI, **fields: Any) -> ChatCompletion:
    made = await ai.chat.completions.create(**asked(**fields))
    assert isinstance(made, ChatCompletion)
    return made


async def started(ai: AsyncOpenAI, request: dict[str, Any]) -> tuple[openai.AsyncStream[ChatCompletionChunk], str]:
    """Start a stream, and read it until there is some text."""
    stream = await ai.chat.completions.create(**request, stream=True)
    async for chunk in stream:
        if content := chunk.choices[0].delta.content:
            return stream, content
    raise AssertionError("no text")


async def rest_of(stream: openai.AsyncStream[ChatCompletionChunk]) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


async def test_whole_and_streamed_are_the_same(ai: AsyncOpenAI, server: str) -> None:
    """Text, reason and tokens; the id is that of the task."""
    made = await whole(ai, max_completion_tokens=40)
    text = made.choices[0].message.content
    assert text is not None
    assert "🚣" in text
    assert (made.object, made.model, made.choices[0].finish_reason) == ("chat.completion", "writer", "length")
    assert made.usage is not None
    assert made.usage.completion_tokens == 40
    async with aiohttp.ClientSession() as http, http.get(f"{server}api/v1/tasks/{made.id}") as response:
        task = await response.json()
    assert (task["state"], task["data"][0]["text"]) == ("completed", text)
    stream = await ai.chat.completions.create(
        **asked(max_tokens=40), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    first, *middle, last, tokens = chunks
    assert first.choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in middle) == text
    assert {chunk.choices[0].finish_reason for chunk in (first, *middle)} == {None}
    assert last.choices[0].finish_reason == "length"
    assert (tokens.choices, tokens.usage) == ([], made.usage)
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1


async def test_a_stop_is_a_text_or_several(ai: AsyncOpenAI) -> None:
    text = (await whole(ai)).choices[0].message.content or ""
    for stop in ("demo", ["demo", "xinflight"]):
        made = await whole(ai, stop=stop)
        cut = min(text.index(word) for word in ([stop] if isinstance(stop, str) else stop))
        assert (made.choices[0].message.content, made.choices[0].finish_reason) == (text[:cut], "stop")


async def test_the_package_without_asyncio(server: str) -> None:
    def work() -> tuple[str, str, str]:
        with OpenAI(base_url=f"{server}v1", api_key="none") as ai:
            model = ai.models.retrieve("writer")
            made = ai.chat.completions.create(**asked())
            chunks = ai.chat.completions.create(**asked(), stream=True)
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            return model.id, made.choices[0].message.content or "", streamed

    model, text, streamed = await asyncio.to_thread(work)
    assert (model, streamed) == ("writer", text)
    assert text


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/boat.png"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}


@pytest.mark.parametrize(
    ("fields", "param", "hint"),
    [
        ({"n": 2}, "n", "<= 1"),
        ({"logit_bias": {"1": 1}}, "logit_bias", "not supported"),
        ({"logprobs": True}, "logprobs", "not supported"),
        ({"functions": [{"name": "f"}]}, "functions", "not supported"),
        ({"modalities": ["text", "audio"]}, "modalities", "text"),
        ({"response_format": {"type": "json_object"}}, "response_format", "text"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages", "data:image/...;base64,"),
        ({"messages": [{"role": "user", "content": [AUDIO]}]}, "messages", "text, image_url, image"),
        ({"messages": [{"role": "boss", "content": "a"}]}, "messages", "system, developer, user"),
        ({"messages": []}, "messages", "1 to 1000"),
        ({"stop": [""]}, "stop", ">= 1"),
        ({"max_completion_tokens": 4089}, "max_tokens", "<= 4088"),
    ],
)
async def test_what_cannot_be_had_is_refused(
    ai: AsyncOpenAI, engine: Recorder, fields: Json, param: str, hint: str
) -> None:
    """With the field and what it may be, and before anything runs."""
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await ai.chat.completions.create(**asked(**fields))
    assert refused.value.param == param
    assert hint in str(refused.value)
    assert not engine.posts


async def test_what_changes_nothing_is_accepted(ai: AsyncOpenAI) -> None:
    """Nulls as if they were absent, what only OpenAI's own models know, an answer that is sent back as it came."""
    fields: dict[str, Any] = {"n": 1, "logprobs": False, "logit_bias": None, "tools": None, "stop": None}
    made = await whole(ai, **fields, response_format={"type": "text"}, user="x", reasoning_effort="low", max_tokens=5)
    again = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": QUESTION},
        made.choices[0].message,
        {"role": "assistant", "content": "A", "tool_calls": None},
        {"role": "user", "content": QUESTION},
    ]
    assert (await whole(ai, messages=again, max_tokens=5)).choices[0].message.content


async def test_unknown_models(ai: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await whole(ai, model="gpt-4o")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError) as none:
        await ai.models.retrieve("gpt-4o")
    assert none.value.code == "model_not_found"
    assert (await ai.models.retrieve("writer")).id == "writer"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_closing_cancels_what_has_no_key(
    ai: AsyncOpenAI, client: WireClient, engine: Recorder, *, stream: bool
) -> None:
    engine.faults = Faults(slow=20)
    await client.ask(action="follow", scope="all")
    if stream:
        reading, _ = await started(ai, asked())
        await reading.close()
    else:
        asking = asyncio.create_task(whole(ai))
        await client.until(lambda m: m["type"] == "delta")
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    end = await client.until(lambda m: m["type"] == "cancelled")
    assert (end["upstream"], end["data"][0]["incomplete"]) == ("stopped", True)
    assert len(engine.posts) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_key_takes_up_a_running_chat(ai: AsyncOpenAI, engine: Recorder, *, stream: bool) -> None:
    """It goes on without its client; the same request continues it, from its first character on."""
    expected = (await whole(ai)).choices[0].message.content
    engine.faults = Faults(freeze=12, requests=1)
    reading, begun = await started(ai, named("my:key"))
    await reading.close()
    if stream:
        resumed, so_far = await started(ai, named("my:key"))
        assert so_far.startswith(begun)
        engine.thaw()
        assert so_far + await rest_of(resumed) == expected
    else:
        asking = asyncio.create_task(ai.chat.completions.create(**named("my:key")))
        engine.thaw()
        assert (await asking).choices[0].message.content == expected
    assert len(engine.posts) == 2, "once without a key, once with it"


async def test_a_key_finds_a_finished_chat(ai: AsyncOpenAI, engine: Recorder) -> None:
    """At once, both whole and streamed, also from the other one; other content under it is a conflict."""
    text = (await ai.chat.completions.create(**named("k"))).choices[0].message.content
    assert (await ai.chat.completions.create(**named("k"))).choices[0].message.content == text
    assert await rest_of(await ai.chat.completions.create(**named("k"), stream=True)) == text
    assert (await ai.chat.completions.create(**asked(extra_body={"task_id": "k"}))).choices[0].message.content == text
    with pytest.raises(openai.ConflictError) as other:
        await ai.chat.completions.create(**named("k", max_tokens=5))
    assert other.value.code == "task_id_conflict"
    with pytest.raises(openai.UnprocessableEntityError) as bad:
        await ai.chat.completions.create(**named("no spaces"))
    assert bad.value.code == "bad_task_id"
    assert len(engine.posts) == 1


async def test_a_stream_that_fails_has_no_end(ai: AsyncOpenAI, engine: Recorder, server: str) -> None:
    """All text that there is, then an event with the error, in OpenAI's form, in place of the end."""
    engine.faults = Faults(drop=8)
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server}v1/chat/completions", json=asked(stream=True, task_id="a")) as response,
    ):
        assert response.status == 200
        told = await response.text()
        async with http.get(f"{server}api/v1/tasks/a") as found:
            text = (await found.json())["data"][0]["text"]
    assert "[DONE]" not in told
    assert told.endswith("\n\n")
    *_, last = told.removesuffix("\n\n").split("\n\n")
    assert last.startswith("event: error\ndata: ")
    assert '"code":"interrupted"' in last
    assert text
    reading = await ai.chat.completions.create(**asked(extra_body={"task_id": "a"}), stream=True)
    known = ""
    failed: openai.APIError | None = None
    try:
        async for chunk in reading:
            known += chunk.choices[0].delta.content or ""
    except openai.APIError as error:
        failed = error
    assert failed is not None
    assert (failed.code, known) == ("interrupted", text)


async def test_a_failure_without_a_stream_has_its_status(ai: AsyncOpenAI, engine: Recorder) -> None:
    """A text that broke off can be asked for again, and the package does that by itself."""
    engine.script = [Faults(drop=8), Faults(), Faults(drop=8)]
    assert (await whole(ai)).choices[0].finish_reason == "stop"
    assert len(engine.posts) == 2
    with pytest.raises(openai.InternalServerError) as failed:
        await whole(ai.with_options(max_retries=0))
    assert (failed.value.status_code, failed.value.code) == (502, "interrupted")


async def test_a_failure_under_a_key_is_final(ai: AsyncOpenAI, engine: Recorder) -> None:
    """The package does not ask again for what it would find as it is."""
    engine.faults = Faults(drop=8, requests=1)
    with pytest.raises(openai.InternalServerError) as failed:
        await ai.chat.completions.create(**named("k"))
    assert failed.value.code == "interrupted"
    assert failed.value.response.headers["x-should-retry"] == "false"
    assert len(engine.posts) == 1


async def test_comments_while_nothing_happens(
    clock: ShiftedClock, ai: AsyncOpenAI, engine: Recorder, server: str
) -> None:
    """They keep the connection alive, and the package takes none for an event, before the text and within it."""
    expected = (await whole(ai)).choices[0].message.content
    engine.faults = Faults(freeze=12, requests=1)
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server}v1/chat/completions", json=asked(stream=True, task_id="a")) as response,
    ):
        reading, so_far = await started(ai, named("a"))
        told = b""
        while b": keep-alive\n\n" not in told:
            clock.advance(16)
            told += await response.content.readany()
        engine.thaw()
        assert so_far + await rest_of(reading) == expected
        assert b"id:" not in told
