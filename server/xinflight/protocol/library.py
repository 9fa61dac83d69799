"""Requests and parts of messages about what owners keep: stars, tags, deleted outputs, and their preferences."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from xinflight.protocol.fields import OutputIndex, Starred, TagList
from xinflight.protocol.requests import ClientMessage, Index, Tag, TaskId

__all__ = [
    "Form",
    "ListTags",
    "Mark",
    "MarkBody",
    "OutputMarks",
    "Prefer",
    "Preferences",
    "PreferencesChange",
    "PreferencesInfo",
    "Restore",
    "TagsInfo",
]

SomeOutput = Annotated[
    Index | None, Meta(description="Only this output. Default: all outputs of the task that are finished.")
]
NewStar = Annotated[bool | None, Meta(description="Whether they are starred. Default: as before.")]
NewTags = Annotated[
    Annotated[list[Tag], Meta(max_length=16)] | None,
    Meta(description="All of their tags, in place of those before. Default: as before."),
]


class OutputMarks(Struct, omit_defaults=True, kw_only=True):
    """What the owner noted of an output, and whether it was deleted."""

    index: OutputIndex
    starred: Starred = False
    tags: TagList = msgspec.field(default_factory=list)
    deleted: Annotated[bool, Meta(description="True: it was deleted. `restore` may bring it back.")] = False


class Mark(ClientMessage, tag="mark", kw_only=True):
    """Star or tag the finished outputs of a task."""

    task_id: Annotated[TaskId, Meta(description="Id of the task.")]
    index: SomeOutput = None
    starred: NewStar = None
    tags: NewTags = None


class MarkBody(Struct, kw_only=True):
    """The body of a mark: stars and tags of one output of the task, or of all finished ones."""

    index: SomeOutput = None
    starred: NewStar = None
    tags: NewTags = None


class ListTags(Struct, kw_only=True):
    """The query of a list of tags."""

    prefix: Annotated[Tag | None, Meta(description="Only tags that begin with this, in any case. Default: all.")] = (
        None
    )
    limit: Annotated[int, Meta(ge=1, le=200, description="Maximum number of tags.")] = 50


class TagsInfo(Struct, kw_only=True):
    """Tags of the owner, sorted without regard to case. To get others, ask for those that begin with something."""

    tags: Annotated[list[str], Meta(description="One entry per tag.")]


class Restore(ClientMessage, tag="restore", kw_only=True):
    """Bring back an output that was deleted less than `limits.undo_seconds` ago."""

    task_id: Annotated[TaskId, Meta(description="Id of the task.")]
    index: Annotated[Index, Meta(description="Index of the output.")]


Theme = Literal["light", "dark", "system"]
Language = Annotated[str, Meta(max_length=35)]
Form = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=40)],
        Annotated[str, Meta(max_length=2000)] | int | float | bool | None,
    ],
    Meta(max_length=64),
]


class Preferences(Struct, omit_defaults=True, kw_only=True):
    """What a person has set for pages like that of the server, on whichever device. What is absent is not set."""

    theme: Annotated[Theme | None, Meta(description="Colours of the page.")] = None
    language: Annotated[Language | None, Meta(description="Language of the page, such as `zh-CN`.")] = None
    notifications: Annotated[bool | None, Meta(description="Whether to notify of what is finished.")] = None
    sound: Annotated[bool | None, Meta(description="Whether to play a sound with that.")] = None
    dock: Annotated[Form | None, Meta(description="Settings of the form for the next generation, by name.")] = None


class PreferencesChange(Struct, kw_only=True):
    """Fields of the preferences to replace as a whole, or with null to remove. Others stay as they are."""

    theme: Annotated[Theme | UnsetType | None, Meta(description="Colours of the page.")] = UNSET
    language: Annotated[Language | UnsetType | None, Meta(description="Language of the page.")] = UNSET
    notifications: Annotated[bool | UnsetType | None, Meta(description="Whether to notify of what is finished.")] = (
        UNSET
    )
    sound: Annotated[bool | UnsetType | None, Meta(description="Whether to play a sound with that.")] = UNSET
    dock: Annotated[
        Form | UnsetType | None, Meta(description="Settings of the form for the next generation, by name.")
    ] = UNSET


class Prefer(ClientMessage, tag="prefer", kw_only=True):
    """Get the preferences of the owner, after changing some of them."""

    change: Annotated[
        PreferencesChange | None, Meta(description="What to change first. Default: nothing, only get them.")
    ] = None


class PreferencesInfo(Struct, kw_only=True):
    """The preferences of the owner. `version` rises with each change; the last change of a field counts."""

    version: Annotated[int, Meta(description="Rises with each change. 0: nothing was ever set.")]
    preferences: Annotated[Preferences, Meta(description="What is set.")]
