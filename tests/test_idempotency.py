"""When the same message comes again: the same content is the same task, also for a later version."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clients import Json, painter
from conftest import Front
from xinflight.model import digest, has_content
from xinflight.protocol import JSON, Generate

GOLDEN = Path(__file__).parent / "golden" / "schema-1.db"

EVERYTHING: dict[str, Any] = {
    "prompt": "a red boat",
    "negative_prompt": "fog",
    "n": 2,
    "size": "64x64",
    "steps": 2,
    "seed": 7,
    "guidance_scale": 1.5,
    "timeout": 600.0,
    "priority": 3,
    "metadata": {"b": [1, "ü", None, 2.5], "a": {"y": 1, "x": True}},
    "lang": "zh-CN",
}
SENT: dict[str, dict[str, Any]] = {
    "done": EVERYTHING,
    "plain": {"prompt": "a boat", "size": "64x64"},
    "inline": {
        "prompt": "a boat",
        "size": "64x64",
        "steps": 2,
        "response_format": "b64_json",
        "on_disconnect": "continue",
        "model": "demo-painter",
    },
    "gone": {"prompt": "a slow boat", "steps": 200},
}
"""What was sent to the server that wrote the database of schema 1."""

PINNED = [
    ({}, "2:2afb9b83f9314e5d029766197f539792"),
    ({"prompt": "a boat"}, "2:277bff4e591aa3b314e3bacd17620fc5"),
    (EVERYTHING, "2:426063949b0a58ca192dcc08b6f91ccf"),
    (
        {"prompt": "图", "seed": -1, "on_disconnect": "cancel", "model": "m", "response_format": "b64_json"},
        "2:c9f60f2e37e48d2364971fc326b306bb",
    ),
]
"""Digests as databases have them. One that changes would refuse every message that is sent again."""


class Later(Generate, tag="generate", kw_only=True):
    """What a later version takes."""

    colour: str | None = None
    strength: float = 0.5


def stored() -> dict[str, str]:
    """Return the digests of the database of schema 1."""
    with closing(sqlite3.connect(f"file:{GOLDEN}?mode=ro&immutable=1", uri=True)) as connection:
        bodies = dict(connection.execute("SELECT task_id, body FROM tasks").fetchall())
    return {task_id: _digest_of(body) for task_id, body in bodies.items()}


def _digest_of(body: bytes) -> str:
    found: str = msgspec.msgpack.decode(body)["digest"]
    return found


@pytest.mark.parametrize(("fields", "pinned"), PINNED)
def test_digests_stay_what_they_are(fields: dict[str, Any], pinned: str) -> None:
    assert digest(Generate(**fields)) == pinned


@pytest.mark.parametrize("task_id", SENT)
def test_digests_of_the_first_form_are_known(task_id: str) -> None:
    old = stored()[task_id]
    assert has_content(old, Generate(**SENT[task_id]))
    assert has_content(old, Generate(**SENT[task_id], ref="1", task_id=task_id))
    assert not has_content(old, Generate(**{**SENT[task_id], "prompt": "another"}))


@pytest.mark.parametrize("fields", SENT.values())
def test_a_field_that_is_added_changes_nothing_until_it_is_used(fields: dict[str, Any]) -> None:
    now = digest(Generate(**fields))
    assert has_content(now, Later(**fields))
    assert has_content(now, Later(**fields, colour=None, strength=0.5))
    assert not has_content(now, Later(**fields, colour="red"))
    assert not has_content(now, Later(**fields, strength=0.6))


@pytest.mark.parametrize("task_id", SENT)
def test_a_field_that_is_added_is_no_content_of_the_first_form(task_id: str) -> None:
    old = stored()[task_id]
    assert has_content(old, Later(**SENT[task_id]))
    assert not has_content(old, Later(**SENT[task_id], colour="red"))


def test_a_default_that_is_said_is_the_same_content() -> None:
    said = JSON.decode_generate(b'{"action":"generate","prompt":"x","n":1,"priority":0,"metadata":null,"lang":"en"}')
    assert digest(said) == digest(Generate(prompt="x"))
    assert digest(Generate(prompt="x", n=2)) != digest(Generate(prompt="x"))
    assert digest(Generate(prompt="x", metadata={"a": 1, "b": 2})) == digest(
        Generate(prompt="x", metadata={"b": 2, "a": 1})
    )


async def test_an_upgraded_server_answers_what_was_sent_before(front: Front, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copyfile(GOLDEN, tmp_path / "data" / "xinflight.db")
    engine, client = await front(painter(uid="demo-painter"))

    async def again(task_id: str, **changed: Any) -> Json:
        return await client.ask(action="generate", task_id=task_id, **{**SENT[task_id], **changed})

    states = {task_id: (await again(task_id)).get("state") for task_id in SENT}
    assert states == {"done": "completed", "plain": "completed", "inline": "completed", "gone": "cancelled"}
    assert (await again("plain", prompt="another"))["code"] == "task_id_conflict"
    assert set(engine.prompts) <= {"a slow boat"}, "nothing that had ended was made again"
