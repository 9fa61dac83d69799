"""The HTTP APIs as OpenAPI 3.1 (spec.openapis.org/oas/v3.1.1)."""

from xinflight.errors import (
    BadTaskId,
    BodyTimeout,
    FrameTooLarge,
    LoraTag,
    ModelNotFound,
    ModelUnsuitable,
    NotAcceptable,
    NotFound,
    NotJson,
    OutOfBounds,
    PromptMissing,
    ShuttingDown,
    TaskCancelled,
    TaskIdConflict,
    TaskTimeout,
    TaskUnfinished,
    TooManyConnections,
    TooManyTasks,
    UnsupportedType,
    UpstreamAuth,
    UpstreamDied,
    UpstreamFailed,
    UpstreamGarbage,
    WrongShape,
)
from xinflight.protocol import PROTOCOL_VERSION
from xinflight.specs.operations import (
    JSON,
    NAMED,
    NDJSON,
    PREFIX,
    SSE,
    STREAMS,
    Errors,
    answer,
    events,
    header,
    operation,
    parameters,
    path,
)
from xinflight.specs.schema import CLIENT, Schema, relinked, schemas

__all__ = ["openapi"]

_BODY: Errors = (NotJson, WrongShape, OutOfBounds, BodyTimeout, FrameTooLarge, UnsupportedType)
_SUBMIT: Errors = (
    *_BODY,
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
_ONE_TASK: Errors = (BadTaskId, NotFound)
_END: Errors = (TaskCancelled, UpstreamDied, UpstreamFailed, UpstreamGarbage, TaskTimeout)


def openapi() -> Schema:
    """Return the document; the same for every server, since bounds are the protocol's."""
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "xinflight over HTTP",
            "version": str(PROTOCOL_VERSION),
            "summary": "Pictures from text by Xinference: true progress, true cancel, nothing lost.",
            "description": (
                "The same tasks as over the WebSocket, one request at a time. A server's settings may have narrower "
                "bounds than these; `welcome.limits` on the WebSocket tells them. Errors carry the codes of the wire."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "{server}",
                "variables": {
                    "server": {
                        "default": "http://127.0.0.1:8000",
                        "description": "Scheme, host, and the prefix that the gateway is mounted at.",
                    }
                },
            }
        ],
        "security": [{}, {"token": []}, {"cookie": []}],
        "tags": [
            {"name": "tasks", "description": "Start, watch, cancel and delete."},
            {"name": "server", "description": "What it can do, and how it is."},
            {"name": "openai", "description": "For clients of OpenAI's image API, as they are."},
        ],
        "paths": {**_tasks(), **_server(), **_openai()},
        "components": {
            "schemas": relinked(_http_schemas(), PREFIX),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Where the server asks for a token."},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "xinflight-8000",
                    "description": "From POST /login; the number is the port of the public address.",
                },
            },
        },
    }


def _http_schemas() -> dict[str, Schema]:
    found = schemas()
    new: Schema = {**found["Generate"], "title": "NewTask", "description": "A `generate` of the WebSocket."}
    # Its action is said by the request.
    new["properties"] = {key: value for key, value in new["properties"].items() if key not in ("action", "ref")}
    # The tutorial's message without any field is the WebSocket's alone.
    new["required"] = ["prompt"]
    new["properties"]["prompt"] = {"type": "string", "description": "What the picture shows; must not be blank."}
    found["NewTask"] = new
    streamed = {
        "anyOf": [{"type": "boolean"}, {"type": "null"}],
        "description": "Answer with events, one picture each.",
        "default": False,
    }
    size = {
        "anyOf": [new["properties"]["size"]["anyOf"][0], {"const": "auto"}, {"type": "null"}],
        "description": new["properties"]["size"]["description"],
    }
    for unused in ("ClientMessage", "CloseCode", *(struct.__name__ for struct in CLIENT)):
        del found[unused]
    found["OpenAiNewImages"] = {
        **new,
        "title": "OpenAiNewImages",
        "description": "What OpenAI's clients send. Fields of `generate` may be added; others are left alone.",
        "properties": {**new["properties"], "size": size, "stream": streamed},
    }
    return found


def _tasks() -> dict[str, Schema]:
    tasks = "/api/v1/tasks"
    return {
        tasks: {"post": _submit(), "get": _list()},
        f"{tasks}/{{task_id}}": {
            "parameters": path("task_id"),
            "get": operation(
                "task",
                "One task as it stands",
                {"200": answer("The task.", {JSON: "TaskInfo"})},
                errors=(*_ONE_TASK, NotAcceptable),
            ),
            "delete": operation(
                "delete",
                "Forget an ended task and its pictures",
                {"204": {"description": "It is gone."}},
                errors=(*_ONE_TASK, TaskUnfinished),
            ),
        },
        f"{tasks}/{{task_id}}/cancel": {"parameters": path("task_id"), "post": _cancel()},
        f"{tasks}/{{task_id}}/events": {"parameters": path("task_id"), "get": _task_events()},
        f"{tasks}/{{task_id}}/pictures/{{index}}": {"parameters": path("task_id", "index"), "get": _task_picture()},
        "/api/v1/events": {
            "get": operation(
                "events",
                "The events of all of one's tasks, for as long as one listens",
                {"200": events("From the cursor on.")},
                errors=(OutOfBounds, NotAcceptable, TooManyConnections),
                parameters=_following("from now on"),
            )
        },
    }


def _submit() -> Schema:
    key = header("Idempotency-Key", "The task id, where the body has none. The same again finds the same task.")
    location = {"Location": "Where the task is."}
    known = "Where Accept asks for them its events, to its end; else, of an id that is known, the task as it stands."
    return operation(
        "submit",
        "Start a generation, or find the one of the same task id",
        {
            "200": answer(known, {JSON: "TaskInfo", **STREAMS}, location),
            "202": answer("The new task.", {JSON: "TaskInfo"}, location),
        },
        errors=(*_SUBMIT, NotAcceptable),
        parameters=[key, NAMED],
        body="NewTask",
    )


def _list() -> Schema:
    headers = {
        "Link": 'The next page (rel="next"), if there is one.',
        "Xinflight-Cursor": "What happens after the page was made is at `/api/v1/events?after=`.",
    }
    return operation(
        "list",
        "One's tasks, the newest first",
        {"200": answer("A page; as NDJSON one task a line.", {JSON: "TaskPage", NDJSON: "TaskInfo"}, headers)},
        errors=(OutOfBounds, WrongShape, NotAcceptable),
        parameters=parameters("ListTasks", "cursor", "limit", "state"),
    )


def _cancel() -> Schema:
    return operation(
        "cancel",
        "Cancel a task, or one picture of it; too late and twice are no errors",
        {"200": answer("What it was.", {JSON: "CancelledTask"})},
        errors=(*_ONE_TASK, *_BODY, NotAcceptable),
        body="CancelBody",
        optional=True,
    )


def _task_events() -> Schema:
    return operation(
        "taskEvents",
        "The events of one task, to its end",
        {
            "200": events("From the cursor on."),
            "204": {"description": "The task is over and nothing came after the cursor: don't come back."},
        },
        errors=(*_ONE_TASK, OutOfBounds, NotAcceptable, TooManyConnections),
        parameters=_following("from its start"),
    )


def _task_picture() -> Schema:
    return operation(
        "taskPicture",
        "One picture of a task",
        {"303": answer("It is there.", {}, {"Location": "The picture."})},
        errors=_ONE_TASK,
    )


def _following(start: str) -> list[Schema]:
    """Return the parameters of an answer that goes on; `start` says where it begins without a cursor."""
    (after,) = parameters("Follow", "after")
    after["description"] = f"A cursor, `epoch:seq`: what came after it is replayed. Default: {start}."
    return [after, header("Last-Event-ID", "The same, and stronger: what an EventSource has seen last."), NAMED]


def _server() -> dict[str, Schema]:
    picture = {"description": "The file.", "content": {"image/*": {}}}
    picture_id = {
        "name": "picture_id",
        "in": "path",
        "required": True,
        "description": "From `url` of a picture.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    }
    return {
        "/api/v1/models": {
            "get": operation(
                "models",
                "The models that make pictures from text, with their defaults",
                {"200": answer("The default one first.", {JSON: "Models"})},
                errors=(NotAcceptable,),
                about="server",
            )
        },
        "/api/v1/notices": {
            "post": operation(
                "notify",
                "Tell an owner, or everybody, something (for admins)",
                {"204": {"description": "It is told to whoever is connected."}},
                errors=_BODY,
                body="NoticeBody",
                about="server",
            )
        },
        "/pictures/{picture_id}": {
            "parameters": [picture_id],
            "get": {
                "operationId": "picture",
                "summary": "A picture; whoever has its URL may see it",
                "tags": ["server"],
                "security": [{}],
                "responses": {"200": picture, "404": {"description": "There is no such picture."}},
            },
        },
        "/healthz": {
            "get": {
                "operationId": "health",
                "summary": "Whether the server takes work",
                "tags": ["server"],
                "security": [{}],
                "responses": {
                    "200": answer("It does.", {JSON: "Health"}),
                    "503": answer("It does not: it is being stopped, or can't store anything.", {JSON: "Health"}),
                },
            }
        },
    }


def _openai() -> dict[str, Schema]:
    pictures = answer("The pictures; with `stream` as events.", {JSON: "OpenAiImages", SSE: "OpenAiCompleted"})
    return {
        "/v1/models": {
            "get": operation(
                "openaiModels",
                "The models that make pictures from text",
                {"200": answer("As OpenAI lists them.", {JSON: "OpenAiModels"})},
                errors=(),
                about="openai",
            )
        },
        "/v1/images/generations": {
            "post": operation(
                "openaiImages",
                "Make pictures; closing the request cancels them",
                {"200": pictures},
                errors=(*_SUBMIT, *_END),
                body="OpenAiNewImages",
                about="openai",
            )
        },
    }
