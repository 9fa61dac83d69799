"""Requests that a client may send, with the bounds of the protocol in their types."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from xinflight.protocol.terms import Kind

__all__ = [
    "Authenticate",
    "Cancel",
    "ClientMessage",
    "Delete",
    "Follow",
    "Group",
    "Index",
    "ListTasks",
    "Move",
    "Pause",
    "Ping",
    "Resume",
    "Tag",
    "TaskId",
    "Unfollow",
    "Unpause",
]

# `\Z` because `$` would also match before a trailing line break.
TASK_ID = r"^[A-Za-z0-9._:~-]{1,64}\Z"
CURSOR = r"^[A-Za-z0-9]{1,32}:[0-9]{1,16}\Z"

TaskId = Annotated[str, Meta(pattern=TASK_ID)]
Group = Annotated[str, Meta(pattern=TASK_ID)]
Ref = Annotated[str, Meta(max_length=64)]
Cursor = Annotated[str, Meta(pattern=CURSOR)]
FutureScope = Annotated[Literal["all"] | None, Meta(description="All tasks of the owner, including future ones.")]
OneTask = Annotated[TaskId | None, Meta(description="Id of the task. Either this or `scope` is required.")]
ForOwner = Annotated[
    Annotated[str, Meta(min_length=1, max_length=128)] | None,
    Meta(description="Admins only: act for this owner. Default: the caller."),
]
Index = Annotated[int, Meta(ge=0, le=63)]
Tag = Annotated[str, Meta(min_length=1, max_length=40)]
Moment = Annotated[float, Meta(ge=0, le=100_000_000_000)]


class ClientMessage(Struct, tag_field="action", forbid_unknown_fields=False, kw_only=True):
    """Any request of a client. `ref` is echoed in the direct answer."""

    ref: Annotated[Ref | None, Meta(description="Echoed in the direct answer.")] = None


class Cancel(ClientMessage, tag="cancel", rename={"except_": "except"}, kw_only=True):
    """Cancel a task, one output of it, a group of tasks, or all tasks of the owner except some."""

    task_id: Annotated[
        TaskId | None, Meta(description="The task to cancel. Either this, `group` or `scope` is required.")
    ] = None
    index: Annotated[Index | None, Meta(description="Cancel only this image. Requires `task_id`.")] = None
    group: Annotated[Group | None, Meta(description="Cancel all unfinished tasks of this group.")] = None
    scope: Annotated[
        Literal["all"] | None,
        Meta(description="Cancel all unfinished tasks of the owner, including those of other connections."),
    ] = None
    owner: ForOwner = None
    except_: Annotated[
        list[TaskId], Meta(max_length=1000, description="Task ids to exclude from `scope` or `group`.")
    ] = msgspec.field(default_factory=list)


class Resume(ClientMessage, tag="resume", kw_only=True):
    """Replay the events after a cursor, of some tasks or of all, then continue live."""

    after: Annotated[
        Cursor, Meta(description="The highest cursor from a stored event, `welcome`, `recovered` or `tasks`.")
    ]
    tasks: Annotated[
        Annotated[list[TaskId], Meta(max_length=1000)] | None,
        Meta(description="Ids of the tasks. Either this or `scope` is required."),
    ] = None
    scope: FutureScope = None


class Follow(ClientMessage, tag="follow", kw_only=True):
    """Subscribe to tasks of the owner from another tab or device; `after` replays the events after it first."""

    task_id: OneTask = None
    scope: FutureScope = None
    after: Annotated[
        Cursor | None,
        Meta(description="Replay the events after this cursor first, `epoch:seq`. Default: from now on."),
    ] = None


class Unfollow(ClientMessage, tag="unfollow", kw_only=True):
    """Unsubscribe from a task or from all."""

    task_id: OneTask = None
    scope: Annotated[
        Literal["all"] | None, Meta(description="All tasks, including those this connection started.")
    ] = None


class ListTasks(ClientMessage, tag="list", kw_only=True):
    """List the tasks of the owner, newest first, all or those to which every given field applies.

    `cursor` is the `next` of the previous page.
    """

    cursor: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]{1,16}\Z")] | None,
        Meta(description="The `next` of the previous page. Default: the first page."),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Maximum number of tasks per page.")] = 50
    state: Annotated[
        Literal["unfinished", "completed", "failed", "cancelled", "expired", "unsuccessful"] | None,
        Meta(
            description="Only tasks in this state; `unsuccessful`: ended, an image failed or expired. Default: all."
        ),
    ] = None
    group: Annotated[Group | None, Meta(description="Only tasks of this group. Default: all.")] = None
    search: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(description="Only tasks with all of these words in prompt, model and tags. Default: all."),
    ] = None
    starred: Annotated[bool, Meta(description="Only tasks with a starred output.")] = False
    tag: Annotated[Tag | None, Meta(description="Only tasks with an output that has this tag. Default: all.")] = None
    model: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(description="Only tasks of this model. Default: all."),
    ] = None
    kind: Annotated[Kind | None, Meta(description="Only tasks of this kind. Default: all.")] = None
    since: Annotated[
        Moment | None, Meta(description="Only tasks accepted at this Unix time or later. Default: all.")
    ] = None
    until: Annotated[Moment | None, Meta(description="Only tasks accepted before this Unix time. Default: all.")] = (
        None
    )


class Delete(ClientMessage, tag="delete", kw_only=True):
    """Delete an ended task and its images for ever, or one finished output, which `restore` can bring back."""

    task_id: Annotated[TaskId, Meta(description="Id of the task.")]
    index: Annotated[Index | None, Meta(description="Delete only this output. Default: the whole task.")] = None


class Move(ClientMessage, tag="move", kw_only=True):
    """Move a waiting task within the owner's own queue. Other owners' tasks keep their turns."""

    task_id: Annotated[TaskId, Meta(description="The task to move.")]
    before: Annotated[
        TaskId | None,
        Meta(description="Move it right before this waiting task of the same pool. Either this or `to` is required."),
    ] = None
    to: Annotated[
        Literal["first", "last"] | None, Meta(description="Move it before or behind all others of the owner.")
    ] = None
    owner: ForOwner = None


class Pause(ClientMessage, tag="pause", kw_only=True):
    """Hold the waiting images of a task, or of all tasks of the owner. What runs goes on."""

    task_id: OneTask = None
    scope: Annotated[
        Literal["all"] | None,
        Meta(description="All unfinished tasks of the owner, and those submitted until `unpause` with this scope."),
    ] = None
    owner: ForOwner = None


class Unpause(ClientMessage, tag="unpause", kw_only=True):
    """Let the waiting images of a task, or of all tasks of the owner, take their turns again."""

    task_id: OneTask = None
    scope: Annotated[
        Literal["all"] | None, Meta(description="All tasks of the owner, and those submitted from now on.")
    ] = None
    owner: ForOwner = None


class Ping(ClientMessage, tag="ping", kw_only=True):
    """Request a `pong` with the same nonce."""

    nonce: Annotated[Annotated[str, Meta(max_length=64)] | None, Meta(description="Echoed in the answer.")] = None


class Authenticate(ClientMessage, tag="authenticate", kw_only=True):
    """Present a token: as the first message of a connection, or to extend it before its credentials expire."""

    token: Annotated[
        Annotated[str, Meta(min_length=1, max_length=8000)],
        Meta(description="A token of this server. On an authenticated connection, one of the same owner."),
    ]

    def __repr__(self) -> str:
        """Return a text without the token, which must not reach a log."""
        return "Authenticate(token=...)"
