"""The specifications of the protocol over HTTP, and a page that documents them."""

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

__all__ = ["DOCUMENT", "Docs"]

DOCUMENT = "[A-Za-z.]*"
"""Characters of a document's name; the page has an empty one."""

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


class Docs:
    """The page that documents the protocol, and the specifications that it links to."""

    async def document(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /docs/{name}; no name is the page. Links are relative, so they work below any prefix."""
        # Generated on the first request, which takes a tenth of a second.
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


@functools.cache
def _documents() -> dict[str, _Document]:
    """Return every document by its name, the page by the empty one. Cached for all gateways of the process."""
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
    """Return text as HTML, with code in backticks marked up as code."""
    return markupsafe.Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(markupsafe.escape(text))))  # noqa: S704
