"""The part of the OpenAPI document about OpenAI's APIs."""

from xinflight.errors import (
    BadImage,
    ImageNotFound,
    ImagesUnsupported,
    Interrupted,
    ModelNotFound,
    TaskCancelled,
    TaskTimeout,
    TooManyUploads,
    UpstreamDied,
    UpstreamFailed,
    UpstreamGarbage,
    UpstreamOutOfMemory,
)
from xinflight.specs.operations import JSON, PREFIX, SSE, SUBMIT, Errors, answer, header, operation
from xinflight.specs.schema import Schema

__all__ = ["add_openai_schemas", "openai_paths"]

_END: Errors = (TaskCancelled, UpstreamDied, UpstreamFailed, UpstreamOutOfMemory, UpstreamGarbage, TaskTimeout)


_FORM_FIELDS = ("prompt", "stream", "model", "n", "size", "response_format", "strength", "steps", "seed")
"""Fields of forms; a variation has no prompt and no stream."""
_FILES: Errors = (BadImage, ImageNotFound, ImagesUnsupported, TooManyUploads)
"""What may be wrong with the images of a form."""


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
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    images = {"anyOf": [file, {"type": "array", "items": file, "maxItems": 9}]}
    common = {name: found["OpenAiNewImages"]["properties"][name] for name in _FORM_FIELDS}
    image = {**images, "description": "The image to change, and further references, as `image` or `image[]`."}
    mask = {**file, "description": "What to repaint: where it is transparent, or if it is opaque, white."}
    found["OpenAiEdit"] = {
        "title": "OpenAiEdit",
        "description": "A form of OpenAI's clients. Fields of `generate` may be added; unknown ones are ignored.",
        "type": "object",
        "properties": {**common, "image": image, "mask": mask},
        "required": ["image", "prompt"],
    }
    start = {**file, "description": "The image to start from."}
    found["OpenAiVariation"] = {
        **found["OpenAiEdit"],
        "title": "OpenAiVariation",
        "properties": {**{name: common[name] for name in _FORM_FIELDS[2:]}, "image": start},
        "required": ["image"],
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
        "/v1/images/edits": {
            "post": _form(
                "openaiEdit",
                "Change images by a prompt, with a mask only inside it; closing the connection cancels it",
                "OpenAiEdit",
                answer("The images. With `stream`, server-sent events.", {JSON: "OpenAiImages", SSE: "OpenAiEdited"}),
            )
        },
        "/v1/images/variations": {
            "post": _form(
                "openaiVariation",
                "Generate images that start from one; closing the connection cancels it",
                "OpenAiVariation",
                answer("The images.", {JSON: "OpenAiImages"}),
            )
        },
        "/v1/chat/completions": {"post": _chat()},
    }


def _form(name: str, summary: str, body: str, images: Schema) -> Schema:
    found = operation(name, summary, {"200": images}, errors=(*SUBMIT, *_END, *_FILES), about="openai")
    schema = {"schema": {"$ref": PREFIX + body}}
    found["requestBody"] = {"required": True, "content": {"multipart/form-data": schema}}
    return found


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
