"""A page of somebody's own in place of the gateway's: the setting `page`."""

import asyncio
from pathlib import Path

from aiohttp import hdrs, web

from xinflight.web.context import HttpContext

__all__ = ["CustomFiles", "CustomPage"]

HEADERS = {
    # Its files may change while it is served.
    hdrs.CACHE_CONTROL: "no-cache",
    # What can be had of a page that may have scripts of its own, inline ones too, from anywhere.
    "Content-Security-Policy": "object-src 'none'; frame-ancestors 'none'",
}


class CustomPage:
    """The HTML file of the setting `page`."""

    def __init__(self, context: HttpContext, file: Path) -> None:
        self._context = context
        self._file = file

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /: return the file."""
        self._context.check_allowed(request)
        await self._context.ensure_identity(request)
        return web.FileResponse(self._file, headers=HEADERS)


class CustomFiles:
    """The files beside it, which may be further pages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Handle GET of a file; raise HTTPNotFound for what is not a file below the folder."""
        file = await asyncio.to_thread(_file_below, self._folder, request.match_info["file"])
        if file is None:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return web.FileResponse(file, headers=HEADERS)


def _file_below(folder: Path, name: str) -> Path | None:
    """Return the file with this path below the folder, or None; symbolic links can't lead out of the folder."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, RuntimeError, ValueError):
        # The name is too long or has a null byte, or links form a loop.
        return None
