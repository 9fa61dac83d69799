"""Share links: explicit, revocable addresses of single images for people without credentials."""

import msgspec
from aiohttp import hdrs, web

from xinflight.errors import NotFound
from xinflight.file_metadata import without_parameters
from xinflight.i18n import translate
from xinflight.model import Share
from xinflight.negotiation import preferred_type
from xinflight.protocol import ListShares, NewShare, ShareBody, ShareInfo, SharePage, from_json, from_texts
from xinflight.storage import StoredFile
from xinflight.threads import on_thread
from xinflight.web.bodies import PLAIN, read_body, respond
from xinflight.web.context import HttpContext, choose_type
from xinflight.web.files import file_response, thumbnail_response

__all__ = ["Shares"]

PROBLEM = "application/problem+json"
PAGING = ("cursor", "limit", "task_id")
HEADERS = {
    # Revalidated on every use, so that a revoked link stops working at once.
    hdrs.CACHE_CONTROL: "no-cache",
    "Cross-Origin-Resource-Policy": "cross-origin",
    # The address is the only credential: it must not reach other websites or search engines.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
"""Headers of whatever is shared."""


class Shares:
    """The handlers of `/api/v1/shares` and `/shared/`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /shares: create a link to an image of the caller; the answer is the only one that has it."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        body = from_json(await read_body(self._context, request), ShareBody)
        task = await self._gateway.find(owner, body.task_id)
        if task is None:
            raise NotFound(field="task_id")
        share, secret = await self._gateway.sharing.create(task, body.index, body.expires)
        url = self._context.url(request, "shared", secret=secret)
        return respond(NewShare(**msgspec.structs.asdict(_info(share)), url=url), 201)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /shares: return a page of the caller's shares, newest first."""
        owner = await self._context.owner(request)
        choose_type(request, (PLAIN,))
        query = from_texts({name: request.query[name] for name in PAGING if name in request.query}, ListShares)
        shares, following = await self._gateway.sharing.page(
            owner, cursor=query.cursor, limit=query.limit, task_id=query.task_id
        )
        return respond(
            SharePage(
                shares=[_info(share) for share in shares if not self._gateway.marking.hides(share.output_id)],
                next=following,
            )
        )

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """Handle DELETE /shares/{share_id}: revoke a share; its link is 404 from now on."""
        owner = await self._context.owner(request)
        if not await self._gateway.sharing.revoke(owner, request.match_info["share_id"]):
            raise NotFound(field="share_id")
        return web.Response(status=204)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /shared/{secret}: return a shared image to anybody, without the prompt that is in its file."""
        try:
            share = await self._shared(request)
        except NotFound:
            if preferred_type(request.headers.getall(hdrs.ACCEPT, []), (PROBLEM, "text/html")) != "text/html":
                raise
            return self._gone(request)
        stored = await self._gateway.blobs.get(share.output_id)
        try:
            shared = None if stored is None else await on_thread(_for_others, stored)
        except OSError:
            shared = None
        if shared is None:
            raise NotFound(field="secret")
        return file_response(request, f"{share.output_id}.shared", shared, dict(HEADERS))

    def _gone(self, request: web.Request) -> web.Response:
        """Tell somebody who follows a link in a browser that it opens nothing; scripts are told as everywhere."""
        lang = self._context.lang(request)
        headers = HEADERS | {hdrs.CACHE_CONTROL: "no-store", hdrs.CONTENT_LANGUAGE: lang}
        return web.Response(status=404, text=f"{translate('share_gone', lang)}\n", headers=headers)

    async def thumbnail(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /shared/{secret}/thumbnail: return the thumbnail of a shared image to anybody."""
        share = await self._shared(request)
        return await thumbnail_response(self._context, request, share.output_id, dict(HEADERS))

    async def _shared(self, request: web.Request) -> Share:
        share = await self._gateway.sharing.find(request.match_info["secret"])
        if share is None or self._gateway.marking.hides(share.output_id):
            raise NotFound(field="secret")
        return share


def _for_others(stored: StoredFile) -> StoredFile:
    """Return an image without its parameters; a video has none. Raises OSError: its file is gone."""
    if not stored.media_type.startswith("image/"):
        return stored
    data = stored.data
    if data is None:
        assert stored.path is not None  # either bytes or a path
        data = stored.path.read_bytes()
    return StoredFile(media_type=stored.media_type, data=without_parameters(data))


def _info(share: Share) -> ShareInfo:
    return ShareInfo(
        id=share.id, task_id=share.task_id, index=share.index, created=share.created, expires=share.expires
    )
