"""The specifications as an HTML page: the context for its template."""

import inspect
import re
from typing import Any

from msgspec import Struct

from xinflight.errors import leaves
from xinflight.protocol import CancelOutcome, CloseCode, State, Step, UpstreamState
from xinflight.specs.meanings import MEMBERS
from xinflight.specs.openapi import openapi
from xinflight.specs.schema import CLIENT, HTTP, SERVER, Schema, bounds, schemas, tag
from xinflight.specs.typescript import typed

__all__ = ["page_content"]

_METHODS = ("get", "post", "delete")


def page_content() -> dict[str, Any]:
    """Return the template context, by section."""
    document = openapi()
    # Including the bodies that only HTTP has; references are by name in both.
    found = {**document["components"]["schemas"], **schemas()}
    known = {name: f"#{name}" for name in found} | {"ClientMessage": "#client", "ServerMessage": "#server"}
    messages = {struct.__name__ for struct in (*CLIENT, *SERVER)}
    parts = [name for name, schema in found.items() if "properties" in schema and name not in messages]
    bodies = {struct.__name__ for struct in HTTP} | {"NewTask"}
    over_http = [name for name in parts if name in bodies or name.startswith("OpenAi")]
    groups = [
        ("client", "Requests of a client", [_message(struct, found, known) for struct in CLIENT]),
        ("server", "Messages of the server", [_message(struct, found, known) for struct in SERVER]),
        ("parts", "Parts of messages", [_struct(n, n, found, known) for n in parts if n not in over_http]),
        ("bodies", "HTTP bodies", [_struct(n, n, found, known) for n in over_http]),
    ]
    return {
        "groups": [{"id": key, "title": title, "structs": structs} for key, title, structs in groups],
        "anchors": known,
        "endpoints": _endpoints(document),
        "words": [
            {"name": enum.__name__, "about": inspect.getdoc(enum), "members": list(MEMBERS[enum].items())}
            for enum in (State, Step, CancelOutcome, UpstreamState)
        ],
        "codes": [
            {"code": leaf.code, "status": leaf.status, "retryable": leaf.retryable, "meaning": inspect.getdoc(leaf)}
            for leaf in leaves()
        ],
        "close_codes": [
            {"code": int(code), "should_reconnect": code.should_reconnect, "meaning": meaning}
            for code, meaning in MEMBERS[CloseCode].items()
        ],
    }


def _message(struct: type[Struct], found: dict[str, Schema], known: dict[str, str]) -> dict[str, Any]:
    return _struct(struct.__name__, tag(struct), found, known)


def _struct(name: str, shown: str, found: dict[str, Schema], known: dict[str, str]) -> dict[str, Any]:
    schema = found[name]
    fields = [
        {
            "name": field,
            "type": _linked(typed(shape), known),
            "required": field in schema.get("required", ()),
            "bounds": bounds(shape),
            "meaning": shape["description"],
        }
        for field, shape in schema["properties"].items()
    ]
    return {"id": name, "name": shown, "about": schema["description"], "fields": fields}


def _linked(text: str, known: dict[str, str]) -> list[tuple[str, str | None]]:
    """Split the text of a type into words, each with its link target or None."""
    return [(word, known.get(word)) for word in re.split(r"\b", text) if word]


def _endpoints(document: Schema) -> list[dict[str, Any]]:
    return [
        _endpoint(method, path, operation, item.get("parameters", []))
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    ]


def _endpoint(method: str, path: str, operation: Schema, shared: list[Schema]) -> dict[str, Any]:
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "parameters": [
            {
                "name": parameter["name"],
                "place": parameter["in"],
                "bounds": bounds(parameter["schema"]),
                "meaning": parameter["description"],
            }
            for parameter in (*shared, *operation.get("parameters", []))
        ],
        "body": next(iter(_contents(operation.get("requestBody", {})).values()), None),
        "answers": [
            {
                "status": status,
                "about": answer["description"],
                "contents": {} if int(status) >= 400 else _contents(answer),
            }
            for status, answer in operation["responses"].items()
        ],
    }


def _contents(described: Schema) -> dict[str, str]:
    """Return the name of the schema of each media type that has one by name."""
    return {
        kind: media["schema"]["$ref"].rpartition("/")[2]
        for kind, media in described.get("content", {}).items()
        if "$ref" in media.get("schema", ())
    }
