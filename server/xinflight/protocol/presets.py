"""Requests and parts of messages about presets: settings of the form for a generation that an owner has named."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from xinflight.protocol.library import Form
from xinflight.protocol.requests import ClientMessage

__all__ = ["ChangePresets", "Preset", "PresetsChange", "PresetsInfo"]

PresetName = Annotated[str, Meta(min_length=1, max_length=60)]
MOST_AT_ONCE = 100


class Preset(Struct, omit_defaults=True, kw_only=True):
    """Settings of the form under a name. Clients fill the form with them; the server does not look at them."""

    name: Annotated[PresetName, Meta(description="Name; an owner has one preset of a name.")]
    settings: Annotated[Form, Meta(description="Settings of the form for a generation, by name.")]
    prompt: Annotated[
        Annotated[str, Meta(min_length=1, max_length=2000)] | None,
        Meta(
            description="Text that a client puts around a prompt before it sends that: in place of `{prompt}`, "
            "or without `{prompt}` behind the prompt and a comma."
        ),
    ] = None


class PresetsChange(Struct, kw_only=True):
    """Presets to delete, and then presets to save. Others stay as they are."""

    save: Annotated[
        Annotated[list[Preset], Meta(max_length=MOST_AT_ONCE)],
        Meta(description="Presets to add, or to put in the place of those of the same name."),
    ] = msgspec.field(default_factory=list)
    delete: Annotated[
        Annotated[list[PresetName], Meta(max_length=MOST_AT_ONCE)],
        Meta(description="Names of presets to delete first. Unknown ones are no error."),
    ] = msgspec.field(default_factory=list)


class ChangePresets(ClientMessage, tag="preset", kw_only=True):
    """Get the presets of the owner, after changing some of them."""

    change: Annotated[
        PresetsChange | None, Meta(description="What to change first. Default: nothing, only get them.")
    ] = None


class PresetsInfo(Struct, kw_only=True):
    """The presets of the owner. `version` rises with each change."""

    version: Annotated[int, Meta(description="Rises with each change. 0: there was never one.")]
    presets: Annotated[list[Preset], Meta(description="All of them, those saved first before the others.")]
