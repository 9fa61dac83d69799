"""Read the body of an upload piece by piece: an image itself, or a form with images (RFC 7578)."""

from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from xinflight.clock import Clock
from xinflight.errors import BodyTimeout, FrameTooLarge, UnsupportedType, WrongShape
from xinflight.web.context import BODY_SECONDS

__all__ = ["FORM", "UPLOAD_SECONDS", "FormPart", "form_parts", "image_body"]

UPLOAD_SECONDS = 600.0
"""Seconds within which an upload must arrive: 25 MB at 350 kbit/s. Between two pieces it is BODY_SECONDS."""
PIECE = 64 * 1024
FIELD_BYTES = 64 * 1024
"""Bytes of all that a form has beside its files."""
PART_BYTES = 64
"""What each part of a form counts as beside its content, so that there can't be endless empty ones."""

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
    if not form:
        incoming = _Incoming(clock)
        while piece := await incoming.read(request.content.readany()):
            yield piece
        return
    found = False
    async with aclosing(form_parts(request, clock)) as parts:
        async for part in parts:
            if not part.is_file:
                await part.text()
            elif found:
                raise WrongShape(field="file", limit="one file")
            else:
                found = True
                async for piece in part.pieces():
                    yield piece
    if not found:
        raise WrongShape(field="file", limit="one part with a file name")


class _Incoming:
    """A body that is coming in: how long it may still take, and what it may still have beside its files."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end = clock.monotonic() + UPLOAD_SECONDS
        self._left = FIELD_BYTES

    async def read(self, reading: Awaitable[T]) -> T:
        """Await a piece.

        Raises:
            BodyTimeout: it takes too long.
            WrongShape: the body is broken.
        """
        left = max(self._end - self._clock.monotonic(), 0.0)
        try:
            with _broken():
                async with self._clock.timeout(min(left, BODY_SECONDS)):
                    return await reading
        except TimeoutError:
            raise BodyTimeout(limit=f"{BODY_SECONDS:g} s without any byte, {UPLOAD_SECONDS:g} s in all") from None

    def count(self, size: int) -> None:
        """Count bytes beside the files; raise FrameTooLarge if they are too many."""
        self._left -= size
        if self._left < 0:
            raise FrameTooLarge(limit=f"{FIELD_BYTES} bytes beside the files")


@contextmanager
def _broken() -> Iterator[None]:
    """Raise WrongShape for what aiohttp raises for a broken body: none of it is documented, and each was seen."""
    try:
        yield
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError, web.RequestPayloadError):
        raise WrongShape(limit="a whole body, with images as files if it is a form") from None


class FormPart:
    """A part of a form, which must be read to its end before the next one. One with a file name is a file."""

    def __init__(self, part: BodyPartReader, incoming: _Incoming) -> None:
        self.name = part.name or ""
        self.is_file = part.filename is not None
        self._part = part
        self._incoming = incoming

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield its bytes; may raise BodyTimeout and WrongShape."""
        while piece := await self._incoming.read(self._part.read_chunk(PIECE)):
            yield bytes(piece)

    async def text(self) -> str:
        """Return the text of a field.

        Raises:
            WrongShape: it is not UTF-8.
            FrameTooLarge: the form has too much beside its files.
            BodyTimeout: it does not arrive in time.
        """
        data = bytearray()
        async for piece in self.pieces():
            self._incoming.count(len(piece))
            data += piece
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise WrongShape(field=self.name, limit="UTF-8") from None


async def form_parts(request: web.Request, clock: Clock) -> AsyncGenerator[FormPart, None]:
    """Yield the parts of a form, one after the other.

    Raises:
        UnsupportedType: the body is no form.
        WrongShape: it is malformed, or has forms within.
        FrameTooLarge: it has too many parts.
        BodyTimeout: it does not arrive in time.
        ConnectionError: the client is gone.
    """
    if request.content_type != FORM:
        raise UnsupportedType(field="Content-Type", limit=FORM)
    incoming = _Incoming(clock)
    with _broken():
        form = MultipartReader(request.headers, request.content)
    while (part := await incoming.read(form.next())) is not None:
        if not isinstance(part, BodyPartReader):
            raise WrongShape(field="file", limit="no form within a form")
        incoming.count(PART_BYTES)
        yield FormPart(part, incoming)
