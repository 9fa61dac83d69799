"""The browser page, or somebody's own in its place."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp_jinja2
import jinja2
from aiohttp import web

from xinflight.web.context import HttpContext

__all__ = ["asset_handler", "own_page_handler", "page_handler", "prepare_templates"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY = (
    "default-src 'self'; img-src 'self' data: blob: {pictures}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REVALIDATE = {"Cache-Control": "no-cache"}
"""Asked for again each time, answered 304 as long as nothing changed: old and new modules must not mix."""
TEMPLATES = web.AppKey("xinflight_templates", jinja2.Environment)


def _client_static() -> Path:
    """Return the folder of the browser side, in a checkout and in an installed wheel alike."""
    return Path(str(files("xinflight.client_static")))


def prepare_templates(app: web.Application) -> None:
    """Make the templates known to an application, beside any that its host has."""
    if TEMPLATES not in app:
        loader = jinja2.FileSystemLoader(_client_static() / "templates")
        environment = aiohttp_jinja2.setup(app, app_key=TEMPLATES, loader=loader, autoescape=True, auto_reload=False)
        # Read now: later it would be read on the event loop.
        environment.get_template("index.html")


def page_handler(door: HttpContext, version: str) -> Handler:
    """Return the handler of our page."""
    public = urlsplit(door.gateway.settings.public_url or "")
    policy = POLICY.format(pictures=f"{public.scheme}://{public.netloc}" if public.netloc else "")

    async def handle(request: web.Request) -> web.StreamResponse:
        door.check(request)
        context = {
            "lang": door.lang(request),
            "assets": door.path(request, "assets", file="x").removesuffix("/x"),
            "ws_path": door.path(request, "ws"),
            "version": version,
        }
        response = aiohttp_jinja2.render_template("index.html", request, context, app_key=TEMPLATES)
        response.headers["Content-Security-Policy"] = policy
        response.headers.update(REVALIDATE)
        response.headers["Vary"] = "Accept-Language"
        return response

    return handle


def own_page_handler(door: HttpContext, file: Path) -> Handler:
    """Return the handler of somebody's own page, an HTML file."""

    async def handle(request: web.Request) -> web.StreamResponse:
        door.check(request)
        return web.FileResponse(file, headers=REVALIDATE)

    return handle


def asset_handler(folder: Path | None = None) -> Handler:
    """Return the handler of the files below a folder, by default our page's scripts and styles."""
    folder = folder or _client_static() / "assets"

    async def handle(request: web.Request) -> web.StreamResponse:
        file = await asyncio.to_thread(_file_below, folder, request.match_info["file"])
        if file is None:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return web.FileResponse(file, headers=REVALIDATE)

    return handle


def _file_below(folder: Path, name: str) -> Path | None:
    """Return the file that a name stands for, None where there is none below the folder: not by links either."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, RuntimeError, ValueError):
        # Too long, a ring of links, or a null byte.
        return None
