"""REST for uploads: images for tasks to start from."""

from contextlib import aclosing

from aiohttp import hdrs, web

from xinflight.errors import NotFound
from xinflight.model import Upload
from xinflight.protocol import ListUploads, UploadInfo, UploadPage, from_texts
from xinflight.storage import StoredFile
from xinflight.web.bodies import PLAIN, respond
from xinflight.web.context import HttpContext, choose_type
from xinflight.web.files import file_response
from xinflight.web.upload_bodies import image_body

__all__ = ["UploadApi"]

PAGING = ("cursor", "limit")


class UploadApi:
    """The handlers of `/api/v1/uploads`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /uploads: store an image; return its id, the same one for the same bytes."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        body = image_body(request, self._gateway.clock, self._gateway.settings.upload_bytes)
        async with aclosing(body) as pieces:
            upload, fresh = await self._gateway.uploads.add(owner, pieces)
        location = self._context.url(request, "upload", upload_id=upload.upload_id)
        return respond(_info(upload), 201 if fresh else 200, {hdrs.LOCATION: location})

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /uploads: return a page of the caller's uploads, newest first."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        query = from_texts({name: request.query[name] for name in PAGING if name in request.query}, ListUploads)
        uploads, following = await self._gateway.uploads.page(owner, cursor=query.cursor, limit=query.limit)
        return respond(UploadPage(uploads=[_info(upload) for upload in uploads], next=following))

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /uploads/{upload_id}: return the image to its owner. To others it does not exist."""
        # Counted by address only, as outputs are: a page shows many at once.
        identity = (await self._context.grant(request)).identity
        upload_id = request.match_info["upload_id"]
        upload = await self._gateway.uploads.find(identity.id, upload_id)
        if upload is None:
            raise NotFound(field="upload_id")
        stored = StoredFile(
            media_type=upload.media_type, path=await self._gateway.uploads.path(identity.id, upload_id)
        )
        return file_response(request, upload_id, stored, {hdrs.CACHE_CONTROL: "private, no-cache"})

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """Handle DELETE /uploads/{upload_id}: delete an upload; unfinished tasks that use it keep it to their end."""
        owner = await self._context.owner(request)
        if not await self._gateway.uploads.delete(owner, request.match_info["upload_id"]):
            raise NotFound(field="upload_id")
        return web.Response(status=204)


def _info(upload: Upload) -> UploadInfo:
    return UploadInfo(
        upload_id=upload.upload_id,
        media_type=upload.media_type,
        width=upload.width,
        height=upload.height,
        bytes=upload.bytes,
        expires=upload.expires,
    )
