"""The structs of the protocol as JSON Schemas, from which every specification is made."""

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, get_args

import msgspec
from msgspec import Struct

import xinflight.protocol as protocol
from xinflight.errors import leaves
from xinflight.protocol import CancelOutcome, CloseCode, Request, State, Step, UpstreamState
from xinflight.specs.meanings import FIELDS, MEMBERS

__all__ = ["CLIENT", "HTTP", "SERVER", "Schema", "bounds", "first_sentence", "relinked", "schemas", "tag"]

Schema = dict[str, Any]

CLIENT: tuple[type[Struct], ...] = get_args(Request)
"""What a client says over the WebSocket."""

SERVER: tuple[type[Struct], ...] = (
    protocol.Welcome,
    protocol.Notice,
    protocol.Ack,
    protocol.Ok,
    protocol.Recovered,
    protocol.Tasks,
    protocol.Pong,
    protocol.Error,
    protocol.Accepted,
    protocol.Progress,
    protocol.Picture,
    protocol.Result,
    protocol.Cancelled,
)
"""What the server says: first what answers, then what happens to a task."""

HTTP: tuple[type[Struct], ...] = (
    protocol.CancelBody,
    protocol.NoticeBody,
    protocol.TaskPage,
    protocol.Models,
    protocol.Health,
    protocol.Problem,
    protocol.OpenAiImages,
    protocol.OpenAiCompleted,
    protocol.OpenAiModels,
    protocol.OpenAiError,
)
"""What is said over plain HTTP only."""

_ASKING: tuple[type[Struct], ...] = (*CLIENT, protocol.CancelBody, protocol.NoticeBody)
# Drawn or written for each follower on the way out: the default in the struct is never sent.
_FILLED_IN = ("message", "seq", "url")
_CODES = ("code", "retry_reason")
_ENUMS: tuple[type[Enum], ...] = (State, Step, CancelOutcome, UpstreamState)
_PREFIX = "#/$defs/"


def tag(struct: type[Struct]) -> str:
    """Return the `action` or `type` by which a message is told apart."""
    return str(struct.__struct_config__.tag)


def first_sentence(text: str) -> str:
    """Return what stands before the first full stop that ends a sentence."""
    return text.split("\n", 1)[0].split(". ", 1)[0].rstrip(".")


def schemas() -> dict[str, Schema]:
    """Return the schema of every message and of its parts by name; references begin with `#/$defs/`."""
    structs = (*CLIENT, *SERVER, *HTTP)
    _, parts = msgspec.json.schema_components(structs, ref_template=f"{_PREFIX}{{name}}")
    found = {name: _of_struct(name, part) for name, part in parts.items() if "properties" in part}
    for enum in _ENUMS:
        found[enum.__name__] = _of_enum(enum)
    found["ErrorCode"] = {
        "title": "ErrorCode",
        "description": _listing(
            "What went wrong. Others may be added.", {x.code: inspect.getdoc(x) or "" for x in leaves()}
        ),
        "type": "string",
        "examples": [leaf.code for leaf in leaves()],
    }
    found["CloseCode"] = {
        "title": "CloseCode",
        "description": _listing(
            "Why a socket is closed. Below 4400: come back after a pause; from 4400 on: give up.",
            {str(int(code)): MEMBERS[CloseCode][code] for code in CloseCode},
        ),
        "enum": [int(code) for code in CloseCode],
    }
    for name, title, members in (
        ("ClientMessage", "Anything a client says over the WebSocket.", CLIENT),
        ("ServerMessage", "Anything the server says; others may be added, and must be ignored.", SERVER),
    ):
        refs = [{"$ref": _PREFIX + struct.__name__} for struct in members]
        found[name] = {"title": name, "description": title, "oneOf": refs}
    return found


def _of_struct(name: str, schema: Schema) -> Schema:
    """Return the schema of a struct as it travels: with meanings, and what is always sent as required."""
    asking = name in {struct.__name__ for struct in _ASKING}
    required = set(schema["required"]) if "required" in schema else set()
    properties = {}
    for field, found in schema["properties"].items():
        meant = {**_in_ecma(found), "description": _meaning(name, field)}
        if "enum" in meant and len(meant["enum"]) == 1:
            meant["const"] = meant.pop("enum")[0]
        if not asking:
            if _always_sent(name, field, meant):
                required.add(field)
            meant = _as_sent(meant)
        if field in _CODES:
            meant = {"$ref": f"{_PREFIX}ErrorCode", "description": meant["description"]}
        properties[field] = meant
    if name == "Progress":
        properties["progress"] |= {"minimum": 0, "maximum": 99}
    return {
        "title": name,
        "description": inspect.cleandoc(schema["description"]),
        "type": "object",
        "properties": properties,
        "required": [field for field in properties if field in required],
    }


def _always_sent(name: str, field: str, schema: Schema) -> bool:
    """Tell whether the server never leaves out a field: msgspec leaves out defaults, but not what a function made."""
    if "default" not in schema or (field in _FILLED_IN and schema["default"] is not None):
        return True
    struct = getattr(protocol, name)
    return not struct.__struct_config__.omit_defaults


def _meaning(struct: str, field: str) -> str:
    return FIELDS.get(f"{struct}.{field}") or FIELDS[field]


def _in_ecma(found: Any) -> Any:
    r"""Return a schema with patterns as ECMA 262 writes them: its `$` is Python's `\Z`."""
    if isinstance(found, dict):
        return {
            key: value.replace(r"\Z", "$") if key == "pattern" else _in_ecma(value) for key, value in found.items()
        }
    return [_in_ecma(value) for value in found] if isinstance(found, list) else found


def _as_sent(schema: Schema) -> Schema:
    """Return the schema of a field of the server, which is left out where it is none."""
    if schema.pop("default", ...) is not None or "anyOf" not in schema:
        return schema
    (kept,) = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
    return {**kept, "description": schema["description"]}


def _of_enum(enum: type[Enum]) -> Schema:
    description = _listing(inspect.getdoc(enum) or "", {str(member.value): MEMBERS[enum][member] for member in enum})
    return {
        "title": enum.__name__,
        "description": description,
        "type": "string",
        "enum": [member.value for member in enum],
    }


def _listing(head: str, meanings: dict[str, str]) -> str:
    """Return a Markdown list of words and what they mean."""
    lines = [f"- `{word}`: {first_sentence(meaning)}" for word, meaning in meanings.items()]
    return "\n".join([head, "", *lines])


def relinked(found: Any, prefix: str, wrap: Callable[[Schema], Schema] = lambda schema: schema) -> Any:
    """Return schemas whose references begin with another prefix; `wrap` gets each that has one."""
    if isinstance(found, dict):
        again = {key: relinked(value, prefix, wrap) for key, value in found.items()}
        if isinstance(found.get("$ref"), str):
            again["$ref"] = prefix + found["$ref"].removeprefix(_PREFIX)
            return wrap(again)
        return again
    return [relinked(value, prefix, wrap) for value in found] if isinstance(found, list) else found


def bounds(schema: Schema) -> str:
    """Return the bounds of a field as text: empty where there are none."""
    told = []
    for choice in schema.get("anyOf", [schema]):
        if choice.get("type") == "integer":
            told.append("integer")
        match choice:
            case {"minimum": low, "maximum": high}:
                told.append(f"{low} to {high}")
            case {"exclusiveMinimum": low, "maximum": high}:
                told.append(f"more than {low}, up to {high}")
            case {"minLength": low, "maxLength": high}:
                told.append(f"{low} to {high} characters")
            case {"maxLength": high}:
                told.append(f"up to {high} characters")
            case {"pattern": pattern}:
                told.append(f"matches `{pattern}`")
            case {"maxItems": high}:
                told.append(f"up to {high} entries")
    if schema.get("default") not in (None, []):
        told.append(f"default {schema['default']}")
    return "; ".join(told)
