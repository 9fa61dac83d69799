"""The images that an output starts from, made ready before it is sent, and what is made of its answer with them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xinflight.errors import BadImage, ImageNotFound, StorageUnavailable
from xinflight.imaging import check_pillow, fitting_size, prepare_image, prepare_mask, upright_size
from xinflight.model import Task, TaskInput
from xinflight.protocol import parse_size
from xinflight.settings import Settings
from xinflight.tasks.admission import SIZE_MULTIPLE
from xinflight.threads import on_thread
from xinflight.uploads import Uploads
from xinflight.upstream import KINDS, Inputs

__all__ = ["ImageInputs"]

PREPARED_BYTES = 64 * 2**20
"""Maximum bytes of prepared images in memory: some ten of the largest size, one of which may be larger."""

_Size = tuple[int, int]
_Key = tuple[tuple[TaskInput, ...], _Size | None]
"""Inputs, whose ids are hashes of their bytes, and the size that they are to get: all that a result depends on."""


class ImageInputs:
    """Make the images of tasks ready, one at a time in the whole process.

    A decoded image takes up to 16 bytes for each pixel of `upload_pixels`, on the way of decoding and scaling.
    """

    def __init__(self, uploads: Uploads, settings: Settings) -> None:
        self._uploads = uploads
        self._settings = settings
        self._one = asyncio.Lock()
        # The least recently used first: all outputs of a task, and whoever starts from the same image again, need
        # it only once. An image that can't be used is remembered as well.
        self._prepared: OrderedDict[_Key, Inputs | BadImage] = OrderedDict()
        self._bytes = 0
        # What was made of a deleted image must not stay either.
        uploads.on_removed = self._forget

    async def prepare(self, task: Task, begin: Callable[[], bool]) -> Inputs:
        """Return what a task starts from. Takes from milliseconds to seconds; nothing is sent meanwhile.

        `begin` is called when the turn of the task has come and its images are to be decoded. If it returns False,
        they are not needed any more, and nothing is returned.

        Raises:
            BadImage: an image is damaged, which shows only now, or a mask does not fit to it.
            ImageNotFound: the file of an upload was removed from the data folder.
            ImagesUnsupported: Pillow was uninstalled since the task was accepted.
            StorageUnavailable: a file can't be read now.
        """
        size = None
        if task.params.size is not None and not KINDS[task.kind].chooses_size:
            size = parse_size(task.params.size)
        key = tuple(task.inputs), size
        async with self._one:
            if key not in self._prepared:
                if not begin():
                    return Inputs()
                self._remember(key, await self._prepare(task, size))
            self._prepared.move_to_end(key)
            prepared = self._prepared[key]
        if isinstance(prepared, BadImage):
            raise BadImage(field=prepared.field, limit=prepared.limit, detail=prepared.detail)
        return prepared

    async def _prepare(self, task: Task, size: _Size | None) -> Inputs | BadImage:
        check_pillow()
        files = [(each.role, await self._uploads.path(task.owner, each.upload_id)) for each in task.inputs]
        try:
            return await on_thread(_prepared, files, size, self._settings)
        except BadImage as error:
            return error
        except FileNotFoundError as error:
            raise ImageNotFound(detail=str(error)) from None
        except OSError as error:
            raise StorageUnavailable(detail=str(error)) from None

    def _remember(self, key: _Key, prepared: Inputs | BadImage) -> None:
        self._prepared[key] = prepared
        self._bytes += _bytes_of(prepared)
        while self._bytes > PREPARED_BYTES and len(self._prepared) > 1:
            _, oldest = self._prepared.popitem(last=False)
            self._bytes -= _bytes_of(oldest)

    def _forget(self, upload_id: str) -> None:
        for key in [key for key in self._prepared if any(each.upload_id == upload_id for each in key[0])]:
            self._bytes -= _bytes_of(self._prepared.pop(key))

    async def finish(self, finish: Callable[[Inputs, bytes], bytes], inputs: Inputs, made: bytes) -> bytes:
        """Return the file of an output from what was made; raise UpstreamGarbage if that can't be decoded."""
        async with self._one:
            return await on_thread(finish, inputs, made)


def _bytes_of(prepared: Inputs | BadImage) -> int:
    # An entry itself takes room, so that those of bad images don't pile up.
    return 1000 + (prepared.image_bytes if isinstance(prepared, Inputs) else 0)


def _prepared(files: list[tuple[str, Path]], size: _Size | None, settings: Settings) -> Inputs:
    """Read and prepare images, one after the other; with None as `size` each keeps its proportions."""
    most = settings.upload_pixels
    image: bytes | None = None
    mask: bytes | None = None
    references = []
    sizes: list[_Size] = []
    shown = (0, 0)
    for role, path in sorted(files, key=lambda file: file[0] == "mask"):
        data = path.read_bytes()
        if role == "mask":
            with _named(role):
                mask = prepare_mask(data, size or sizes[0], image=shown, max_pixels=most)
            continue
        with _named("image" if role == "image" else "images"):
            upright = upright_size(data)
            fitting = size or fitting_size(
                upright, least=settings.size_min, most=settings.size_max, multiple=SIZE_MULTIPLE
            )
            prepared = prepare_image(data, fitting, max_pixels=most)
        sizes.append(fitting)
        if role == "image":
            image, shown = prepared, upright
        else:
            references.append(prepared)
    return Inputs(image=image, size=sizes[0], references=tuple(references), mask=mask)


@contextmanager
def _named(field: str) -> Iterator[None]:
    """Let a BadImage tell the field of the request whose image it is about, and what would be right."""
    try:
        yield
    except BadImage as error:
        error.field = field
        error.limit = error.limit or "an image that can be decoded"
        raise
