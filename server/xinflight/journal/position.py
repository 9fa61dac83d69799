"""Where a cursor of a client points."""

from msgspec import Struct

__all__ = ["Position"]


class Position(Struct, frozen=True):
    """The seq to replay after, and whether nothing is missing from there on."""

    after: int
    recovered: bool
