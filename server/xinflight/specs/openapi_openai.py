"""The part of the OpenAPI document about OpenAI's APIs."""

from xinflight.errors import (
    Interrupted,
    ModelNotFound,
    TaskCancelled,
    TaskTimeout,
    UpstreamDied,
    UpstreamFailed,
    UpstreamGarbage,
)
from xinflight.specs.operations import JSON, SSE, SUBMIT, Errors, answer, header, operation
from xinflight.specs.schema import Schema

__all__ = ["add_openai_schemas", "openai_paths"]

_END: Errors = (TaskCancelled, UpstreamDied, UpstreamFailed, UpstreamGarbage, TaskTimeout)


def add_openai_schemas(found: dict[str, Schema]) -> None:
    """Add the bodies of requests to the schemas, among which are `NewTask` and `OpenAiNewChat`."""
    new = found["NewTask"]
    streamed = {
        "anyOf": [{"type": "boolean"}, {"type": "null"}],
        "description": "Respond with server-sent events, one per image.",
        "default": False,
    }
    size = {
        "anyOf": [new["properties"]["size"]["anyOf"][0], {"const": "auto"}, {"type": "null"}],
        "description": new["properties"]["size"]["description"],
    }
    found["OpenAiNewImages"] = {
        **new,
        "title": "OpenAiNewImages",
        "description": "A request of OpenAI's clients. Fields of `generate` may be added; unknown ones are ignored.",
        "properties": {**new["properties"], "size": size, "stream": streamed},
    }
    chat = found["OpenAiNewChat"]
    del chat["properties"]["ref"]
    chat["required"] = ["messages"]


def openai_paths() -> dict[str, Schema]:
    """Return the operations of OpenAI's APIs."""
    images = answer("The images. With `stream`, server-sent events.", {JSON: "OpenAiImages", SSE: "OpenAiCompleted"})
    return {
        "/v1/models": {
            "get": operation(
                "openaiModels",
                "List the models",
                {"200": answer("The models in the form of OpenAI's API.", {JSON: "OpenAiModels"})},
                errors=(),
                about="openai",
            )
        },
        "/v1/models/{model}": {
            "parameters": [
                {
                    "name": "model",
                    "in": "path",
                    "required": True,
                    "description": "Id of the model.",
                    "schema": {"type": "string"},
                }
            ],
            "get": operation(
                "openaiModel",
                "Get a model",
                {"200": answer("The model in the form of OpenAI's API.", {JSON: "OpenAiModel"})},
                errors=(ModelNotFound,),
                about="openai",
            ),
        },
        "/v1/images/generations": {
            "post": operation(
                "openaiImages",
                "Generate images; closing the connection cancels the generation",
                {"200": images},
                errors=(*SUBMIT, *_END),
                body="OpenAiNewImages",
                about="openai",
            )
        },
        "/v1/chat/completions": {"post": _chat()},
    }


def _chat() -> Schema:
    text = answer(
        "The text. With `stream`, server-sent events, `data: [DONE]` after the last one.",
        {JSON: "OpenAiChatAnswer", SSE: "OpenAiChatChunk"},
        {"Location": "URL of the task."},
    )
    key = "The id of the task, which then goes on when the connection is closed. The same request finds it again."
    return operation(
        "openaiChat",
        "Complete a chat; closing the connection cancels it, unless it has an Idempotency-Key",
        {"200": text},
        errors=(*SUBMIT, *_END, Interrupted),
        parameters=[header("Idempotency-Key", key)],
        body="OpenAiNewChat",
        about="openai",
    )
