"""The WebSocket as AsyncAPI 3 (asyncapi.com/docs/reference/specification/v3.0.0)."""

import inspect

from msgspec import Struct

from xinflight.errors import leaves
from xinflight.protocol import PROTOCOL_VERSION, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK, CloseCode
from xinflight.specs.meanings import MEMBERS
from xinflight.specs.schema import CLIENT, HTTP, SERVER, Schema, first_sentence, relinked, schemas, tag

__all__ = ["asyncapi"]

_CHANNEL = "#/channels/generate"
_ANSWERS = {
    "generate": "ack",
    "chat": "ack",
    "cancel": "ok",
    "move": "ok",
    "pause": "ok",
    "unpause": "ok",
    "resume": "recovered",
    "follow": "recovered",
    "unfollow": "ok",
    "list": "tasks",
    "delete": "ok",
    "mark": "ok",
    "restore": "ok",
    "prefer": "preferences",
    "preset": "presets",
    "ping": "pong",
    "authenticate": "ok",
}
"""The answer to each action, unless it is refused. `authenticate` as the first message is followed by `welcome`."""

_ABOUT = f"""\
All messages use one WebSocket. A client may offer the sub-protocol `{SUBPROTOCOL_JSON}` (JSON in text frames, the \
default) or `{SUBPROTOCOL_MSGPACK}` (the same messages as MessagePack maps in binary frames, with `b64_json` as \
bytes). A client must ignore unknown types and fields. What types can't express (order, resuming, crossing cancels) \
is described in the project's `docs/protocol.md`.

Operations are named from the perspective of the server: it receives actions and sends events."""


def asyncapi() -> Schema:
    """Return the AsyncAPI document. It is the same for every server: bounds are those of the protocol."""
    messages = {tag(struct): {"$ref": f"#/components/messages/{tag(struct)}"} for struct in (*CLIENT, *SERVER)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "xinflight over one WebSocket",
            "version": str(PROTOCOL_VERSION),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "here": {
                "host": "{host}",
                "protocol": "ws",
                "description": "`wss` behind a proxy with TLS. The path is relative to the prefix of the gateway.",
                "variables": {"host": {"default": "127.0.0.1:8000"}},
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            }
        },
        "channels": {"generate": _channel(messages)},
        "operations": {**{tag(struct): _received(tag(struct)) for struct in CLIENT}, "events": _sent()},
        "components": {
            "messages": {tag(struct): _message(struct) for struct in (*CLIENT, *SERVER)},
            "schemas": relinked(_parts(), "#/components/schemas/", _wrapped),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Only if the server requires a token. Browsers use a cookie.",
                }
            },
        },
        "x-close-codes": [
            {"code": int(code), "when": meaning, "client": "reconnect" if code.should_reconnect else "give up"}
            for code, meaning in MEMBERS[CloseCode].items()
        ],
        "x-error-codes": [
            {"code": leaf.code, "retryable": leaf.retryable, "meaning": first_sentence(inspect.getdoc(leaf) or "")}
            for leaf in leaves()
        ],
    }


def _channel(messages: dict[str, Schema]) -> Schema:
    lang = {
        "type": "string",
        "description": "Language of the texts for people. Takes precedence over Accept-Language.",
    }
    offered = {
        "type": "string",
        "description": "Offered sub-protocols.",
        "examples": [SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK],
    }
    return {
        "address": "/ws/generate",
        "title": "WebSocket",
        "messages": messages,
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {"type": "object", "properties": {"lang": lang}},
                "headers": {"type": "object", "properties": {"Sec-WebSocket-Protocol": offered}},
            }
        },
    }


def _received(action: str) -> Schema:
    return {
        "action": "receive",
        "channel": {"$ref": _CHANNEL},
        "messages": [_on_channel(action)],
        "reply": {"channel": {"$ref": _CHANNEL}, "messages": [_on_channel(_ANSWERS[action]), _on_channel("error")]},
    }


def _sent() -> Schema:
    """Return the operation for the messages that the server sends unrequested."""
    answers = {*_ANSWERS.values()}
    return {
        "action": "send",
        "channel": {"$ref": _CHANNEL},
        "summary": "The welcome, notices, and events of the tasks that a connection is subscribed to",
        "messages": [_on_channel(tag(struct)) for struct in SERVER if tag(struct) not in answers],
    }


def _on_channel(name: str) -> Schema:
    return {"$ref": f"{_CHANNEL}/messages/{name}"}


def _message(struct: type[Struct]) -> Schema:
    return {
        "name": tag(struct),
        "title": struct.__name__,
        "summary": first_sentence(inspect.getdoc(struct) or ""),
        "payload": {"$ref": f"#/components/schemas/{struct.__name__}"},
    }


def _parts() -> dict[str, Schema]:
    """Return the schemas of WebSocket messages and their parts, without those of HTTP and the unions."""
    other = {struct.__name__ for struct in HTTP} | {"ClientMessage", "ServerMessage"}
    return {name: schema for name, schema in schemas().items() if name not in other and not name.startswith("OpenAi")}


def _wrapped(schema: Schema) -> Schema:
    """Wrap a reference in `allOf`, since AsyncAPI ignores keywords beside `$ref`."""
    if len(schema) == 1:
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {"allOf": [{"$ref": schema["$ref"]}], **beside}
