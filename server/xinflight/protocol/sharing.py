"""HTTP-only structs of shares: links to single images that work without credentials."""

from typing import Annotated

from msgspec import Meta, Struct

from xinflight.protocol.fields import NextPage, OutputIndex, TaskIdText
from xinflight.protocol.requests import Index, TaskId

__all__ = ["ListShares", "NewShare", "ShareBody", "ShareInfo", "SharePage"]

MAX_SECONDS = 366 * 86400


class ShareBody(Struct, kw_only=True):
    """Create a link to one image, which anybody who has it can load."""

    task_id: Annotated[TaskId, Meta(description="Id of the task.")]
    index: Annotated[Index, Meta(description="Index of the image in its task.")] = 0
    expires: Annotated[
        Annotated[float, Meta(gt=0, le=MAX_SECONDS)] | None,
        Meta(
            description="Seconds until the link stops working. Default: when it is revoked, or the task is deleted."
        ),
    ] = None


class ShareInfo(Struct, omit_defaults=True, kw_only=True):
    """A share. Its link is only in the answer to the request that created it."""

    id: Annotated[str, Meta(description="Id of the share, to revoke it. It does not give access to the image.")]
    task_id: TaskIdText
    index: OutputIndex
    created: Annotated[float, Meta(description="Time of creation, Unix time in seconds.")]
    expires: Annotated[
        float | None,
        Meta(description="Unix time in seconds. Absent if it does not expire."),
    ] = None


class NewShare(ShareInfo, kw_only=True):
    """A share that was just created, with its link."""

    url: Annotated[str, Meta(description="The link. It is not stored and can't be returned again.")]


class SharePage(Struct, omit_defaults=True, kw_only=True):
    """A page of the owner's shares, newest first. Use `next` as `?cursor=`."""

    shares: Annotated[list[ShareInfo], Meta(description="One entry per share.")]
    next: NextPage = None


class ListShares(Struct, kw_only=True):
    """The query of a list of shares."""

    cursor: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]{1,16}\Z")] | None,
        Meta(description="The `next` of the previous page. Default: the first page."),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Maximum number of shares per page.")] = 50
    task_id: Annotated[TaskId | None, Meta(description="Only shares of this task. Default: all.")] = None
