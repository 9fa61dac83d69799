"""What the request for an output starts from, made ready right before it is sent."""

from xinflight.model import Task, decode_content
from xinflight.storage import Store
from xinflight.tasks.image_inputs import ImageInputs
from xinflight.upstream import Inputs

__all__ = ["TaskInputs"]


class TaskInputs:
    """Make the inputs of tasks ready."""

    def __init__(self, store: Store, images: ImageInputs) -> None:
        self._store = store
        self._images = images

    async def prepare(self, task: Task) -> Inputs:
        """Return what a task starts from. Nothing is sent meanwhile.

        Raises:
            StorageUnavailable: not now.
            XinflightError: what `ImageInputs.prepare` raises for an image that can't be used.
        """
        if task.content_bytes:
            stored = await self._store.content(task.uid)
            assert stored is not None  # stored with its task
            return Inputs(content=decode_content(stored))
        return await self._images.prepare(task) if task.inputs else Inputs()
