"""The ordered log of what happens to tasks: append, replay, subscribe."""

from xinflight.journal.bus import Bus, CancelCommand
from xinflight.journal.bus_memory import MemoryBus
from xinflight.journal.journal import Journal
from xinflight.journal.subscriber import Follower

__all__ = [
    "Bus",
    "CancelCommand",
    "Follower",
    "Journal",
    "MemoryBus",
]
