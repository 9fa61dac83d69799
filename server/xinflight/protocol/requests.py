"""What a client may say, with the protocol's bounds in the types."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

__all__ = [
    "Cancel",
    "ClientMessage",
    "Delete",
    "Follow",
    "Generate",
    "Index",
    "ListTasks",
    "Ping",
    "Resume",
    "Unfollow",
]

MAX_SEED = 2**53 - 64 - 1
"""Seeds stay exact in a browser's numbers, also the last of 64 pictures (seed + index)."""

# `\Z`, for `$` would let a line break pass at the end.
TASK_ID = r"^[A-Za-z0-9._:~-]{1,64}\Z"
CURSOR = r"^[A-Za-z0-9]{1,32}:[0-9]{1,16}\Z"
SIZE = r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}\Z"

TaskId = Annotated[str, Meta(pattern=TASK_ID)]
Ref = Annotated[str, Meta(max_length=64)]
Cursor = Annotated[str, Meta(pattern=CURSOR)]
Index = Annotated[int, Meta(ge=0, le=63)]


class ClientMessage(Struct, tag_field="action", forbid_unknown_fields=False, kw_only=True):
    """Anything a client says; `ref` is echoed in the direct answer."""

    ref: Ref | None = None


class Generate(ClientMessage, tag="generate", kw_only=True):
    """Start one generation. Bounds here are the protocol's; a server's settings may be narrower."""

    prompt: str | None = None
    negative_prompt: str | None = None
    model: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    n: Annotated[int, Meta(ge=1, le=64)] = 1
    size: Annotated[str, Meta(pattern=SIZE)] | None = None
    steps: Annotated[int, Meta(ge=1, le=1000)] | None = None
    guidance_scale: Annotated[float, Meta(ge=0, le=100)] | None = None
    seed: Annotated[int, Meta(ge=-1, le=MAX_SEED)] | None = None
    task_id: TaskId | None = None
    timeout: Annotated[float, Meta(gt=0, le=604800)] | None = None
    on_disconnect: Literal["continue", "cancel"] = "continue"
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    metadata: Any = None
    lang: Annotated[str, Meta(max_length=35)] | None = None
    response_format: Literal["url", "b64_json"] = "url"


class Cancel(ClientMessage, tag="cancel", rename={"except_": "except"}, kw_only=True):
    """Cancel a task, one picture of it, or all of one's own but some."""

    task_id: TaskId | None = None
    index: Index | None = None
    scope: Literal["all"] | None = None
    except_: Annotated[list[TaskId], Meta(max_length=1000)] = msgspec.field(default_factory=list)


class Resume(ClientMessage, tag="resume", kw_only=True):
    """Replay what was missed after a cursor, of some tasks or of all, then stay live."""

    after: Cursor
    tasks: Annotated[list[TaskId], Meta(max_length=1000)] | None = None
    scope: Literal["all"] | None = None


class Follow(ClientMessage, tag="follow", kw_only=True):
    """Watch one's own tasks from another tab or device; with `after`, what came after it first."""

    task_id: TaskId | None = None
    scope: Literal["all"] | None = None
    after: Cursor | None = None


class Unfollow(ClientMessage, tag="unfollow", kw_only=True):
    """Watch them no more."""

    task_id: TaskId | None = None
    scope: Literal["all"] | None = None


class ListTasks(ClientMessage, tag="list", kw_only=True):
    """Page through one's own tasks, the newest first; `cursor` is the `next` of the page before."""

    cursor: Annotated[str, Meta(pattern=r"^[0-9]{1,16}\Z")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    state: Literal["unfinished", "completed", "failed", "cancelled", "expired"] | None = None


class Delete(ClientMessage, tag="delete", kw_only=True):
    """Forget one ended task and its pictures."""

    task_id: TaskId


class Ping(ClientMessage, tag="ping", kw_only=True):
    """Ask for a pong with the same nonce."""

    nonce: Annotated[str, Meta(max_length=64)] | None = None
