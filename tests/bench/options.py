"""What can be chosen of a run of the benchmark."""

import os

import msgspec
from msgspec import Struct

__all__ = ["Options"]


class Options(Struct, frozen=True, kw_only=True):
    """How to measure. A variable of the environment has the option's name in capitals."""

    scenario: str = ""
    """Names of scenarios, separated by commas; all if empty."""
    rounds: int = 3
    """How often each contender is measured, in turns."""
    quick: bool = False
    """Whether to measure for shorter times."""
    write: bool = False
    """Whether to write what was measured into the documentation."""
    clients: int = 200
    """Clients of the scenario `cost`."""
    seconds: float = 20.0
    """How long each contender is measured per round of it; a quick run takes the half."""
    generation: float = 5.0
    """How long the upstream takes for an image."""
    base: str = ""
    """A commit to compare with in it, in this repository."""

    @classmethod
    def from_environ(cls) -> "Options":
        """Read the variables that are set; raise msgspec.ValidationError for one that can't be used."""
        given = {name: os.environ[name.upper()] for name in cls.__struct_fields__ if os.environ.get(name.upper())}
        return msgspec.convert(given, cls, strict=False)
