"""The part of the OpenAPI document about stars, tags, single outputs, and preferences and presets of the caller."""

from xinflight.errors import NotAcceptable, OutOfBounds, WrongShape
from xinflight.protocol import ListTags
from xinflight.specs.operations import BODY, JSON, ONE_TASK, answer, operation, parameters, path
from xinflight.specs.schema import Schema

__all__ = ["deletion", "mark_paths"]


def mark_paths(tasks: str) -> dict[str, Schema]:
    """Return the operations on marks, preferences and presets. `tasks` is the path of the tasks."""
    was = {"200": answer("The task and its state when the request arrived.", {JSON: "CancelledTask"})}
    preferences = {"200": answer("All preferences.", {JSON: "PreferencesInfo"})}
    presets = {"200": answer("All presets.", {JSON: "PresetsInfo"})}
    return {
        f"{tasks}/{{task_id}}/mark": {
            "parameters": path("task_id"),
            "post": operation(
                "mark",
                "Star or tag the finished images of a task",
                was,
                errors=(*ONE_TASK, *BODY, NotAcceptable),
                body="MarkBody",
            ),
        },
        f"{tasks}/{{task_id}}/outputs/{{index}}/restore": {
            "parameters": path("task_id", "index"),
            "post": operation(
                "restore", "Bring back an image that was just deleted", was, errors=(*ONE_TASK, NotAcceptable)
            ),
        },
        "/api/v1/tags": {
            "get": operation(
                "tags",
                "List the tags of the owner, or those that begin with something",
                {"200": answer("Tags.", {JSON: "TagsInfo"})},
                errors=(OutOfBounds, WrongShape, NotAcceptable),
                parameters=parameters("ListTags", *ListTags.__struct_fields__),
            ),
        },
        "/api/v1/account/preferences": {
            "get": operation(
                "preferences",
                "Get what the caller has set for pages",
                preferences,
                errors=(NotAcceptable,),
                about="account",
            ),
            "patch": operation(
                "prefer",
                "Replace some of the preferences, or remove them with null",
                preferences,
                errors=(*BODY, NotAcceptable),
                body="PreferencesChange",
                about="account",
            ),
        },
        "/api/v1/account/presets": {
            "get": operation(
                "presets",
                "Get the named settings that the caller has saved",
                presets,
                errors=(NotAcceptable,),
                about="account",
            ),
            "patch": operation(
                "changePresets",
                "Delete and save some of the presets",
                presets,
                errors=(*BODY, NotAcceptable),
                body="PresetsChange",
                about="account",
            ),
        },
    }


def deletion() -> Schema:
    """Return the operation that deletes one output."""
    return operation(
        "deleteOutput",
        "Delete an image; for `limits.undo_seconds` it can be restored",
        {"204": {"description": "Deleted."}},
        errors=ONE_TASK,
    )
