"""The life of a task: admission, the queue, the requests for it, cancel, and exactly one end.

The flow goes downwards: front -> pools -> pool runner -> scheduler -> runner -> upstream attempt, and every change of
state goes through the pool's ledger.
"""

from xinflight.tasks.admission import FRAME_BYTES, limits
from xinflight.tasks.deliveries import Deliveries
from xinflight.tasks.front import Front
from xinflight.tasks.marking import Marking
from xinflight.tasks.new_task import adjusted
from xinflight.tasks.pool_load import PoolLoad
from xinflight.tasks.pools import Pools
from xinflight.tasks.queue_commands import QueueCommands
from xinflight.tasks.spans import accepted, accepting

__all__ = [
    "FRAME_BYTES",
    "Deliveries",
    "Front",
    "Marking",
    "PoolLoad",
    "Pools",
    "QueueCommands",
    "accepted",
    "accepting",
    "adjusted",
    "limits",
]
