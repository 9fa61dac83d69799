"""The browser page, a custom page in its place, and their static files."""

import asyncio
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web

from xinflight.errors import XinflightError
from xinflight.i18n import choose_language
from xinflight.web.context import HttpContext
from xinflight.web.words import FillWords, Words

__all__ = ["Assets", "CustomPage", "Page"]

POLICY = (
    # blob: is an image that somebody has chosen and not uploaded yet.
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: {outputs}; "
    "media-src 'self' {outputs}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # No text ever becomes HTML or a script: browsers that know this refuse innerHTML and the like, except of the
    # fixed templates of lit-html.
    "require-trusted-types-for 'script'; trusted-types lit-html"
)
CUSTOM_POLICY = "object-src 'none'; frame-ancestors 'none'"
"""What can be had of a page that may have scripts of its own, inline ones too, from anywhere."""
REVALIDATE = {"Cache-Control": "no-cache"}
"""Revalidate on every load (304 while unchanged): a mix of old and new modules would break the page."""
TEMPLATES = web.AppKey("xinflight_templates", jinja2.Environment)


def _client_static() -> Path:
    """Return the folder of the browser's files, in a checkout as in an installed wheel."""
    return Path(str(files("xinflight.client_static")))


class Page:
    """The gateway's own page, rendered from a template."""

    def __init__(self, app: web.Application, context: HttpContext, version: str) -> None:
        self._context = context
        self._version = version
        self._words = Words(_client_static() / "assets" / "words")
        public = urlsplit(context.gateway.settings.public_url or "")
        self._policy = POLICY.format(outputs=f"{public.scheme}://{public.netloc}" if public.netloc else "")
        if TEMPLATES not in app:
            # Under a key of its own, beside any templates of the host.
            loader = jinja2.FileSystemLoader(_client_static() / "templates")
            environment = aiohttp_jinja2.setup(
                app,
                app_key=TEMPLATES,
                loader=loader,
                autoescape=True,
                auto_reload=False,
                extensions=[FillWords],
                undefined=jinja2.StrictUndefined,
            )
            # Load it now: the first request would read the file on the event loop.
            environment.get_template("index.html")

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /: return the page in the language of the request. Its links are relative, for any prefix."""
        self._context.check_allowed(request)
        await _identify(self._context, request)
        lang = self._lang(request)
        languages = self._words.languages
        position = [language.tag for language in languages].index(lang)
        variables = {
            "lang": lang,
            "gateway": self._context.name,
            "texts": self._words.texts[lang],
            "words": {
                "lang": lang,
                "languages": [language._asdict() for language in languages],
                "texts": self._words.texts[lang],
            },
            "next_language": languages[(position + 1) % len(languages)],
            "auth": self._context.login.mode,
            # A link on another website could bring somebody else's token; an address that was typed does not.
            "arrived": request.headers.get("Sec-Fetch-Site", ""),
            "version": self._version,
        }
        response = aiohttp_jinja2.render_template("index.html", request, variables, app_key=TEMPLATES)
        response.headers["Content-Security-Policy"] = self._policy
        response.headers.update(REVALIDATE)
        response.headers["Vary"] = "Accept-Language, Cookie, Sec-Fetch-Site"
        return response

    def _lang(self, request: web.Request) -> str:
        """Return the language asked for in the query, else chosen here before, else the one the browser prefers."""
        chosen = request.cookies.get(f"{self._context.name}-lang")
        wanted = request.query.get("lang") or chosen or request.headers.get(hdrs.ACCEPT_LANGUAGE)
        return choose_language(wanted, self._context.gateway.settings.lang, list(self._words.texts))


class CustomPage:
    """The HTML file of the setting `page`."""

    def __init__(self, context: HttpContext, file: Path) -> None:
        self._context = context
        self._file = file

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /: return the file."""
        self._context.check_allowed(request)
        await _identify(self._context, request)
        return web.FileResponse(self._file, headers={**REVALIDATE, "Content-Security-Policy": CUSTOM_POLICY})


class Assets:
    """The files below a folder, by default the scripts and styles of the gateway's own page."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or _client_static() / "assets"
        # A custom folder may have further pages.
        self._headers = REVALIDATE if folder is None else {**REVALIDATE, "Content-Security-Policy": CUSTOM_POLICY}

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Handle GET of a file; raise HTTPNotFound for what is not a file below the folder."""
        file = await asyncio.to_thread(_file_below, self._folder, request.match_info["file"])
        if file is None:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return web.FileResponse(file, headers=self._headers)


async def _identify(context: HttpContext, request: web.Request) -> None:
    """Give a new browser its anonymous identity now: the page's first requests would each get one of their own."""
    if context.login.mode == "anonymous":
        with suppress(XinflightError):
            await context.grant(request)


def _file_below(folder: Path, name: str) -> Path | None:
    """Return the file with this path below the folder, or None; symbolic links can't lead out of the folder."""
    try:
        file = (folder / name).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, RuntimeError, ValueError):
        # The name is too long or has a null byte, or links form a loop.
        return None
