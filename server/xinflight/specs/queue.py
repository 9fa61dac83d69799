"""Operations of the OpenAPI document on the caller's own queue: its order, pauses, and its end."""

from xinflight.errors import NotAcceptable, OutOfBounds
from xinflight.specs.operations import BODY, JSON, ONE_TASK, answer, operation, path, query
from xinflight.specs.schema import Schema

__all__ = ["queue_paths"]


def queue_paths(tasks: str) -> dict[str, Schema]:
    """Return the operations on the caller's queue. `tasks` is the path of the tasks."""
    was = {"200": answer("The task and its state when the request arrived.", {JSON: "CancelledTask"})}
    changed = {"200": answer("The tasks that changed.", {JSON: "ChangedTasks"})}
    one = (*ONE_TASK, NotAcceptable)
    owner = [query("owner", "Admins only: act for this owner.")]
    return {
        f"{tasks}/{{task_id}}/move": {
            "parameters": path("task_id"),
            "post": operation(
                "move",
                "Move a waiting task among the owner's; one that does not wait stays as it is",
                was,
                errors=(*one, *BODY),
                parameters=owner,
                body="MoveBody",
            ),
        },
        f"{tasks}/{{task_id}}/pause": {
            "parameters": path("task_id"),
            "post": operation("pause", "Hold the waiting images of a task", was, errors=one, parameters=owner),
        },
        f"{tasks}/{{task_id}}/unpause": {
            "parameters": path("task_id"),
            "post": operation(
                "unpause", "Let the held images of a task take their turns again", was, errors=one, parameters=owner
            ),
        },
        f"{tasks}/cancel": {
            "post": operation(
                "cancelAll",
                "Cancel all unfinished tasks of the owner",
                {"200": answer("The tasks and their states when the request arrived.", {JSON: "ChangedTasks"})},
                errors=(OutOfBounds, NotAcceptable),
                parameters=owner,
            )
        },
        f"{tasks}/pause": {
            "post": operation(
                "pauseAll",
                "Hold all waiting images of the owner, and what the owner submits from now on",
                changed,
                errors=(OutOfBounds, NotAcceptable),
                parameters=owner,
            )
        },
        f"{tasks}/unpause": {
            "post": operation(
                "unpauseAll",
                "Let all held images of the owner take their turns again",
                changed,
                errors=(OutOfBounds, NotAcceptable),
                parameters=owner,
            )
        },
        "/api/v1/queue": {
            "get": operation(
                "queue",
                "Get the places and waiting times of the owner's waiting images",
                {"200": answer("What waits, the next image first.", {JSON: "QueueInfo"})},
                errors=(NotAcceptable,),
            )
        },
    }
