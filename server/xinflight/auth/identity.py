"""Who a request is from: the owner of tasks, and what this owner may do."""

import math

from msgspec import Struct

__all__ = ["LEAST_WEIGHT", "LOCAL", "MOST_WEIGHT", "OWNER_LENGTH", "Identity"]

OWNER_LENGTH = 128
"""Maximum characters of an owner's id: it is stored with every task and event, and logged."""
LEAST_WEIGHT, MOST_WEIGHT = 0.01, 100.0


class Identity(Struct, frozen=True, kw_only=True):
    """An authenticated caller. Tasks belong to `id`: 1 to 128 printable characters.

    An `admin` may act for every owner. `expires` is Unix seconds, None for never. While several owners wait, each
    gets compute time in proportion to its `weight`.

    Raises:
        ValueError: `id` or `weight` is out of bounds, or `expires` is no time.
    """

    id: str
    admin: bool = False
    expires: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        # Control and format characters would forge log lines, and names in the view of an admin.
        if not (0 < len(self.id) <= OWNER_LENGTH and self.id.isprintable() and self.id == self.id.strip()):
            raise ValueError(f"the id of an owner must have 1 to {OWNER_LENGTH} printable characters")
        if not LEAST_WEIGHT <= self.weight <= MOST_WEIGHT:
            raise ValueError(f"the weight of an owner must be from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}")
        if self.expires is not None and math.isnan(self.expires):
            # No time is later than NaN, so it would never expire.
            raise ValueError("the expiry of an identity must be a time")


LOCAL = Identity(id="local", admin=True)
"""The identity of all callers where there is no log-in."""
