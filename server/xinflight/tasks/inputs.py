"""What the request for an output starts from, made ready right before it is sent."""

import base64
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from xinflight.model import Task, decode_content
from xinflight.protocol import ChatContent, ChatMessage, ImagePart, ImageUrl, ImageUrlPart
from xinflight.storage import Store
from xinflight.tasks.image_inputs import ImageInputs
from xinflight.threads import on_thread
from xinflight.upstream import Inputs

__all__ = ["TaskInputs"]


class TaskInputs:
    """Make the inputs of tasks ready."""

    def __init__(self, store: Store, images: ImageInputs) -> None:
        self._store = store
        self._images = images

    async def prepare(self, task: Task, begin: Callable[[], bool]) -> Inputs:
        """Return what a task starts from. Nothing is sent meanwhile; `begin` as of `ImageInputs.prepare`.

        Raises:
            StorageUnavailable: not now.
            XinflightError: what `ImageInputs.prepare` raises for an image that can't be used.
        """
        if task.content_bytes:
            stored = await self._store.content(task.uid)
            assert stored is not None  # stored with its task
            content = decode_content(stored)
            if not task.inputs:
                return Inputs(content=content)
            images = (await self._images.prepare(task, begin)).references
            if len(images) != len(task.inputs):
                return Inputs()  # nobody needs them any more
            # The images themselves as well, since their bytes decide where the body is encoded.
            return Inputs(content=await on_thread(_with_images, content, images), references=images)
        return await self._images.prepare(task, begin) if task.inputs else Inputs()


def _with_images(content: ChatContent, images: Sequence[bytes]) -> ChatContent:
    """Return the messages of a chat with its images in place of their ids; they are PNG, in their order."""
    rest = iter(images)

    def filled(message: ChatMessage) -> ChatMessage:
        if not isinstance(message.content, list):
            return message
        parts = [
            ImageUrlPart(image_url=ImageUrl(url=f"data:image/png;base64,{base64.b64encode(next(rest)).decode()}"))
            if isinstance(part, ImagePart)
            else part
            for part in message.content
        ]
        return replace(message, content=parts)

    return replace(content, messages=[filled(message) for message in content.messages])
