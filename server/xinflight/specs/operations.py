"""Parts of the OpenAPI document: operations, responses, errors, parameters."""

from collections import defaultdict
from typing import Any

from xinflight.errors import (
    BadTaskId,
    BodyTimeout,
    Forbidden,
    FrameTooLarge,
    Internal,
    LoraTag,
    ModelNotFound,
    ModelUnsuitable,
    NotFound,
    NotJson,
    OutOfBounds,
    PromptMissing,
    ShuttingDown,
    StorageUnavailable,
    TaskIdConflict,
    TooManyConnections,
    TooManyTasks,
    Unauthorised,
    UnsupportedType,
    UpstreamAuth,
    WrongShape,
    XinflightError,
)
from xinflight.specs.schema import Schema, query_schemas, schemas

__all__ = [
    "BODY",
    "CSV",
    "JSON",
    "NAMED",
    "NDJSON",
    "ONE_TASK",
    "PREFIX",
    "SSE",
    "STREAMS",
    "SUBMIT",
    "ZIP",
    "Errors",
    "answer",
    "events",
    "header",
    "operation",
    "parameters",
    "path",
    "query",
]

Errors = tuple[type[XinflightError], ...]

BODY: Errors = (NotJson, WrongShape, OutOfBounds, BodyTimeout, FrameTooLarge, UnsupportedType)
"""What may be wrong with a body."""
ONE_TASK: Errors = (BadTaskId, NotFound)
"""What may be wrong with the id of a task."""
SUBMIT: Errors = (
    *BODY,
    PromptMissing,
    BadTaskId,
    LoraTag,
    TaskIdConflict,
    TooManyTasks,
    TooManyConnections,
    ModelNotFound,
    ModelUnsuitable,
    UpstreamAuth,
    ShuttingDown,
)
"""Why a new task may be refused."""

PREFIX = "#/components/schemas/"
JSON = "application/json"
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ZIP = "application/zip"
STREAMS = {SSE: "ServerMessage", NDJSON: "ServerMessage"}
_PROBLEM = ("application/problem+json", "Problem")
_OPENAI_PROBLEM = (JSON, "OpenAiError")
NAMED: Schema = {
    "name": "named",
    "in": "query",
    "description": "If present, SSE events have their type as `event:`.",
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
    """Return an operation with its responses, one per status of `errors` included. `body` names its schema."""
    refused = _refusals((*_ANY, *errors), _OPENAI_PROBLEM if about == "openai" else _PROBLEM)
    found: Schema = {"operationId": name, "summary": summary, "tags": [about]}
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": not optional, "content": {JSON: {"schema": _ref(body)}}}
    found["responses"] = {**answers, **refused}
    return found


def _refusals(errors: Errors, shape: tuple[str, str]) -> dict[str, Schema]:
    """Return an error response for each status, described by its codes."""
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
    """Return a response with a schema for each media type and a description for each header."""
    found: Schema = {"description": text}
    if headers:
        found["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()
        }
    if content:
        found["content"] = {kind: {"schema": _ref(name)} for kind, name in content.items()}
    return found


def events(text: str) -> Schema:
    """Return a response that is a stream of events."""
    described = f"{text} Each event or line is a WebSocket message; `id:` is its cursor."
    return answer(described, STREAMS, {"Xinflight-Cursor": "Cursor at the start of the response."})


def header(name: str, text: str) -> Schema:
    """Return a request header as a parameter."""
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}


def query(name: str, text: str) -> Schema:
    """Return a query parameter of any text."""
    return {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}


def parameters(struct: str, *names: str) -> list[Schema]:
    """Return fields of a message or of a query as query parameters."""
    fields = {**schemas(), **query_schemas()}[struct]["properties"]
    found = []
    for name in names:
        schema = dict(fields[name])
        text = schema.pop("description")
        if "anyOf" in schema:
            schema = schema["anyOf"][0]
        found.append({"name": name, "in": "query", "description": text, "schema": schema})
    return found


def path(*names: str) -> list[Schema]:
    """Return path parameters, with the same bounds as the fields of messages."""
    task_id = schemas()["Delete"]["properties"]["task_id"]["pattern"]
    shapes: dict[str, tuple[str, Schema]] = {
        "task_id": ("Id of the task.", {"type": "string", "pattern": task_id}),
        "index": ("Index of the image.", {"type": "integer", "minimum": 0, "maximum": 63}),
        "group": ("Name of the group.", {"type": "string", "pattern": task_id}),
        "upload_id": ("Id of the upload.", {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}),
        "share_id": ("Id of the share.", {"type": "string"}),
        "secret": ("The last part of the link.", {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}),
    }
    return [
        {"name": name, "in": "path", "required": True, "description": text, "schema": schema}
        for name, (text, schema) in ((name, shapes[name]) for name in names)
    ]
