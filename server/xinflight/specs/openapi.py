"""The HTTP APIs as OpenAPI 3.1 (spec.openapis.org/oas/v3.1.1)."""

from xinflight.errors import (
    BadImage,
    ImagesUnsupported,
    NotAcceptable,
    NotFound,
    OutOfBounds,
    RateLimited,
    TaskUnfinished,
    TooManyConnections,
    WrongShape,
)
from xinflight.protocol import PROTOCOL_VERSION, ListTasks
from xinflight.specs.openapi_account import account_paths
from xinflight.specs.openapi_admin import admin_paths
from xinflight.specs.openapi_marks import deletion, mark_paths
from xinflight.specs.openapi_openai import add_openai_schemas, openai_paths
from xinflight.specs.openapi_shares import share_paths
from xinflight.specs.openapi_uploads import upload_paths
from xinflight.specs.operations import (
    BODY,
    JSON,
    NAMED,
    NDJSON,
    ONE_TASK,
    PREFIX,
    STREAMS,
    SUBMIT,
    answer,
    events,
    header,
    operation,
    parameters,
    path,
    query,
)
from xinflight.specs.queue import queue_paths
from xinflight.specs.schema import CLIENT, Schema, relinked, schemas

__all__ = ["openapi"]


def openapi() -> Schema:
    """Return the OpenAPI document. It is the same for every server: bounds are those of the protocol."""
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "xinflight over HTTP",
            "version": str(PROTOCOL_VERSION),
            "summary": "Images, videos and chats with Xinference: true progress, true cancel, nothing lost.",
            "description": (
                "The same tasks as over the WebSocket, one request at a time. A server's settings may have narrower "
                "bounds, which are in `welcome.limits` on the WebSocket. Error codes are the same."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "{server}",
                "variables": {
                    "server": {
                        "default": "http://127.0.0.1:8000",
                        "description": "Scheme, host, and the prefix at which the gateway is mounted.",
                    }
                },
            }
        ],
        "security": [{}, {"token": []}, {"cookie": []}],
        "tags": [
            {"name": "tasks", "description": "Start, observe, cancel and delete tasks."},
            {"name": "uploads", "description": "Images for tasks to start from, kept for a day."},
            {"name": "shares", "description": "Links to single images that work without credentials."},
            {"name": "account", "description": "What an owner used; export and erase all that is theirs."},
            {"name": "server", "description": "Models, images and health."},
            {"name": "openai", "description": "For unmodified clients of OpenAI's APIs of images and chats."},
        ],
        "paths": {
            **_tasks(),
            **upload_paths(),
            **share_paths(),
            **account_paths(),
            **admin_paths(),
            **_server(),
            **openai_paths(),
        },
        "components": {
            "schemas": relinked(_http_schemas(), PREFIX),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "If the server requires a token."},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "xinflight-8000",
                    "description": "Set by `POST /login`. The number is the port of the public address.",
                },
            },
        },
    }


def _http_schemas() -> dict[str, Schema]:
    found = schemas()
    new = found["NewTask"] = _new(found["Generate"], "NewTask", "A `generate` of the WebSocket.", "prompt")
    # Only the WebSocket accepts a message without any field, as the tutorial sends it.
    new["properties"]["prompt"] = {"type": "string", "description": "What the image should show. Must not be blank."}
    found["NewChat"] = _new(found["Chat"], "NewChat", "A `chat` of the WebSocket.", "messages")
    for unused in ("ClientMessage", "CloseCode", *(struct.__name__ for struct in CLIENT)):
        del found[unused]
    add_openai_schemas(found)
    return found


def _new(request: Schema, title: str, text: str, required: str) -> Schema:
    """Return the body that stands for a request of the WebSocket."""
    # The method and path stand for the action.
    properties = {key: value for key, value in request["properties"].items() if key not in ("action", "ref")}
    return {**request, "title": title, "description": text, "properties": properties, "required": [required]}


def _tasks() -> dict[str, Schema]:
    tasks = "/api/v1/tasks"
    return {
        tasks: {
            "post": _starting("submit", "Start a generation, or find the one with the same task id", "NewTask"),
            "get": _list(),
        },
        "/api/v1/chats": {
            "post": _starting("chat", "Start a chat completion, or find the one with the same task id", "NewChat")
        },
        f"{tasks}/{{task_id}}": {
            "parameters": path("task_id"),
            "get": operation(
                "task",
                "Get a task",
                {"200": answer("The task.", {JSON: "TaskInfo"})},
                errors=(*ONE_TASK, NotAcceptable),
            ),
            "delete": operation(
                "delete",
                "Delete an ended task and its images",
                {"204": {"description": "Deleted."}},
                errors=(*ONE_TASK, TaskUnfinished),
            ),
        },
        f"{tasks}/{{task_id}}/cancel": {"parameters": path("task_id"), "post": _cancel()},
        "/api/v1/groups/{group}/cancel": {"parameters": path("group"), "post": _cancel_group()},
        **queue_paths(tasks),
        **mark_paths(tasks),
        f"{tasks}/{{task_id}}/messages": {
            "parameters": path("task_id"),
            "get": operation(
                "messages",
                "Get the messages and tools that a chat was started with",
                {"200": answer("The messages.", {JSON: "ChatContent"})},
                errors=(*ONE_TASK, NotAcceptable),
            ),
        },
        f"{tasks}/{{task_id}}/events": {"parameters": path("task_id"), "get": _task_events()},
        f"{tasks}/{{task_id}}/outputs/{{index}}": {
            "parameters": path("task_id", "index"),
            "get": _task_output(),
            "delete": deletion(),
        },
        "/api/v1/events": {
            "get": operation(
                "events",
                "Subscribe to the events of all tasks of the owner",
                {"200": events("The events after the cursor.")},
                errors=(OutOfBounds, NotAcceptable, TooManyConnections),
                parameters=_following("from now on"),
            )
        },
    }


def _starting(name: str, summary: str, body: str) -> Schema:
    """Return the operation that starts a task."""
    key = header("Idempotency-Key", "The task id, if the body has none. Repeating the request finds the same task.")
    location = {"Location": "URL of the task."}
    known = (
        "If requested by Accept, the events of the task until its end. Otherwise, for a known id, the existing task."
    )
    return operation(
        name,
        summary,
        {
            "200": answer(known, {JSON: "TaskInfo", **STREAMS}, location),
            "202": answer("The new task.", {JSON: "TaskInfo"}, location),
        },
        errors=(*SUBMIT, NotAcceptable),
        parameters=[key, NAMED],
        body=body,
    )


def _list() -> Schema:
    headers = {
        "Link": 'The next page (rel="next"), if any.',
        "Xinflight-Cursor": "Resume at `/api/v1/events?after=` with this cursor to get everything after this page.",
    }
    return operation(
        "list",
        "List the tasks of the owner, newest first",
        {
            "200": answer(
                "A page of tasks. As NDJSON, one task per line.", {JSON: "TaskPage", NDJSON: "TaskInfo"}, headers
            )
        },
        errors=(OutOfBounds, WrongShape, NotAcceptable),
        parameters=parameters("ListTasks", *ListTasks.__struct_fields__[1:]),
    )


def _cancel() -> Schema:
    return operation(
        "cancel",
        "Cancel a task or one of its images; repeated and late cancels are not errors",
        {"200": answer("The task and its state when the request arrived.", {JSON: "CancelledTask"})},
        errors=(*ONE_TASK, *BODY, NotAcceptable),
        parameters=[query("owner", "Admins only: cancel a task of this owner.")],
        body="CancelBody",
        optional=True,
    )


def _cancel_group() -> Schema:
    return operation(
        "cancelGroup",
        "Cancel the unfinished tasks of a group; repeated and late cancels are not errors",
        {"200": answer("The tasks and their states when the request arrived.", {JSON: "ChangedTasks"})},
        errors=(OutOfBounds, NotAcceptable),
        parameters=[query("owner", "Admins only: cancel tasks of this owner.")],
    )


def _task_events() -> Schema:
    return operation(
        "taskEvents",
        "Subscribe to the events of a task until its end",
        {
            "200": events("The events after the cursor."),
            "204": {"description": "The task has ended and has no events after the cursor. Don't reconnect."},
        },
        errors=(*ONE_TASK, OutOfBounds, NotAcceptable, TooManyConnections),
        parameters=_following("from its start"),
    )


def _task_output() -> Schema:
    return operation(
        "taskOutput",
        "Get an image of a task",
        {"303": answer("Redirect to the image.", {}, {"Location": "URL of the image."})},
        errors=ONE_TASK,
    )


def _following(start: str) -> list[Schema]:
    """Return the parameters of a streaming response. `start` describes where it begins without a cursor."""
    (after,) = parameters("Follow", "after")
    after["description"] = f"Replay the events after this cursor, `epoch:seq`. Default: {start}."
    return [
        after,
        header("Last-Event-ID", "Takes precedence over `after`. Sent by a reconnecting EventSource."),
        NAMED,
    ]


def _server() -> dict[str, Schema]:
    image = {"description": "The file.", "content": {"image/*": {}}}
    thumbnail = {"description": "At most 512 pixels on its longer side.", "content": {"image/webp": {}}}
    signed = [
        query("expires", "Of a signed URL: when it expires, Unix seconds."),
        query("signature", "Of a signed URL. Takes the place of credentials."),
    ]
    output_id = {
        "name": "output_id",
        "in": "path",
        "required": True,
        "description": "The last part of an image's `url`.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    }
    return {
        "/api/v1/models": {
            "get": operation(
                "models",
                "List the models with what they can do, and their defaults",
                {"200": answer("The models, the default one first.", {JSON: "Models"})},
                errors=(NotAcceptable,),
                about="server",
            )
        },
        "/api/v1/notices": {
            "post": operation(
                "notify",
                "Send a notice to an owner or to everyone (admins only)",
                {"204": {"description": "Sent to all matching connections."}},
                errors=BODY,
                body="NoticeBody",
                about="server",
            )
        },
        "/outputs/{output_id}": {
            "parameters": [output_id],
            "get": operation(
                "output",
                "Get an image file, as its owner or by a signed URL",
                {"200": image},
                errors=(NotFound,),
                parameters=[
                    *signed,
                    query("download", "`1`: browsers save the file, under a name with date, prompt and seed."),
                ],
                about="server",
            ),
        },
        "/outputs/{output_id}/thumbnail": {
            "parameters": [output_id],
            "get": operation(
                "thumbnail",
                "Get the thumbnail of an image, as its owner or by a signed URL",
                {"200": thumbnail},
                errors=(NotFound, BadImage, ImagesUnsupported, RateLimited),
                parameters=signed,
                about="server",
            ),
        },
        "/healthz": {
            "get": {
                "operationId": "health",
                "summary": "Whether the server is alive, and how it is",
                "tags": ["server"],
                "security": [{}],
                "responses": {"200": answer("The server is alive.", {JSON: "Health"})},
            }
        },
        "/readyz": {
            "get": {
                "operationId": "ready",
                "summary": "Whether the server accepts requests",
                "tags": ["server"],
                "security": [{}],
                "responses": {
                    "200": answer("The server accepts requests.", {JSON: "Health"}),
                    "503": answer("The server is stopping or can't store anything.", {JSON: "Health"}),
                },
            }
        },
    }
