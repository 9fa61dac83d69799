"""The specifications over HTTP, and a page to read them."""

import asyncio
import functools
import hashlib
import re
from importlib.resources import files

import jinja2
import markupsafe
import msgspec
from aiohttp import ETag, hdrs, web

from xinflight.specs import documents, page_content
from xinflight.web.errors import Handler

__all__ = ["DOCUMENT", "docs_handler"]

DOCUMENT = "[A-Za-z.]*"
"""What the name of a document is made of; none is the page."""

_TYPES = {"css": "text/css", "json": "application/json", "html": "text/html", "ts": "text/plain"}
_HEADERS: dict[str, str] = {
    hdrs.CACHE_CONTROL: "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}


class _Document(msgspec.Struct, frozen=True):
    body: bytes
    content_type: str
    etag: str


def docs_handler() -> Handler:
    """Return the handler of the page and the files that it leads to; links are relative, so any prefix will do."""

    async def handle(request: web.Request) -> web.StreamResponse:
        # Made when somebody asks for the first time: it takes a tenth of a second.
        document = (await asyncio.to_thread(_documents)).get(request.match_info["name"])
        if document is None:
            raise web.HTTPNotFound(text="There is no such document.\n")
        wanted = request.if_none_match or ()
        response = web.Response(headers=_HEADERS)
        if any(tag.value in (document.etag, "*") for tag in wanted):
            response.set_status(304)
        else:
            response.body = document.body
            response.content_type = document.content_type
            response.charset = "utf-8"
        response.etag = ETag(document.etag)
        return response

    return handle


@functools.cache
def _documents() -> dict[str, _Document]:
    """Return every file by its name, the page by none; the same in every application of this process."""
    browser_side = files("xinflight.client_static")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["ticked"] = _ticked
    template = environment.from_string((browser_side / "templates" / "docs.html").read_text("utf-8"))
    contents = {
        **documents(),
        "docs.css": (browser_side / "assets" / "styles" / "docs.css").read_bytes(),
        "conformance.json": (files("xinflight.testing") / "conformance.json").read_bytes(),
    }
    page = template.render(**page_content(), documents=[name for name in contents if name != "docs.css"]).encode()
    return {
        "": _document("docs.html", page),
        **{name: _document(name, content) for name, content in contents.items()},
    }


def _document(name: str, body: bytes) -> _Document:
    kind = _TYPES[name.rpartition(".")[2]]
    return _Document(body=body, content_type=kind, etag=hashlib.sha256(body).hexdigest()[:16])


def _ticked(text: str) -> markupsafe.Markup:
    """Return text as HTML, with what stands in backticks as code."""
    return markupsafe.Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(text))))  # noqa: S704
