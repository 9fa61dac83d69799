"""What the request for an output starts from, made ready right before it is sent."""

from xinflight.model import Task
from xinflight.upstream import Inputs

__all__ = ["TaskInputs"]


class TaskInputs:
    """Make the inputs of tasks ready."""

    async def prepare(self, task: Task) -> Inputs:
        """Return what a task starts from."""
        return Inputs()
