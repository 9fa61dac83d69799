"""The files of outputs, for their owners and for whoever has a signed address."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from xinflight.errors import NotFound
from xinflight.model import download_name, suffix_of
from xinflight.storage import StoredFile
from xinflight.thumbnails import THUMBNAIL_SIDE
from xinflight.web.context import HttpContext, write_whole
from xinflight.web.headers import PLAYABLE, VIEWABLE, content_disposition

__all__ = ["OUTPUT_ID", "Files", "file_response", "thumbnail_response"]

OUTPUT_ID = "[A-Za-z0-9_-]+"
"""Characters of an output's id. No other part of a path may reach the file system."""

PIECE = 2**19
"""Bytes of a large file that are read and written at once, and that wait in memory for one client: with half of them,
the hand-overs to threads cost as much as the rest."""


KEPT_SECONDS = 30 * 86400
"""Seconds for which a browser keeps a thumbnail without asking again. Who signs out has it delete what it keeps."""


class Files:
    """Serve the files of outputs, and their thumbnails."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context

    async def output(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /outputs/{output_id}: return an output's file to its owner, or to anybody by a signed address.

        With `?download=1` browsers save it, under a name that tells when, what for, and the seed.

        To others an output does not exist. Browsers revalidate the owner's copy on every use, so that whoever comes
        after them at the same browser doesn't see it.
        """
        gateway = self._context.gateway
        output_id = request.match_info["output_id"]
        headers, reader = await self._admit(request, output_id)
        if _is_known(request, output_id):
            return _not_modified(output_id, headers)
        stored = await gateway.blobs.get(output_id)
        if stored is None:
            raise NotFound(field="output_id")
        if request.query_string and request.query.get("download") == "1":
            headers[hdrs.CONTENT_DISPOSITION] = await self._as_download(output_id)
        response = file_response(request, output_id, stored, headers)
        # An admin who looks at it takes no delivery for its owner.
        awaited = gateway.deliveries.awaits(output_id, by=reader)
        if awaited and await write_whole(request, response, self._context.cors(request)):
            gateway.deliveries.fetched(output_id)
        return response

    async def _as_download(self, output_id: str) -> str:
        """Return the header under which a file is saved; raise NotFound if it was deleted meanwhile."""
        task = await self._context.gateway.journal.store.task_of_output(output_id)
        files = [] if task is None else [output for output in task.files if output.output_id == output_id]
        if task is None or not files:
            raise NotFound(field="output_id")
        return content_disposition(download_name(task, files[0]))

    async def thumbnail(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /outputs/{output_id}/thumbnail: return a thumbnail to whoever may have the file.

        Browsers don't ask for it again: a page of thousands would otherwise take thousands of requests each time.
        """
        output_id = request.match_info["output_id"]
        headers, reader = await self._admit(request, output_id)
        if reader is not None:
            headers[hdrs.CACHE_CONTROL] = f"private, max-age={KEPT_SECONDS}, immutable"
        return await thumbnail_response(self._context, request, output_id, headers)

    async def _admit(self, request: web.Request, output_id: str) -> tuple[dict[str, str], str | None]:
        """Return the headers of a response with an output, and the owner who asks; None by a signed address.

        Raises:
            NotFound: the caller may not read it, or it does not exist.
        """
        gateway = self._context.gateway
        # Most requests have no query, and parsing none costs as much as parsing one.
        query = request.query if request.query_string else {}
        left = gateway.signer.seconds_left(output_id, query.get("expires", ""), query.get("signature", ""))
        if left and not gateway.marking.hides(output_id):
            # The page that was given the address may embed the file.
            cache = f"private, max-age={int(left)}, immutable"
            return {hdrs.CACHE_CONTROL: cache, "Cross-Origin-Resource-Policy": "cross-origin"}, None
        # Counted by address only: a gallery asks for hundreds of them at once.
        identity = (await self._context.grant(request)).identity
        if not await gateway.may_read(identity, output_id):
            raise NotFound(field="output_id")
        return {hdrs.CACHE_CONTROL: "private, no-cache"}, identity.id


async def thumbnail_response(
    context: HttpContext, request: web.Request, output_id: str, headers: dict[str, str]
) -> web.StreamResponse:
    """Return a response with the thumbnail of an output. Errors as `Thumbnails.get`."""

    def wanted() -> bool:
        return request.transport is not None and not request.transport.is_closing()

    # An ETag of its own: the address of the file may be known to the same cache.
    etag = f"{output_id}.{THUMBNAIL_SIDE}"
    if _is_known(request, etag):
        return _not_modified(etag, headers)
    return file_response(request, etag, await context.gateway.thumbnails.get(output_id, wanted), headers)


def file_response(
    request: web.Request, output_id: str, stored: StoredFile, headers: dict[str, str]
) -> web.StreamResponse:
    """Return a response with a file, or with the part of it that is asked for (RFC 9110 section 14)."""
    if _is_known(request, output_id):
        return _not_modified(output_id, headers)
    headers = {
        hdrs.CONTENT_TYPE: stored.media_type,
        hdrs.CONTENT_DISPOSITION: f'inline; filename="xinflight-{output_id[:8]}{suffix_of(stored.media_type)}"',
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.ETAG: f'"{output_id}"',
        **(PLAYABLE if stored.media_type.startswith("video/") else VIEWABLE),
        **headers,
    }
    data = stored.data or b""
    if stored.data is None or len(data) > PIECE:
        return _LargeResponse(stored, output_id, headers)
    part = _Part.of(request, output_id, len(data))
    return web.Response(status=part.status, body=data[part.start : part.stop], headers=headers | part.headers)


def _is_known(request: web.Request, output_id: str) -> bool:
    """Return whether the client has the file: its content never changes, so its id is a strong ETag."""
    return any(known.value in (output_id, "*") for known in request.if_none_match or ())


def _not_modified(output_id: str, headers: dict[str, str]) -> web.Response:
    """Return the response to a client that has the file (RFC 9110 section 15.4.5)."""
    return web.Response(status=304, headers={hdrs.ETAG: f'"{output_id}"', **headers})


class _Part(NamedTuple):
    """What of a file is sent, and the status and the headers that say so."""

    status: int
    start: int
    stop: int
    headers: dict[str, str]

    @classmethod
    def of(cls, request: web.BaseRequest, etag: str, size: int) -> Self:
        """Return the range that a request asks for, or all `size` bytes; 416 and nothing if it is outside of them."""
        if hdrs.RANGE not in request.headers or request.headers.get(hdrs.IF_RANGE, f'"{etag}"') != f'"{etag}"':
            return cls(200, 0, size, {})
        try:
            start, stop, _ = request.http_range.indices(size)
        except ValueError:
            start = stop = 0
        if start >= stop:
            return cls(416, 0, 0, {hdrs.CONTENT_RANGE: f"bytes */{size}"})
        return cls(206, start, stop, {hdrs.CONTENT_RANGE: f"bytes {start}-{stop - 1}/{size}"})


class _LargeResponse(web.StreamResponse):
    """A large file, piece by piece from memory, else from the disk: with sendfile(2) where the event loop has it.

    uvloop's has not. aiohttp's own class has an ETag of time and size, and no files in memory; all of a body at once
    would be copied into the buffer of each slow reader.
    """

    def __init__(self, stored: StoredFile, etag: str, headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        self._stored = stored
        self._own_etag = etag

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the file, unless it was sent: aiohttp prepares what a handler returns. 404 if it is gone."""
        if self.prepared:
            return None
        data = self._stored.data
        if data is not None:
            return await self._respond(request, len(data), partial(self._send_bytes, memoryview(data)))
        assert self._stored.path is not None  # either bytes or a path
        try:
            file, size = await asyncio.to_thread(_open, self._stored.path)
        except OSError:
            self.set_status(404)
            self.content_length = 0
            return await super().prepare(request)
        with file:
            return await self._respond(request, size, partial(self._send_file, request, file))

    async def _respond(
        self, request: web.BaseRequest, size: int, send: Callable[[_Part], Awaitable[None]]
    ) -> AbstractStreamWriter | None:
        part = _Part.of(request, self._own_etag, size)
        self.set_status(part.status)
        self.headers.update(part.headers)
        self.content_length = part.stop - part.start
        writer = await super().prepare(request)
        if self.content_length and request.method != hdrs.METH_HEAD:
            await send(part)
        await self.write_eof()
        return writer

    async def _send_bytes(self, data: memoryview, part: _Part) -> None:
        for start in range(part.start, part.stop, PIECE):
            await self.write(data[start : min(start + PIECE, part.stop)])
            # A fast reader takes megabytes without a pause; others have a turn between the pieces.
            await asyncio.sleep(0)

    async def _send_file(self, request: web.BaseRequest, file: BinaryIO, part: _Part) -> None:
        if request.transport is None:
            raise ConnectionResetError("the client has left")
        try:
            await asyncio.get_running_loop().sendfile(request.transport, file, part.start, part.stop - part.start)
        except NotImplementedError:
            for start in range(part.start, part.stop, PIECE):
                await self.write(await asyncio.to_thread(_read, file, start, min(PIECE, part.stop - start)))


def _open(path: Path) -> tuple[BinaryIO, int]:
    # Unbuffered: the pieces are large, and a buffer would only be copied from.
    file = path.open("rb", buffering=0)
    return file, os.fstat(file.fileno()).st_size


def _read(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)
