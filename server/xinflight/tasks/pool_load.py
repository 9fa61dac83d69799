"""How busy a pool is."""

from msgspec import Struct

from xinflight.protocol import State

__all__ = ["PoolLoad"]


class PoolLoad(Struct, frozen=True, kw_only=True):
    """What waits and runs in a pool, in numbers.

    `outputs` are the unfinished ones by kind and state; `waiting` stand in the queue, which those that are paused do
    not. `slots` are 0 while Xinference is away. Of the `taken` ones, those `quarantined` are held by requests that
    nobody waits for any more, and that may still run.
    """

    pool: str
    tasks: int
    outputs: dict[tuple[str, State], int]
    waiting: int
    slots: int
    taken: int
    quarantined: int
