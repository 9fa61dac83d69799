"""What the request for an output starts from, made ready right before it is sent."""

from xinflight.model import Task, decode_content
from xinflight.storage import Store
from xinflight.upstream import Inputs

__all__ = ["TaskInputs"]


class TaskInputs:
    """Make the inputs of tasks ready."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def prepare(self, task: Task) -> Inputs:
        """Return what a task starts from. May raise StorageUnavailable."""
        content = None
        if task.content_bytes:
            stored = await self._store.content(task.uid)
            assert stored is not None  # stored with its task
            content = decode_content(stored)
        return Inputs(content=content)
