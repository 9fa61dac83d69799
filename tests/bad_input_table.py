"""What clients get wrong, as data: one table for every transport that can express the mistake.

A case is its content, and the code, field and limit of the refusal; a limit of None is not compared.
"""

from typing import Any, NamedTuple

Json = dict[str, Any]

ACTIONS = (
    "generate, chat, cancel, move, pause, unpause, resume, follow, unfollow, list, delete, mark, restore, prefer, "
    "preset, ping, authenticate"
)
TASK_ID_FORM = GROUP_FORM = "1 to 64 of A-Z a-z 0-9 . _ : ~ -"
ONE_OF_THREE = "either task_id, group or scope"
SIZE_FORM = "64 to 2048, multiples of 16"
FRAME = 64 * 1024


class Case(NamedTuple):
    """Fields of a message without its action."""

    fields: Json
    code: str
    field: str | None = None
    limit: str | None = None


class Raw(NamedTuple):
    """A frame or body as it is."""

    data: str
    code: str
    field: str | None = None
    limit: str | None = None


def prompted(code: str, field: str, limit: str | None = None, /, **fields: Any) -> Case:
    """Return a `generate` that is right but for what is given."""
    return Case({"prompt": "a boat", **fields}, code, field, limit)


NOT_JSON = [
    Raw("", "not_json"),
    Raw("a red boat", "not_json"),
    Raw('{"action":"generate","prompt":"boat"', "not_json"),
    Raw('{"action":"generate","prompt":"boat"}}', "not_json"),
    Raw('\ufeff{"action":"generate","prompt":"boat"}', "not_json"),
    Raw('{"action":"generate","prompt":"\\ud800"}', "not_json"),
    Raw('{"action":"generate","prompt":"boat","x":' + "[" * 30_000 + "]" * 30_000 + "}", "not_json"),
    Raw('{"action":"generate","prompt":"boat","x":NaN}', "not_json"),
]
"""No JSON, whatever it is sent to; the action is there for the WebSocket, and means nothing to others."""

NO_OBJECT = [
    Raw("[]", "wrong_shape"),
    Raw("null", "wrong_shape"),
    Raw('"generate"', "wrong_shape"),
    Raw("[" * 5000 + "]" * 5000, "wrong_shape"),
]

GENERATE = [
    prompted("wrong_shape", "prompt", prompt=7),
    prompted("wrong_shape", "prompt", prompt=["a", "b"]),
    prompted("wrong_shape", "n", n="two"),
    prompted("wrong_shape", "n", "Expected `int`, got `float`", n=1.5),
    prompted("wrong_shape", "seed", seed=1.5),
    prompted("wrong_shape", "size", size=64),
    prompted("wrong_shape", "on_disconnect", "continue, cancel", on_disconnect="maybe"),
    prompted("wrong_shape", "on_disconnect", on_disconnect="$.prompt"),
    prompted("wrong_shape", "on_disconnect", on_disconnect="`action`"),
    prompted("wrong_shape", "response_format", "url, b64_json", response_format="png"),
    prompted("out_of_bounds", "n", ">= 1", n=0),
    prompted("out_of_bounds", "n", "<= 8", n=9),
    prompted("out_of_bounds", "n", "<= 64", n=65),
    prompted("out_of_bounds", "size", "WIDTHxHEIGHT", size="banana"),
    prompted("out_of_bounds", "size", "WIDTHxHEIGHT", size="64"),
    prompted("out_of_bounds", "size", "WIDTHxHEIGHT", size="0x64"),
    prompted("out_of_bounds", "size", "WIDTHxHEIGHT", size="-64x64"),
    prompted("out_of_bounds", "size", SIZE_FORM, size="48x64"),
    prompted("out_of_bounds", "size", SIZE_FORM, size="64x72"),
    prompted("out_of_bounds", "size", SIZE_FORM, size="64x2064"),
    prompted("out_of_bounds", "steps", ">= 1", steps=0),
    prompted("out_of_bounds", "steps", "<= 200", steps=201),
    prompted("out_of_bounds", "seed", ">= -1", seed=-2),
    prompted("out_of_bounds", "seed", f"<= {2**53 - 65}", seed=2**53),
    prompted("out_of_bounds", "guidance_scale", ">= 0.0", guidance_scale=-0.1),
    prompted("out_of_bounds", "guidance_scale", "<= 30", guidance_scale=30.5),
    prompted("out_of_bounds", "guidance_scale", "<= 100.0", guidance_scale=1e300),
    prompted("out_of_bounds", "timeout", "> 0.0", timeout=0),
    prompted("out_of_bounds", "timeout", "<= 86400", timeout=86401),
    prompted("out_of_bounds", "priority", "<= 100", priority=101),
    prompted("out_of_bounds", "model", ">= 1", model=""),
    prompted("out_of_bounds", "prompt", "5000 characters", prompt="x" * 5001),
    prompted("out_of_bounds", "negative_prompt", "5000 characters", negative_prompt="x" * 5001),
    prompted("out_of_bounds", "metadata", "1024 bytes", metadata="x" * 1023),
    prompted("out_of_bounds", "metadata", "1024 bytes", metadata={"a": "图" * 400}),
    prompted("out_of_bounds", "ref", "<= 64", ref="x" * 65),
    Case({"n": 1}, "prompt_missing", "prompt", "1 character or more"),
    prompted("prompt_missing", "prompt", "1 character or more", prompt=""),
    prompted("prompt_missing", "prompt", "1 character or more", prompt=" \n\t"),
    prompted("bad_task_id", "task_id", TASK_ID_FORM, task_id=""),
    prompted("bad_task_id", "task_id", TASK_ID_FORM, task_id="a b"),
    prompted("bad_task_id", "task_id", TASK_ID_FORM, task_id="a\n"),
    prompted("bad_task_id", "task_id", TASK_ID_FORM, task_id="a/../b"),
    prompted("bad_task_id", "task_id", TASK_ID_FORM, task_id="x" * 65),
    prompted("bad_task_id", "task_id", TASK_ID_FORM, task_id="图"),
    prompted("lora_tag", "prompt", prompt="boat <lora:x:1>"),
    prompted("lora_tag", "prompt", prompt="boat <LoRA:x:1>"),
    prompted("lora_tag", "negative_prompt", negative_prompt="<lora:x:1>"),
]

MODELS = [
    prompted("model_not_found", "model", "painter", model="nobody"),
    prompted("model_unsuitable", "model", model="reader"),
]
"""Where there are two models, `painter` and one that can't make images from text, `reader`."""

LARGE_INTEGERS = [
    prompted("out_of_bounds", "metadata", "integers of at most 64 bits", metadata=2**70),
    prompted("out_of_bounds", "metadata", "integers of at most 64 bits", metadata={"a": [-(2**64)]}),
    prompted("out_of_bounds", "seed", f"<= {2**53 - 65}", seed=2**70),
]
"""JSON can write them, MessagePack can't."""

CANCEL = [
    Case({"task_id": "<b>"}, "bad_task_id", "task_id", TASK_ID_FORM),
    Case({"task_id": "x" * 65}, "bad_task_id", "task_id", TASK_ID_FORM),
    Case({"task_id": "a", "index": -1}, "out_of_bounds", "index", ">= 0"),
    Case({"task_id": "a", "index": 64}, "out_of_bounds", "index", "<= 63"),
    Case({"task_id": "a", "index": "1"}, "wrong_shape", "index"),
]

DELETE = [
    Case({"task_id": "<b>"}, "bad_task_id", "task_id", TASK_ID_FORM),
    Case({"task_id": "x" * 65}, "bad_task_id", "task_id", TASK_ID_FORM),
]

LIST = [
    Case({"limit": "two"}, "wrong_shape", "limit", "Expected `int`, got `str`"),
    Case({"limit": 0}, "out_of_bounds", "limit", ">= 1"),
    Case({"limit": 201}, "out_of_bounds", "limit", "<= 200"),
    Case(
        {"state": "gone"}, "wrong_shape", "state", "unfinished, completed, failed, cancelled, expired, unsuccessful"
    ),
    Case({"cursor": "first"}, "out_of_bounds", "cursor", "the `next` of a page"),
    Case({"cursor": "-1"}, "out_of_bounds", "cursor", "the `next` of a page"),
    Case({"cursor": "1" * 17}, "out_of_bounds", "cursor", "the `next` of a page"),
    Case({"group": "<b>"}, "out_of_bounds", "group", GROUP_FORM),
    Case({"group": ""}, "out_of_bounds", "group", GROUP_FORM),
    Case({"group": "g" * 65}, "out_of_bounds", "group", GROUP_FORM),
]

AFTER = [
    Case({"after": after}, "out_of_bounds", "after", "epoch:seq")
    for after in ("7", "abc", "abc:", ":7", "abc:-7", "abc: 7", "abc:1_0", "a:b:7", "abc:٧", "abc:" + "7" * 17)
]

WEBSOCKET_ONLY = [
    Raw("{}", "unknown_action", "action", ACTIONS),
    Raw('{"action":"paint"}', "unknown_action", "action", ACTIONS),
    Raw('{"action":5}', "unknown_action", "action", ACTIONS),
    Raw('{"prompt":"a boat"}', "unknown_action", "action", ACTIONS),
    Raw('{"action":"cancel"}', "wrong_shape", "task_id", ONE_OF_THREE),
    Raw('{"action":"cancel","task_id":"a","scope":"all"}', "wrong_shape", "task_id", ONE_OF_THREE),
    Raw('{"action":"cancel","task_id":"a","group":"g"}', "wrong_shape", "task_id", ONE_OF_THREE),
    Raw('{"action":"cancel","group":"g","scope":"all"}', "wrong_shape", "task_id", ONE_OF_THREE),
    Raw('{"action":"cancel","group":"g","index":1}', "out_of_bounds", "index", "only with task_id"),
    Raw('{"action":"cancel","group":"<b>"}', "out_of_bounds", "group", GROUP_FORM),
    Raw('{"action":"cancel","group":""}', "out_of_bounds", "group", GROUP_FORM),
    Raw('{"action":"pause"}', "wrong_shape", "task_id", "either task_id or scope"),
    Raw('{"action":"cancel","scope":"some"}', "wrong_shape", "scope"),
    Raw('{"action":"cancel","task_id":"a","except":"b"}', "wrong_shape", "except"),
    Raw('{"action":"cancel","scope":"all","index":1}', "out_of_bounds", "index", "only with task_id"),
    Raw('{"action":"cancel","scope":"all","except":["a","<b>"]}', "bad_task_id", "except", TASK_ID_FORM),
    Raw('{"action":"ping","nonce":"' + "x" * 65 + '"}', "out_of_bounds", "nonce", "<= 64"),
]
"""Mistakes that only a message with an action can hold."""
