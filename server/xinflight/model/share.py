"""A link to one output that its owner gave out. No I/O."""

from msgspec import Struct

__all__ = ["Share"]


class Share(Struct, frozen=True, kw_only=True):
    """A share as it is stored; the secret in its address is known to nobody but those who were given it.

    `created` and `expires` are Unix seconds; None never expires.
    """

    id: str
    owner: str
    task_id: str
    index: int
    output_id: str
    created: float
    expires: float | None = None
