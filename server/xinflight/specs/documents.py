"""All specification documents by file name, generated from the structs of the protocol."""

import msgspec

from xinflight.specs.asyncapi import asyncapi
from xinflight.specs.openapi import openapi
from xinflight.specs.schema import Schema, schemas
from xinflight.specs.typescript import typescript

__all__ = ["documents", "messages_schema"]


def messages_schema() -> Schema:
    """Return one JSON Schema (2020-12) of every message of the WebSocket, with its parts in `$defs`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Messages of xinflight",
        "description": "Any WebSocket message, from either side. `$defs` contains each by its name.",
        "anyOf": [{"$ref": "#/$defs/ClientMessage"}, {"$ref": "#/$defs/ServerMessage"}],
        "$defs": schemas(),
    }


def documents() -> dict[str, bytes]:
    """Return every specification by the name of its file."""
    return {
        "asyncapi.json": _formatted(asyncapi()),
        "messages.schema.json": _formatted(messages_schema()),
        "openapi.json": _formatted(openapi()),
        "xinflight.d.ts": typescript().encode(),
    }


def _formatted(document: Schema) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
