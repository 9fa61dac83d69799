"""Decoding: whatever bytes come, there is a message or a typed error, never anything else."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_gateway import ScriptedGateway, turns
from scripted_session import conversation
from xinflight import protocol
from xinflight.errors import BadMessage, BadTaskId, BadValue, OutOfBounds, UpstreamGarbage, XinflightError
from xinflight.model import identify
from xinflight.protocol import JSON, Cancel, Generate, Ping, codec
from xinflight.upstream import failure

NUMBERS = st.integers() | st.floats(allow_nan=False) | st.integers(-(2**80), 2**80)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
ACTIONS = codec.ACTIONS.split(", ")
FIELDS = sorted({field for kind in protocol.Request.__args__ for field in kind.__struct_encode_fields__})
NEARLY = st.sampled_from(
    [
        "a",
        "",
        "a b",
        "64x64",
        "1024x1024",
        "99999x99999",
        "all",
        "continue",
        "url",
        "0:0",
        "abc:12",
        "all\n",
        "x" * 65,
    ]
)
MESSAGES = st.builds(
    lambda action, fields: {"action": action, **fields},
    st.sampled_from(ACTIONS),
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), NEARLY | VALUES, max_size=6),
)


def decoded(frame: str | bytes) -> Any:
    """Decode, or return the typed error; anything else raises."""
    try:
        return JSON.decode(frame.encode() if isinstance(frame, str) else frame)
    except XinflightError as error:
        refused = error
    assert isinstance(refused, BadMessage | BadTaskId | OutOfBounds)
    assert refused.field is None or refused.field in FIELDS or refused.field == "action"
    return refused


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes(frame: bytes) -> None:
    """Bytes that nobody meant are refused with a type."""
    decoded(frame)


@settings(max_examples=300)
@given(VALUES)
def test_any_json(value: Any) -> None:
    """JSON that is no message is refused with a type; no action comes of it by chance."""
    answer = decoded(json.dumps(value))
    assert isinstance(answer, XinflightError)


@settings(max_examples=600)
@given(MESSAGES)
def test_any_message(message: dict[str, Any]) -> None:
    """What is accepted is the same when it is said again, and names what it ignored."""
    frame = json.dumps(message)
    answer = decoded(frame)
    if isinstance(answer, XinflightError):
        return
    again = msgspec.json.encode(answer)
    assert JSON.decode(again) == answer
    assert set(JSON.unknown_fields(frame.encode(), answer)) <= message.keys() - {"action"}


@settings(max_examples=300)
@given(st.sampled_from(FIELDS), VALUES, st.sampled_from(ACTIONS))
def test_the_error_names_the_field_at_fault(field: str, value: Any, action: str) -> None:
    """With one wrong field, that one is named, whatever text is in it."""
    good = {"task_id": "a", "after": "0:0", "token": "t", "index": 0}
    kind = next(kind for kind in protocol.Request.__args__ if kind.__struct_config__.tag == action)
    fields = {name: good[name] for name in kind.__struct_encode_fields__ if name in good}
    answer = decoded(json.dumps({"action": action, **fields, field: value}))
    if isinstance(answer, XinflightError) and answer.code != "not_json":
        assert answer.field == field


async def _conversation(frames: list[str | bytes]) -> list[dict[str, Any]]:
    """Say all frames to one session; return its answers."""
    async with ScriptedGateway.begin() as parts:
        async with conversation(parts, JSON) as (session, sent):
            for frame in frames:
                await session.receive(frame)
            await turns()
            for post in parts.upstream.pending:
                post.end("image")
            await turns()
        return [json.loads(frame) for frame in sent]


@settings(max_examples=150)
@given(st.lists(MESSAGES.map(json.dumps) | VALUES.map(json.dumps) | st.text() | st.binary(), max_size=8))
def test_a_session_survives_anything(frames: list[str | bytes]) -> None:
    """Each frame has one direct answer, none of them says that something broke, and what was accepted goes on."""
    told = asyncio.run(_conversation(frames))
    answers = [m for m in told if "seq" not in m and m["type"] not in ("progress", "queue")]
    assert len(answers) == len(frames)
    assert not [m for m in told if m.get("code") == "internal"]


@settings(max_examples=200)
@given(st.integers(100, 599), st.binary() | VALUES.map(json.dumps).map(str.encode), st.none() | st.text())
def test_any_answer_of_an_upstream(status: int, body: bytes, retry_after: str | None) -> None:
    """An error body of any form becomes an error of ours."""
    error = failure(status, body, retry_after)
    assert isinstance(error, XinflightError)
    assert error.code


MAGIC = st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 ", b"GIF89a", b""])


@settings(max_examples=500)
@given(MAGIC, st.binary(max_size=64))
def test_any_image(magic: bytes, rest: bytes) -> None:
    """Bytes that only begin like an image are garbage of the upstream, not a bug of ours."""
    try:
        info = identify(magic + rest)
    except UpstreamGarbage:
        return
    assert info.media_type.startswith("image/")
    assert info.width > 0
    assert info.height > 0


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ('{"action":"generate","prompt":"a boat"}', Generate(prompt="a boat")),
        ('{"action":"cancel","task_id":"a"}', Cancel(task_id="a")),
        ('{"action":"cancel","scope":"all","except":["a"]}', Cancel(scope="all", except_=["a"])),
        ('{"action":"ping","ref":"1","nonce":"2"}', Ping(ref="1", nonce="2")),
        (b'{"action":"generate","prompt":"\xe5\x9b\xbe"}', Generate(prompt="图")),
    ],
)
def test_proper_messages(frame: str | bytes, message: object) -> None:
    """The ways of saying it that the protocol shows are understood."""
    assert decoded(frame) == message


def test_errors_of_values_and_of_messages_are_apart() -> None:
    """A value out of bounds is no broken message."""
    assert isinstance(decoded('{"action":"generate","n":0}'), BadValue)
    assert isinstance(decoded('{"action":"generate","n":"0"}'), BadMessage)
