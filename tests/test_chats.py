"""Chats from the request to the end: text in deltas that add up, and ends that have all of it."""

from typing import Any

import pytest

from clients import Json, Recorder, WireClient, eventually
from conftest import Serve
from xinflight.demo import EmulatedModel, Faults

WRITER = EmulatedModel(
    uid="writer", type="LLM", abilities=("chat",), engine="transformers", step_seconds=0.01, burst=4, context=4096
)
QUESTION = "60 words about 🚣 boats"


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([WRITER])


async def ask(client: WireClient, task_id: str, **fields: Any) -> Json:
    """Start a chat, whose answer is the same each time; return the reply."""
    messages = [{"role": "user", "content": QUESTION}]
    return await client.ask(
        **{"action": "chat", "messages": messages, "temperature": 0, "task_id": task_id, **fields}
    )


def text_of(deltas: list[Json], channel: str = "text") -> str:
    """Put the text of deltas together as clients do: at their offsets, with what is known already left alone."""
    text = ""
    for delta in deltas:
        if delta.get("channel", "text") == channel:
            assert delta["offset"] <= len(text), "a gap"
            if delta["offset"] + len(delta["text"]) > len(text):
                text = text[: delta["offset"]] + delta["text"]
    return text


async def test_a_chat(client: WireClient, engine: Recorder) -> None:
    """Its deltas are its text, which its output and its result have as a whole, with reason and usage."""
    ack = await ask(client, "a", max_tokens=40, metadata={"my": 1})
    assert ack["params"] == {
        "kind": "chat",
        "model": "writer",
        "n": 1,
        "max_tokens": 40,
        "temperature": 0.0,
        "timeout": 3600.0,
        "on_disconnect": "continue",
    }
    result = (await client.ends("a"))["a"]
    [output] = client.of("a", "output")
    assert len(output["text"]) > 100
    assert "🚣" in output["text"]
    assert text_of(client.of("a", "delta")) == output["text"]
    assert output["chat"]["finish_reason"] == "length"
    assert output["chat"]["usage"]["completion_tokens"] == 40
    assert (output["media_type"], output["bytes"]) == ("text/plain", len(output["text"].encode()))
    [shown] = result["data"]["data"]
    assert (shown["text"], shown["chat"]) == (output["text"], output["chat"])
    assert "incomplete" not in shown
    assert [m["seq"] for m in client.of("a") if "seq" in m] == sorted(m["seq"] for m in client.of("a") if "seq" in m)
    assert not engine.polls, "the progress route knows no chats"
    assert {m["progress"] for m in client.of("a", "progress")} == {0}


async def test_a_text_so_far(client: WireClient, engine: Recorder) -> None:
    """It is in the list, marked as incomplete; what was asked never is."""
    engine.faults = Faults(freeze=8, requests=1)
    await ask(client, "a")
    await client.until(lambda m: m["type"] == "delta" and text_of(client.of("a", "delta")).count(" ") > 3)
    listed = await client.ask(action="list")
    [output] = listed["tasks"][0]["data"]
    assert output["text"] == text_of(client.of("a", "delta"))
    assert output["incomplete"] is True
    assert QUESTION not in str([m for m in client.seen if m["type"] != "delta"])
    engine.thaw()
    await client.ends("a")
    listed = await client.ask(action="list")
    [output] = listed["tasks"][0]["data"]
    assert output["text"] == text_of(client.of("a", "delta"))
    assert "incomplete" not in output


async def test_a_cancel_of_a_running_chat(client: WireClient, engine: Recorder) -> None:
    """The model is free; what there is of the text stays."""
    engine.faults = Faults(slow=20, requests=1)
    await ask(client, "a")
    await client.until(lambda m: m["type"] == "delta")
    await client.ask(action="cancel", task_id="a")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "stopped")
    [output] = end["data"]
    assert output["text"] == text_of(client.of("a", "delta"))
    assert output["incomplete"] is True
    assert engine.aborts
    assert engine.in_flight["writer"] == 0


async def test_a_text_that_broke_off(client: WireClient, engine: Recorder) -> None:
    """Another try would write another text: it ends as it is, and can be asked for again."""
    engine.faults = Faults(die=8, requests=1)
    await ask(client, "a")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["code"], end["retryable"]) == ("error", "interrupted", True)
    [output] = end["data"]
    assert output["text"] == text_of(client.of("a", "delta"))
    assert output["text"]
    assert output["incomplete"] is True
    assert len(engine.posts) == 1


async def test_a_chat_that_failed_before_its_first_word(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for again, with another request id."""
    monkeypatch.setattr("xinflight.tasks.runner.RETRY_PAUSES", (0.05,))
    engine.faults = Faults(error="boom", requests=1)
    await ask(client, "a")
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert len(engine.posts) == 2


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"messages": []}, "out_of_bounds", "messages"),
        ({"messages": [{"role": "user", "content": "a"}] * 1001}, "out_of_bounds", "messages"),
        ({"max_tokens": 4089}, "out_of_bounds", "max_tokens"),
        ({"messages": [{"role": "nobody", "content": "a"}]}, "wrong_shape", "messages"),
        ({"model": "painter"}, "model_unsuitable", "model"),
        ({"model": "nope"}, "model_not_found", "model"),
    ],
)
async def test_chats_that_are_refused(
    serve: Serve, emulate: Serve, fields: Json, code: str, field: str | None
) -> None:
    engine = Recorder([WRITER, EmulatedModel(uid="painter")])
    async with WireClient.connect(await serve(xinference_url=await emulate(engine), default_size="64x64")) as client:
        refused = await ask(client, "a", **fields)
        assert (refused["type"], refused["code"]) == ("error", code)
        assert refused.get("field") == field
    assert not engine.posts


async def test_chats_run_side_by_side_up_to_the_slots(client: WireClient, engine: Recorder) -> None:
    """Eight at a replica; the ninth waits."""
    engine.faults = Faults(freeze=4)
    for number in range(9):
        await ask(client, f"c{number}")
    await eventually(lambda: engine.in_flight["writer"] == 8)
    await client.until(lambda m: m["type"] == "queue" and m["waiting"] == 1)
    engine.thaw()
    ends = await client.ends(*(f"c{number}" for number in range(9)))
    assert {end["type"] for end in ends.values()} == {"result"}
    assert engine.peak["writer"] == 8
