"""The browser page, or somebody's own in its place."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

import aiohttp_jinja2
import jinja2
from aiohttp import web

from xinflight.web_common import Door

__all__ = ["assets_folder", "own_page_handler", "page_handler", "prepare_templates"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TEMPLATES = web.AppKey("xinflight_templates", jinja2.Environment)


def client_static() -> Path:
    """Return the folder of the browser side, in a checkout and in an installed wheel alike."""
    return Path(str(files("xinflight.client_static")))


def assets_folder() -> Path:
    """Return the folder of scripts and styles."""
    return client_static() / "assets"


def prepare_templates(app: web.Application) -> None:
    """Make the templates known to an application, beside any that its host has."""
    if TEMPLATES not in app:
        loader = jinja2.FileSystemLoader(client_static() / "templates")
        aiohttp_jinja2.setup(app, app_key=TEMPLATES, loader=loader, autoescape=True)


def page_handler(door: Door, version: str) -> Handler:
    """Return the handler of our page."""

    async def handle(request: web.Request) -> web.StreamResponse:
        door.check(request)
        context = {
            "lang": door.lang(request),
            "assets": door.path(request, "assets", filename="").removesuffix("/"),
            "ws_path": door.path(request, "ws"),
            "version": version,
        }
        response = aiohttp_jinja2.render_template("index.html", request, context, app_key=TEMPLATES)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Vary"] = "Accept-Language"
        return response

    return handle


def own_page_handler(door: Door, file: Path) -> Handler:
    """Return the handler of somebody's own page, an HTML file."""

    async def handle(request: web.Request) -> web.StreamResponse:
        door.check(request)
        return web.FileResponse(file, headers={"Cache-Control": "no-cache"})

    return handle
