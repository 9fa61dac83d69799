"""Reading the stream of a chat completion: whatever the pieces that it arrives in, and whatever is in it."""

import json
from typing import Any

import pytest

from xinflight.errors import UpstreamBusy, UpstreamDied, UpstreamGarbage
from xinflight.upstream import Answer, Piece
from xinflight.upstream.kinds import chat_reader
from xinflight.upstream.kinds.chat_reader import ChatReader

DONE = b"data: [DONE]\r\n\r\n"


def event(content: Any, newline: bytes = b"\r\n") -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + newline * 2


def chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]}


def read(*parts: bytes, longest_prompt: int | None = None) -> tuple[list[Piece], Answer]:
    reader = ChatReader(longest_prompt)
    pieces = [piece for part in parts for piece in reader.feed(part)]
    return pieces, reader.end()


USAGE = {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}
STREAM = b"".join(
    [
        b": ping - 2026-11-21 16:23:15.160081+00:00\r\n\r\n",
        event(chunk(role="assistant", content="")),
        event(chunk(reasoning_content="嗯…")),
        event(chunk(content="小船 🚣")),
        event(chunk(content=" sails")),
        b"event: message\r\nid: 7\r\nretry: 10\r\n",
        event(chunk(content=".")),
        event({**chunk("length", content=""), "usage": USAGE}),
        # As Xinference does: a choice, and always the same reason.
        event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}),
        DONE,
    ]
)


def expect_stream(pieces: list[Piece], answer: Answer) -> None:
    assert "".join(piece.text for piece in pieces if piece.channel == "text") == "小船 🚣 sails." == answer.text
    assert "".join(piece.text for piece in pieces if piece.channel == "reasoning") == "嗯…" == answer.reasoning
    assert answer.end.finish_reason == "length"
    assert answer.end.usage is not None
    assert answer.end.usage.total_tokens == 35


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_a_stream_that_is_split_anywhere(newline: bytes) -> None:
    """Inside a character of several bytes, inside a CRLF, inside `data:` and `[DONE]`."""
    stream = STREAM.replace(b"\r\n", newline)
    end = b"" if newline != b"\r" else b": the CR before may be half of a CRLF\n"
    for at in range(len(stream)):
        expect_stream(*read(stream[:at], stream[at:] + end))


def test_a_stream_byte_by_byte_and_at_once() -> None:
    expect_stream(*read(*(STREAM[at : at + 1] for at in range(len(STREAM)))))
    expect_stream(*read(STREAM))


def test_a_burst_is_several_pieces() -> None:
    pieces, _ = read(b"".join(event(chunk(content=f"{number} ")) for number in range(16)) + DONE)
    assert [piece.text for piece in pieces] == [f"{number} " for number in range(16)]


def test_data_in_several_lines_is_one_event() -> None:
    """Empty lines without data are no events; a space after the colon is none of the data."""
    pieces, _ = read(b'\n\ndata:{"choices":\ndata: [{"delta": {"content": " a "}}]}\n\n' + DONE)
    assert pieces == [Piece(" a ")]


def test_what_follows_done_is_not_read() -> None:
    _, answer = read(event(chunk(content="a")) + DONE + event(chunk(content="b")) + b"data: {\n\n")
    assert answer.text == "a"


def test_other_choices_are_ignored() -> None:
    both = {
        "choices": [
            {"index": 1, "delta": {"content": "b"}, "finish_reason": "length"},
            {"index": 0, "delta": {"content": "a"}, "finish_reason": None},
        ]
    }
    _, answer = read(event(both) + event(chunk("stop")) + DONE)
    assert (answer.text, answer.end.finish_reason) == ("a", "stop")


def test_usage_without_choices() -> None:
    """As OpenAI's and vLLM's do it."""
    _, answer = read(event(chunk("stop", content="a")) + event({"choices": [], "usage": USAGE}) + DONE)
    assert answer.end.usage is not None
    assert (answer.end.usage.prompt_tokens, answer.end.finish_reason) == (30, "stop")


@pytest.mark.parametrize("content", [{"choices": []}, {}, {"choices": [{"index": 0}]}, chunk(content=None), chunk()])
def test_events_with_nothing_in_them(content: Any) -> None:
    pieces, answer = read(event(content) + event({"choices": [], "usage": None}) + DONE)
    assert (pieces, answer.text, answer.reasoning, answer.end.usage) == ([], "", None, None)


def test_tool_calls_are_merged_by_their_index() -> None:
    def calls(*parts: dict[str, Any]) -> bytes:
        return event(chunk(tool_calls=list(parts)))

    _, answer = read(
        calls({"index": 0, "id": "c0", "type": "function", "function": {"name": "weather", "arguments": ""}}),
        calls({"index": 1, "id": "c1", "function": {"name": "time", "arguments": '{"in"'}}),
        calls(
            {"index": 0, "function": {"arguments": '{"city": "巴'}}, {"index": 1, "function": {"arguments": ": 1}"}}
        ),
        calls({"index": 0, "function": {"arguments": '黎"}'}}),
        event(chunk("tool_calls")) + DONE,
    )
    assert answer.text == ""
    assert answer.end.finish_reason == "tool_calls"
    assert answer.end.tool_calls == [
        {"id": "c0", "type": "function", "function": {"name": "weather", "arguments": '{"city": "巴黎"}'}},
        {"id": "c1", "type": "function", "function": {"name": "time", "arguments": '{"in": 1}'}},
    ]


def test_whole_tool_calls_without_an_index() -> None:
    parts = [{"id": f"c{number}", "function": {"name": "f", "arguments": "{}"}} for number in range(2)]
    _, answer = read(event(chunk("tool_calls", content=None, tool_calls=parts)) + DONE)
    assert [call["id"] for call in answer.end.tool_calls] == ["c0", "c1"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"error": "The chat completion request failed. Check the server logs for details."}, UpstreamDied),
        ({"error": {"message": "boom", "code": 500}}, UpstreamDied),
        ({"error": "Rate limit reached for the model. Request limit 1 for the model: m"}, UpstreamBusy),
    ],
)
def test_an_event_with_an_error(content: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(event(chunk(content="a")), event(content))


@pytest.mark.parametrize(
    "stream", [b"", event(chunk("stop", content="a")), b"data: [DONE]\n", b"<html>it works</html>"]
)
def test_a_stream_without_done_is_not_complete(stream: bytes) -> None:
    """Whatever the reason said: an abort and a crash end a stream in the same way."""
    with pytest.raises(UpstreamDied):
        read(stream)


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices": 7}',
        b"?",
        b"\xff\xfe",
        b'"text"',
        b'{"choices": [{"delta": {"content": 7}}]}',
        b'{"choices": [{"delta": {"content": "\\ud83d"}}]}',
        b"[" * 100_000,
        event(chunk(tool_calls=[{"index": number} for number in range(129)]))[len("data: ") :].strip(),
    ],
)
def test_what_is_no_chat_completion(data: bytes) -> None:
    with pytest.raises(UpstreamGarbage):
        read(b"data: " + data + b"\r\n\r\n")


def test_what_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line, an event of many lines, and a text: nothing of an upstream is kept without bounds."""
    monkeypatch.setattr(chat_reader, "EVENT_BYTES", 1000)
    monkeypatch.setattr(chat_reader, "TEXT_LENGTH", 100)
    for parts in ([b"data: " + b"x" * 500] * 3, [b"data: x\n"] * 200, [event(chunk(content="x" * 50))] * 3):
        with pytest.raises(UpstreamGarbage):
            read(*parts)


@pytest.mark.parametrize(("longest", "truncated"), [(None, False), (31, False), (30, True)])
def test_a_prompt_that_fills_the_context_was_probably_shortened(longest: int | None, truncated: bool) -> None:
    _, answer = read(event({"choices": [], "usage": USAGE}), DONE, longest_prompt=longest)
    assert answer.end.truncated is truncated
