"""The parts of an OpenAPI document: operations, their answers and refusals, parameters."""

from collections import defaultdict
from typing import Any

from xinflight.errors import Forbidden, Internal, StorageUnavailable, Unauthorised, XinflightError
from xinflight.specs.schema import Schema, schemas

__all__ = [
    "JSON",
    "NAMED",
    "NDJSON",
    "PREFIX",
    "SSE",
    "STREAMS",
    "Errors",
    "answer",
    "events",
    "header",
    "operation",
    "parameters",
    "path",
]

Errors = tuple[type[XinflightError], ...]

PREFIX = "#/components/schemas/"
JSON = "application/json"
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
STREAMS = {SSE: "ServerMessage", NDJSON: "ServerMessage"}
_PROBLEM = ("application/problem+json", "Problem")
_OPENAI_PROBLEM = (JSON, "OpenAiError")
NAMED: Schema = {
    "name": "named",
    "in": "query",
    "description": "If it is there, SSE events carry their type as `event:`.",
    "allowEmptyValue": True,
    "schema": {"type": "string"},
}

_ANY: Errors = (Unauthorised, Forbidden, StorageUnavailable, Internal)


def operation(
    name: str,
    summary: str,
    answers: dict[str, Any],
    *,
    errors: Errors,
    parameters: list[Schema] | None = None,
    body: str | None = None,
    optional: bool = False,
    about: str = "tasks",
) -> Schema:
    """Return one operation: its answers, and a refusal for each status of `errors`. `body` names its schema."""
    refused = _refusals((*_ANY, *errors), _OPENAI_PROBLEM if about == "openai" else _PROBLEM)
    found: Schema = {"operationId": name, "summary": summary, "tags": [about]}
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": not optional, "content": {JSON: {"schema": _ref(body)}}}
    found["responses"] = {**answers, **refused}
    return found


def _refusals(errors: Errors, shape: tuple[str, str]) -> dict[str, Schema]:
    """Return one answer for each status, its codes named."""
    codes = defaultdict(list)
    for error in sorted(set(errors), key=lambda error: (error.status, error.code)):
        codes[error.status].append(error.code)
    kind, name = shape
    return {
        str(status): {
            "description": ", ".join(f"`{code}`" for code in found),
            "content": {kind: {"schema": _ref(name)}},
        }
        for status, found in codes.items()
    }


def _ref(name: str) -> Schema:
    return {"$ref": PREFIX + name}


def answer(text: str, content: dict[str, str], headers: dict[str, str] | None = None) -> Schema:
    """Return an answer with a schema for each media type, and the meanings of its headers."""
    found: Schema = {"description": text}
    if headers:
        found["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()
        }
    if content:
        found["content"] = {kind: {"schema": _ref(name)} for kind, name in content.items()}
    return found


def events(text: str) -> Schema:
    """Return an answer that is a stream of events."""
    told = f"{text} Each event, and each line, is a message of the WebSocket; `id:` is its cursor."
    return answer(told, STREAMS, {"Xinflight-Cursor": "Position at which the answer began."})


def header(name: str, text: str) -> Schema:
    """Return a header of a request as a parameter."""
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}


def parameters(struct: str, *names: str) -> list[Schema]:
    """Return fields of a message as parameters of a query."""
    fields = schemas()[struct]["properties"]
    found = []
    for name in names:
        schema = dict(fields[name])
        text = schema.pop("description")
        if "anyOf" in schema:
            schema = schema["anyOf"][0]
        found.append({"name": name, "in": "query", "description": text, "schema": schema})
    return found


def path(*names: str) -> list[Schema]:
    """Return parameters of a path, with the bounds that they have as fields."""
    task_id = schemas()["Delete"]["properties"]["task_id"]["pattern"]
    shapes: dict[str, tuple[str, Schema]] = {
        "task_id": ("Which task.", {"type": "string", "pattern": task_id}),
        "index": ("Which picture of the task.", {"type": "integer", "minimum": 0, "maximum": 63}),
    }
    return [
        {"name": name, "in": "path", "required": True, "description": text, "schema": schema}
        for name, (text, schema) in ((name, shapes[name]) for name in names)
    ]
