"""A model that the emulated Xinference has launched."""

from typing import Annotated, Any

import msgspec

__all__ = ["EmulatedModel"]


class EmulatedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One launched model. `step_seconds` and `decode_seconds` are the duration of an image, whatever its size.

    `txt2img=False` emulates a model class without that method. An `engine` other than diffusers has neither that
    method, nor a lock, nor progress between 0 and 1. `request_limit` is per replica and includes waiting requests.
    """

    uid: str
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

    @property
    def serial(self) -> bool:
        """Return whether a replica generates one image at a time."""
        return self.engine == "diffusers"
