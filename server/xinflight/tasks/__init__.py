"""The life of a task: admission, the queue, running it, cancel, and exactly one end."""

from xinflight.tasks.admission import FRAME_BYTES, limits
from xinflight.tasks.manager import Manager
from xinflight.tasks.scheduler import Scheduler

__all__ = [
    "FRAME_BYTES",
    "Manager",
    "Scheduler",
    "limits",
]
