"""What happened, in order: append stores an event and then publishes it; every transport is a subscriber."""

from xinflight.journal.bus import Bus
from xinflight.journal.bus_memory import MemoryBus
from xinflight.journal.journal import Journal
from xinflight.journal.position import Position
from xinflight.journal.subscriber import QUEUED_OUTPUTS, Subscriber

__all__ = ["QUEUED_OUTPUTS", "Bus", "Journal", "MemoryBus", "Position", "Subscriber"]
