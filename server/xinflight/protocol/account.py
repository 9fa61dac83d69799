"""HTTP-only structs about an owner: who it is, what it used, and what an erasure came to."""

from typing import Annotated

from msgspec import Meta, Struct

from xinflight.protocol.parts import Limits

__all__ = ["AccountInfo", "ErasedInfo", "UsageInfo", "UsageReport"]

Day = Annotated[str, Meta(description="UTC day, `YYYY-MM-DD`.")]


class UsageInfo(Struct, omit_defaults=True, kw_only=True):
    """What an owner used on one day."""

    owner: Annotated[str | None, Meta(description="The owner. Only in the usage of all owners.")] = None
    day: Day
    seconds: Annotated[
        float, Meta(description="Compute seconds: the time for which the owner's images occupied a slot of a model.")
    ]
    outputs: Annotated[int, Meta(description="Number of finished images.")]
    bytes: Annotated[int, Meta(description="Bytes of their files.")]


class UsageReport(Struct, rename={"from_": "from"}, kw_only=True):
    """What was used from a day to another, both included. Days without usage are left out."""

    from_: Day
    to: Day
    days: Annotated[list[UsageInfo], Meta(description="One entry per day, or per day and owner, in order.")]


class AccountInfo(Struct, omit_defaults=True, kw_only=True):
    """Who the caller is, what is allowed, and what was used today."""

    owner: Annotated[str, Meta(description="The owner of the caller's tasks.")]
    admin: Annotated[bool, Meta(description="Whether the caller is an admin.")]
    expires: Annotated[
        float | None, Meta(description="When the credentials expire, Unix time in seconds. Absent means never.")
    ] = None
    limits: Annotated[Limits, Meta(description="Limits of this server.")]
    usage: Annotated[UsageInfo, Meta(description="The usage of today.")]


class ErasedInfo(Struct, kw_only=True):
    """What an erasure came to."""

    complete: Annotated[bool, Meta(description="False: repeat the request, since tasks had not ended yet.")]
    tasks: Annotated[int, Meta(description="Number of deleted tasks.")]
    outputs: Annotated[int, Meta(description="Number of deleted images.")]
    uploads: Annotated[int, Meta(description="Number of deleted uploads.")]
    unfinished: Annotated[
        list[str], Meta(description="Ids of tasks that did not end in time after their cancel. They are still there.")
    ]
    running_on: Annotated[
        list[str],
        Meta(description="Ids of deleted tasks that the model still computes. What it makes is discarded."),
    ]
