"""The kinds of tasks: how each is asked of Xinference, one file per kind. All other code treats all kinds alike."""

from xinflight.upstream.kinds.chat import CHAT, most_tokens
from xinflight.upstream.kinds.edit import EDIT
from xinflight.upstream.kinds.image2image import IMAGE2IMAGE
from xinflight.upstream.kinds.inpainting import INPAINTING
from xinflight.upstream.kinds.kind import (
    SPECIAL_FIELDS,
    Answer,
    Form,
    FormFile,
    GenerationRequest,
    IdCheck,
    Inputs,
    Kind,
    Made,
    Piece,
    Reader,
    Route,
    Timeouts,
)
from xinflight.upstream.kinds.text2image import TEXT2IMAGE
from xinflight.upstream.kinds.video import VIDEO

__all__ = [
    "CHAT",
    "EDIT",
    "IMAGE2IMAGE",
    "INPAINTING",
    "KINDS",
    "SPECIAL_FIELDS",
    "TEXT2IMAGE",
    "VIDEO",
    "Answer",
    "Form",
    "FormFile",
    "GenerationRequest",
    "IdCheck",
    "Inputs",
    "Kind",
    "Made",
    "Piece",
    "Reader",
    "Route",
    "Timeouts",
    "most_tokens",
]

KINDS: dict[str, Kind] = {kind.name: kind for kind in (TEXT2IMAGE, IMAGE2IMAGE, INPAINTING, EDIT, VIDEO, CHAT)}
"""All kinds by name, which is what `Task.kind` stores."""
