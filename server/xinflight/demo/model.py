"""A model that the emulated Xinference has launched."""

from typing import Annotated, Any, Literal

import msgspec

__all__ = ["EmulatedModel"]

_NEEDS = {
    "txt2img": "text2image",
    "generations": "text2image",
    "img2img": "image2image",
    "variations": "image2image",
    "inpainting": "inpainting",
    "text2video": "text2video",
    "image2video": "image2video",
    "chat": "chat",
}


class EmulatedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One launched model. `step_seconds` and `decode_seconds` are the duration of an output, whatever its size.

    `txt2img=False` emulates a model class without that method. An `engine` other than diffusers has neither that
    method, nor a lock, nor progress between 0 and 1. `request_limit` is per replica and includes waiting requests.

    A language model (`type="LLM"`) works in steps of `step_seconds`, in each of which every chat gets up to `burst`
    tokens. `sequences` chats run at once, and the prompt and `max_tokens` share `context` tokens.
    """

    uid: str
    type: Literal["image", "video", "LLM"] = "image"
    abilities: tuple[str, ...] = ("text2image",)
    family: str = "stable_diffusion"
    engine: str = "diffusers"
    replicas: Annotated[int, msgspec.Meta(ge=1)] = 1
    step_seconds: float = 0.02
    decode_seconds: float = 0.02
    size_multiple: int = 16
    default_generate_config: dict[str, Any] = {}
    request_limit: int | None = None
    txt2img: bool = True
    burst: int = 16
    sequences: int = 16
    context: int = 4096

    @property
    def serial(self) -> bool:
        """Return whether a replica computes one output at a time."""
        return self.engine == "diffusers"

    @property
    def edits(self) -> bool:
        """Return whether this is an edit model, which takes any input size and has an output size of its own."""
        return "image2image" in self.abilities and "text2image" not in self.abilities

    def takes(self, route: str) -> bool:
        """Return whether the model can do what a route asks for."""
        if route in ("txt2img", "img2img") and not (self.txt2img and self.serial):
            return False
        return _NEEDS[route] in self.abilities
