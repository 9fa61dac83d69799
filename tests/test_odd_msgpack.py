"""MessagePack and JSON that are almost right: a typed refusal, and never a task that runs without an `ack`."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_gateway import ScriptedGateway, turns
from scripted_session import conversation
from xinflight.protocol import JSON, MSGPACK, Codec, ListTasks

pytestmark = pytest.mark.slow

pack = msgspec.msgpack.encode


def packed_map(*pairs: tuple[bytes, bytes]) -> bytes:
    """Return a MessagePack map of up to 15 raw keys and values."""
    return bytes([0x80 | len(pairs)]) + b"".join(key + value for key, value in pairs)


def raw_text(data: bytes) -> bytes:
    """Return a MessagePack text of up to 31 bytes that need not be UTF-8."""
    return bytes([0xA0 | len(data)]) + data


GENERATE = [(pack("action"), pack("generate")), (pack("prompt"), pack("a boat"))]
NOT_UTF8 = packed_map(*GENERATE, (pack("task_id"), pack("b")), (raw_text(b"\xff\xfe"), pack(1)))
ODD_METADATA: list[Any] = [{1: 2}, {b"a": 1}, [{True: 1}], b"bytes", {None: [{(1, 2): 3}]}, float("nan")]


async def answers(codec: Codec, frames: list[bytes]) -> tuple[list[Any], set[str]]:
    """Say frames to one session; return its direct answers, and the ids of the tasks that there are then."""
    async with ScriptedGateway.begin() as parts:
        async with conversation(parts, codec) as (session, sent):
            for frame in frames:
                await session.receive(frame if codec.binary else frame.decode())
            await turns()
        decode = msgspec.msgpack.decode if codec.binary else msgspec.json.decode
        rows, _ = await parts.front.page("ann", ListTasks(limit=200))
        told = [decode(frame) for frame in sent]
        return [m for m in told if "seq" not in m and m["type"] not in ("progress", "queue")], {
            row.task.task_id for row in rows
        }


@pytest.mark.parametrize(
    ("codec", "frame"),
    [
        (MSGPACK, NOT_UTF8),
        (JSON, b'{"action":"generate","prompt":"a boat","task_id":"b","\\ud800":1}'),
    ],
)
async def test_a_field_name_that_is_no_text_starts_nothing(codec: Codec, frame: bytes) -> None:
    """The name can't be told in `ignored`, so the message is refused as a whole."""
    ((refusal,), tasks) = await answers(codec, [frame])
    assert (refusal["type"], refusal["code"]) == ("error", "not_json")
    assert tasks == set()


@pytest.mark.parametrize("metadata", ODD_METADATA)
async def test_metadata_that_json_can_not_write(metadata: Any) -> None:
    """It is refused alike under a new id and under a known one."""
    known = {"action": "generate", "prompt": "a boat", "task_id": "a"}
    odd = pack({**known, "metadata": metadata})
    found, tasks = await answers(MSGPACK, [odd, pack(known), odd])
    assert [m.get("code", m["type"]) for m in found] == ["wrong_shape", "ack", "wrong_shape"]
    assert found[0]["field"] == found[2]["field"] == "metadata"
    assert tasks == {"a"}


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5)
KEYS = st.sampled_from(["action", "prompt", "task_id", "metadata", "n", "ref", "tasks", "after"]).map(pack)
ODD_KEYS = KEYS | st.binary(max_size=20).map(raw_text) | (SCALARS | st.binary(max_size=5)).map(pack)
VALUES = st.recursive(
    SCALARS.map(pack)
    | st.binary(max_size=5).map(pack)
    | st.binary(max_size=20).map(raw_text)
    | st.sampled_from(["generate", "cancel", "resume", "a", "boat", "0:0"]).map(pack),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: bytes([0x90 | len(items)]) + b"".join(items))
        | st.lists(st.tuples(ODD_KEYS, inner), max_size=3).map(lambda pairs: packed_map(*pairs))
    ),
    max_leaves=6,
)
FRAMES = st.lists(st.tuples(ODD_KEYS, VALUES), max_size=4).map(lambda pairs: packed_map(*pairs))
GENERATES = st.lists(st.tuples(ODD_KEYS, VALUES), max_size=4).map(lambda pairs: packed_map(*GENERATE, *pairs))


@settings(max_examples=300)
@given(st.lists(FRAMES | GENERATES | st.binary(max_size=30), max_size=6))
def test_every_frame_has_one_answer_and_every_task_an_ack(frames: list[bytes]) -> None:
    """Whatever the frames are made of, none of them breaks anything."""
    found, tasks = asyncio.run(answers(MSGPACK, frames))
    assert len(found) == len(frames)
    assert not [m for m in found if m.get("code") == "internal"]
    assert {m["task_id"] for m in found if m["type"] == "ack"} == tasks
