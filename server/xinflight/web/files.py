"""The files of outputs, by addresses that can't be guessed."""

import mimetypes

from aiohttp import web

from xinflight.web.context import HttpContext

__all__ = ["OUTPUT_ID", "Files"]

OUTPUT_ID = "[A-Za-z0-9_-]+"
"""Characters of an output's id. No other part of a path may reach the file system."""


class Files:
    """Serve the files of outputs."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context

    async def output(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /outputs/{output_id}: return an output's file, cacheable for ever.

        Checks neither credentials nor Origin: the id can't be guessed, so whoever has the URL may load the file.
        """
        output_id = request.match_info["output_id"]
        stored = await self._context.gateway.blobs.get(output_id)
        if stored is None:
            raise web.HTTPNotFound(text="There is no such image.\n")
        suffix = mimetypes.guess_extension(stored.media_type) or ""
        headers = {
            "Content-Type": stored.media_type,
            "Content-Disposition": f'inline; filename="xinflight-{output_id[:8]}{suffix}"',
            "Cache-Control": "private, max-age=31536000, immutable",
            "Content-Security-Policy": "default-src 'none'",
            # Any page that was given the address may embed the file.
            "Cross-Origin-Resource-Policy": "cross-origin",
            **self._context.cors(request),
        }
        if stored.path is not None:
            return web.FileResponse(stored.path, headers=headers)
        return web.Response(body=stored.data, headers=headers)
