"""What can be chosen of a run of the benchmark."""

import os

import msgspec
from msgspec import Struct

__all__ = ["Options"]


class Options(Struct, frozen=True, kw_only=True):
    """How to measure. A variable of the environment has the option's name in capitals."""

    rounds: int = 3
    clients: int = 200
    seconds: float = 20.0
    """How long each one is measured per round."""
    generation: float = 5.0
    """How long the upstream takes for an image."""
    base: str = ""
    """A commit to compare with, in this repository."""

    @classmethod
    def from_environ(cls) -> "Options":
        """Read the variables that are set; raise msgspec.ValidationError for one that is not a number."""
        given = {name: os.environ[name.upper()] for name in cls.__struct_fields__ if os.environ.get(name.upper())}
        return msgspec.convert(given, cls, strict=False)
