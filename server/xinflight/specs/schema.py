"""JSON Schemas of the protocol's structs, from which every specification is generated."""

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, get_args

import msgspec
from msgspec import Struct

import xinflight.protocol as protocol
from xinflight.errors import leaves
from xinflight.protocol import CancelOutcome, CloseCode, Request, State, Step, UpstreamState
from xinflight.specs.meanings import MEMBERS

__all__ = [
    "CLIENT",
    "HTTP",
    "SERVER",
    "Schema",
    "bounds",
    "first_sentence",
    "query_schemas",
    "relinked",
    "schemas",
    "tag",
]

Schema = dict[str, Any]

CLIENT: tuple[type[Struct], ...] = get_args(Request)
"""Requests of a client over the WebSocket."""

SERVER: tuple[type[Struct], ...] = (
    protocol.Welcome,
    protocol.Notice,
    protocol.Ack,
    protocol.Ok,
    protocol.Recovered,
    protocol.Tasks,
    protocol.PreferencesMessage,
    protocol.PresetsMessage,
    protocol.Pong,
    protocol.Error,
    protocol.Accepted,
    protocol.Progress,
    protocol.Queue,
    protocol.Delta,
    protocol.OutputEvent,
    protocol.Marked,
    protocol.Result,
    protocol.Cancelled,
)
"""Messages of the server over the WebSocket: first answers, then events."""

HTTP: tuple[type[Struct], ...] = (
    protocol.CancelBody,
    protocol.MoveBody,
    protocol.MarkBody,
    protocol.TagsInfo,
    protocol.PreferencesInfo,
    protocol.PresetsInfo,
    protocol.NoticeBody,
    protocol.ShareBody,
    protocol.NewShare,
    protocol.SharePage,
    protocol.UploadInfo,
    protocol.UploadPage,
    protocol.WholeQueue,
    protocol.OwnerPage,
    protocol.ServerStatus,
    protocol.ChangedTasks,
    protocol.QueueInfo,
    protocol.TaskPage,
    protocol.ChatContent,
    protocol.Models,
    protocol.AccountInfo,
    protocol.UsageReport,
    protocol.ErasedInfo,
    protocol.Health,
    protocol.Problem,
    protocol.OpenAiImages,
    protocol.OpenAiCompleted,
    protocol.OpenAiEdited,
    protocol.OpenAiNewChat,
    protocol.OpenAiChatAnswer,
    protocol.OpenAiChatChunk,
    protocol.OpenAiModels,
    protocol.OpenAiError,
)
"""Bodies of requests and responses that only HTTP has."""

_QUERIES: tuple[type[Struct], ...] = (
    protocol.ListShares,
    protocol.ListTags,
    protocol.ListUploads,
    protocol.ListQueue,
    protocol.ListOwners,
)

_REQUESTS: tuple[type[Struct], ...] = (
    *CLIENT,
    protocol.CancelBody,
    protocol.MoveBody,
    protocol.MarkBody,
    protocol.PreferencesChange,
    protocol.PresetsChange,
    protocol.NoticeBody,
    protocol.ShareBody,
    protocol.ChatContent,
    protocol.OpenAiNewChat,
    protocol.OpenAiResponseFormat,
    protocol.OpenAiStreamOptions,
    *_QUERIES,
)
# Filled in when an event is stored or sent: the default in the struct is never sent.
_FILLED_IN = ("message", "seq", "url")
_CODES = ("code", "retry_reason")
# Tags are not fields of a struct, so they have no description of their own.
_TAGS = {"action": "Kind of the request.", "type": "Kind of the message."}
_ENUMS: tuple[type[Enum], ...] = (State, Step, CancelOutcome, UpstreamState)
_PREFIX = "#/$defs/"


def tag(struct: type[Struct]) -> str:
    """Return the `action` or `type` of a message."""
    return str(struct.__struct_config__.tag)


def first_sentence(text: str) -> str:
    """Return the first sentence, without its full stop."""
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
            "Error codes. More may be added.", {x.code: inspect.getdoc(x) or "" for x in leaves()}
        ),
        "type": "string",
        "examples": [leaf.code for leaf in leaves()],
    }
    found["CloseCode"] = {
        "title": "CloseCode",
        "description": _listing(
            "WebSocket close codes. Below 4400: reconnect after a pause. From 4400: don't reconnect.",
            {str(int(code)): MEMBERS[CloseCode][code] for code in CloseCode},
        ),
        "enum": [int(code) for code in CloseCode],
    }
    for name, title, members in (
        ("ClientMessage", "Any request of a client over the WebSocket.", CLIENT),
        (
            "ServerMessage",
            "Any message of the server. More may be added, and clients must ignore unknown ones.",
            SERVER,
        ),
    ):
        refs = [{"$ref": _PREFIX + struct.__name__} for struct in members]
        found[name] = {"title": name, "description": title, "oneOf": refs}
    return found


def query_schemas() -> dict[str, Schema]:
    """Return the schema of every query string that is no message by name."""
    _, parts = msgspec.json.schema_components(_QUERIES, ref_template=f"{_PREFIX}{{name}}")
    return {name: _of_struct(name, part) for name, part in parts.items()}


def _of_struct(name: str, schema: Schema) -> Schema:
    """Return the schema of a struct as it is sent: fields that are always sent are required."""
    is_request = name in {struct.__name__ for struct in _REQUESTS}
    required = set(schema["required"]) if "required" in schema else set()
    properties = {}
    for field, found in schema["properties"].items():
        described = {**_in_ecma(found)}
        if field in _TAGS:
            described.setdefault("description", _TAGS[field])
        if "enum" in described and len(described["enum"]) == 1:
            described["const"] = described.pop("enum")[0]
        if not is_request:
            if _always_sent(name, field, described):
                required.add(field)
            described = _as_sent(described)
        if field in _CODES:
            described = {"$ref": f"{_PREFIX}ErrorCode", "description": described["description"]}
        properties[field] = described
    return {
        "title": name,
        "description": inspect.cleandoc(schema["description"]),
        "type": "object",
        "properties": properties,
        "required": [field for field in properties if field in required],
    }


def _always_sent(name: str, field: str, schema: Schema) -> bool:
    """Return whether the server always sends a field. msgspec omits defaults, except those of a `default_factory`."""
    if "default" not in schema or (field in _FILLED_IN and schema["default"] is not None):
        return True
    struct = getattr(protocol, name)
    return not struct.__struct_config__.omit_defaults


def _in_ecma(found: Any) -> Any:
    r"""Return a schema with patterns in the syntax of ECMA 262, whose `$` is Python's `\Z`.

    Discriminators are left out: OpenAPI and AsyncAPI write them differently, and the constants of the tags suffice.
    """
    if isinstance(found, dict):
        return {
            key: value.replace(r"\Z", "$") if key == "pattern" else _in_ecma(value)
            for key, value in found.items()
            if key != "discriminator"
        }
    return [_in_ecma(value) for value in found] if isinstance(found, list) else found


def _as_sent(schema: Schema) -> Schema:
    """Return the schema of a field of a server message, which is omitted if it is None."""
    if schema.pop("default", ...) is not None or "anyOf" not in schema:
        return schema
    kept = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
    return {**schema, "anyOf": kept} if len(kept) > 1 else {**kept[0], "description": schema["description"]}


def _of_enum(enum: type[Enum]) -> Schema:
    description = _listing(inspect.getdoc(enum) or "", {str(member.value): MEMBERS[enum][member] for member in enum})
    return {
        "title": enum.__name__,
        "description": description,
        "type": "string",
        "enum": [member.value for member in enum],
    }


def _listing(head: str, meanings: dict[str, str]) -> str:
    """Return a Markdown list of values and their descriptions."""
    lines = [f"- `{word}`: {first_sentence(meaning)}" for word, meaning in meanings.items()]
    return "\n".join([head, "", *lines])


def relinked(found: Any, prefix: str, wrap: Callable[[Schema], Schema] = lambda schema: schema) -> Any:
    """Return schemas with another prefix for references; `wrap` is applied to each schema that has a reference."""
    if isinstance(found, dict):
        again = {key: relinked(value, prefix, wrap) for key, value in found.items()}
        if isinstance(found.get("$ref"), str):
            again["$ref"] = prefix + found["$ref"].removeprefix(_PREFIX)
            return wrap(again)
        return again
    return [relinked(value, prefix, wrap) for value in found] if isinstance(found, list) else found


def bounds(schema: Schema) -> str:
    """Return the bounds of a field as text, empty if there are none."""
    texts = []
    for choice in schema.get("anyOf", [schema]):
        if choice.get("type") == "integer":
            texts.append("integer")
        match choice:
            case {"minimum": low, "maximum": high}:
                texts.append(f"{low} to {high}")
            case {"exclusiveMinimum": low, "maximum": high}:
                texts.append(f"more than {low}, up to {high}")
            case {"minLength": low, "maxLength": high}:
                texts.append(f"{low} to {high} characters")
            case {"maxLength": high}:
                texts.append(f"up to {high} characters")
            case {"pattern": pattern}:
                texts.append(f"matches `{pattern}`")
            case {"maxItems": high}:
                texts.append(f"up to {high} entries")
    if schema.get("default") not in (None, []):
        texts.append(f"default {schema['default']}")
    return "; ".join(texts)
