"""The files of outputs, for their owners and for whoever has a signed address."""

import mimetypes

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from xinflight.errors import NotFound
from xinflight.storage import StoredFile
from xinflight.web.context import HttpContext, write_whole
from xinflight.web.headers import PLAYABLE

__all__ = ["OUTPUT_ID", "Files", "file_response"]

OUTPUT_ID = "[A-Za-z0-9_-]+"
"""Characters of an output's id. No other part of a path may reach the file system."""


class Files:
    """Serve the files of outputs."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context

    async def output(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /outputs/{output_id}: return an output's file to its owner, or to anybody by a signed address.

        To others an output does not exist. Browsers revalidate the owner's copy on every use, so that whoever comes
        after them at the same browser doesn't see it.
        """
        gateway = self._context.gateway
        output_id = request.match_info["output_id"]
        left = gateway.signer.seconds_left(
            output_id, request.query.get("expires", ""), request.query.get("signature", "")
        )
        if left:
            headers = {
                hdrs.CACHE_CONTROL: f"private, max-age={int(left)}, immutable",
                # The page that was given the address may embed the file.
                "Cross-Origin-Resource-Policy": "cross-origin",
            }
            stored, reader = await gateway.blobs.get(output_id), None
        else:
            headers = {hdrs.CACHE_CONTROL: "private, no-cache"}
            # Counted by address only: a gallery asks for hundreds of them at once.
            identity = (await self._context.grant(request)).identity
            stored, reader = await gateway.file(identity, output_id), identity.id
        if stored is None:
            raise NotFound(field="output_id")
        response = file_response(request, output_id, stored, headers)
        # An admin who looks at it takes no delivery for its owner.
        awaited = gateway.deliveries.awaits(output_id, by=reader)
        if awaited and await write_whole(request, response, self._context.cors(request)):
            gateway.deliveries.fetched(output_id)
        return response


class _FileResponse(web.FileResponse):
    """A file that is sent once: aiohttp prepares what a handler returns, also if the handler has sent it already."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the file, unless it was sent."""
        return None if self.prepared else await super().prepare(request)


def file_response(
    request: web.Request, output_id: str, stored: StoredFile, headers: dict[str, str]
) -> web.StreamResponse:
    """Return a response with a file; the content of an output never changes, so its id is a strong ETag."""
    suffix = mimetypes.guess_extension(stored.media_type) or ""
    headers = {
        hdrs.CONTENT_TYPE: stored.media_type,
        hdrs.CONTENT_DISPOSITION: f'inline; filename="xinflight-{output_id[:8]}{suffix}"',
        **(PLAYABLE if stored.media_type.startswith("video/") else {}),
        **headers,
    }
    if stored.path is not None:
        return _FileResponse(stored.path, headers=headers)
    response = _memory_response(request, output_id, stored.data or b"", headers)
    response.etag = output_id
    return response


def _memory_response(request: web.Request, etag: str, data: bytes, headers: dict[str, str]) -> web.Response:
    """Return a response with bytes or the part of them that is asked for, as `FileResponse` does (RFC 9110, 14)."""
    if any(known.value in (etag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    headers[hdrs.ACCEPT_RANGES] = "bytes"
    if hdrs.RANGE not in request.headers or request.headers.get(hdrs.IF_RANGE, f'"{etag}"') != f'"{etag}"':
        return web.Response(body=data, headers=headers)
    try:
        start, stop, _ = request.http_range.indices(len(data))
    except ValueError:
        start = stop = 0
    if start >= stop:
        return web.Response(status=416, headers=headers | {hdrs.CONTENT_RANGE: f"bytes */{len(data)}"})
    headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{len(data)}"
    return web.Response(status=206, body=data[start:stop], headers=headers)
