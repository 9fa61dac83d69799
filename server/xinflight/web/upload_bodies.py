"""Read the body of an upload piece by piece: an image itself, or a form with one file (RFC 7578)."""

from collections.abc import AsyncGenerator, Awaitable
from typing import TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from xinflight.clock import Clock
from xinflight.errors import BodyTimeout, FrameTooLarge, UnsupportedType, WrongShape
from xinflight.web.context import BODY_SECONDS

__all__ = ["UPLOAD_SECONDS", "image_body"]

UPLOAD_SECONDS = 600.0
"""Seconds within which an upload must arrive: 25 MB at 350 kbit/s. Between two pieces it is BODY_SECONDS."""
PIECE = 64 * 1024
FIELD_BYTES = 64 * 1024
"""Bytes of all that a form has beside its file."""

FORM, BYTES = "multipart/form-data", "application/octet-stream"

T = TypeVar("T")


async def image_body(request: web.Request, clock: Clock, most: int) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of an uploaded image, which has at most `most`; what comes beside it in a form is ignored.

    Raises:
        UnsupportedType: the body is neither an image nor a form.
        FrameTooLarge: it says that it is too long.
        WrongShape: the form is malformed, or does not have one file.
        BodyTimeout: it does not arrive in time.
        ConnectionError: the client is gone.
    """
    form = request.content_type == FORM
    if not form and not request.content_type.startswith("image/") and request.content_type != BYTES:
        raise UnsupportedType(field="Content-Type", limit=f"image/*, {FORM}")
    if request.content_length is not None and request.content_length > most + (FIELD_BYTES if form else 0):
        raise FrameTooLarge(limit=f"{most} bytes")
    deadline = _Deadline(clock)
    try:
        if form:
            async for piece in _file_of_form(MultipartReader(request.headers, request.content), deadline):
                yield piece
        else:
            while piece := await deadline.wait_for(request.content.readany()):
                yield piece
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError, web.RequestPayloadError):
        # What aiohttp raises for a body that is broken: none of these is documented, and each has been seen.
        raise WrongShape(limit="a whole body, with one file if it is a form") from None


class _Deadline:
    """How long a client may still take for a body."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end = clock.monotonic() + UPLOAD_SECONDS

    async def wait_for(self, read: Awaitable[T]) -> T:
        """Await a piece; raise BodyTimeout if it takes too long."""
        left = max(self._end - self._clock.monotonic(), 0.0)
        try:
            async with self._clock.timeout(min(left, BODY_SECONDS)):
                return await read
        except TimeoutError:
            raise BodyTimeout(limit=f"{BODY_SECONDS:g} s without any byte, {UPLOAD_SECONDS:g} s in all") from None


async def _file_of_form(form: MultipartReader, deadline: _Deadline) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of the only file of a form. Parts without a file name are fields."""
    found = False
    left = FIELD_BYTES
    while (part := await deadline.wait_for(form.next())) is not None:
        if not isinstance(part, BodyPartReader):
            raise WrongShape(field="file", limit="no form within a form")
        is_file = part.filename is not None
        if is_file and found:
            raise WrongShape(field="file", limit="one file")
        found = found or is_file
        while piece := await deadline.wait_for(part.read_chunk(PIECE)):
            if is_file:
                yield bytes(piece)
            else:
                left -= len(piece)
                if left < 0:
                    raise FrameTooLarge(limit=f"{FIELD_BYTES} bytes beside the file")
    if not found:
        raise WrongShape(field="file", limit="one part with a file name")
