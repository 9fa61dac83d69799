"""The files of the page in memory: below a path that names their version for good, and below one that does not."""

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from posixpath import splitext

from aiohttp import hdrs, web

from xinflight.web.client_static import CLIENT_STATIC
from xinflight.web.context import HttpContext
from xinflight.web.packing import dense, imports, pack
from xinflight.web.static_content import StaticContent

__all__ = ["ENTRY", "AssetFiles", "Assets", "own_assets", "packed", "page_assets", "read_assets", "without_comments"]

REVALIDATE: dict[str, str] = {hdrs.CACHE_CONTROL: "no-cache"}
FOR_EVER: dict[str, str] = {hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable"}
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
WORKER = "worker.js"
FOR_WORKER = {
    # It may answer for the page, two levels above it, and load what the page may load.
    "Service-Worker-Allowed": "../../",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'",
}
FILES = "files.json"
"""The list of all files, for the service worker: the page names only those that it needs at first."""
VENDOR = "vendor/"
"""Files of others are sent as they are, with the notices of their licences."""
ENTRY = "page/main.js"
FIRST_MODULES = "first.js"
"""All that the entry imports at once."""
STYLES = [f"styles/{name}.css" for name in ("style", "frame", "dock", "sheet", "find")]
FIRST_STYLES = "styles/first.css"
"""The stylesheets of the first screen; later rules win."""

_COMMENT_LINES = re.compile(r"^[ \t]*(?://[^\n]*|/\*(?:(?!\*/).)*\*/[ \t]*)$", re.MULTILINE | re.DOTALL)


class AssetFiles:
    """Files that browsers load, by their path. `version` changes with any of them: they can be kept for good."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {name: StaticContent(data, TYPES[splitext(name)[1]]) for name, data in files.items()}
        tags = "".join(f"{name} {content.etag}\n" for name, content in self._files.items())
        self.version = f"v-{hashlib.sha256(tags.encode()).hexdigest()[:12]}"
        names = [name for name in files if name != WORKER]
        self._files[FILES] = StaticContent(json.dumps(names).encode(), TYPES[".json"])

    def get(self, name: str) -> StaticContent | None:
        """Return the file with this path."""
        return self._files.get(name)

    def text(self, name: str) -> str:
        """Return the text of the file with this path; raise KeyError if there is none."""
        return self._files[name].data.decode()

    def modules(self, *entries: str) -> list[str]:
        """Return the paths of modules and of all that they import, each after the first that imports it.

        A browser that is told of them at once loads them at once, instead of one level of imports after the other.
        What is imported by a call of `import()` is not among them: it is loaded when it is needed.
        """
        found = list(entries)
        for name in found:
            for path in imports(name, self.text(name)):
                if path not in found:
                    found.append(path)
        return found


def read_assets(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder by their path, without comments, which are two fifths of what is sent.

    Only files with a media type in TYPES are for browsers: not the licences and type declarations beside them.
    """
    files: dict[str, bytes] = {}
    for path in sorted(file for file in folder.rglob("*") if file.suffix in TYPES):
        name = path.relative_to(folder).as_posix()
        files[name] = path.read_bytes()
        if path.suffix in (".css", ".js") and not name.startswith(VENDOR):
            files[name] = without_comments(files[name].decode()).encode()
    return files


def packed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files as the page loads them: the modules of its first screen are one, and so are its stylesheets."""
    first = [name for name in AssetFiles(files).modules(ENTRY)[1:] if not name.startswith(VENDOR)]
    scripts = {name: data.decode() for name, data in files.items() if name.endswith(".js")}
    modules = {name: source.encode() for name, source in pack(scripts, first, FIRST_MODULES).items()}
    left = {name: data for name, data in files.items() if name not in (*first, *STYLES)}
    return left | modules | {FIRST_STYLES: dense("\n".join(files[name].decode() for name in STYLES)).encode()}


def without_comments(source: str) -> str:
    """Empty all lines of a script or stylesheet that are nothing but comment; the others keep their numbers."""
    return _COMMENT_LINES.sub(lambda comment: "\n" * comment[0].count("\n"), source)


@functools.cache
def own_assets() -> AssetFiles:
    """Return the files of the gateway's own page, each by itself. Cached for all gateways of the process."""
    return AssetFiles(read_assets(CLIENT_STATIC / "assets"))


@functools.cache
def page_assets() -> AssetFiles:
    """Return what the gateway's own page loads, below the path of its version. Cached like `own_assets`."""
    return AssetFiles(packed(read_assets(CLIENT_STATIC / "assets")))


class Assets:
    """The scripts and styles of the gateway's own page, for browsers that come back and for pages of others."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._files = own_assets()
        self._page = page_assets()

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Handle GET of a file; raise HTTPNotFound for what is not there.

        Below the path of the current version it can be kept for good. Below that of another there is nothing: a page
        of that version must not be given modules of this one.
        """
        version, _, name = request.match_info["file"].partition("/")
        if version == self._page.version:
            content, headers = self._page.get(name), FOR_EVER | (FOR_WORKER if name == WORKER else {})
        else:
            content, headers = self._files.get(request.match_info["file"]), REVALIDATE
        if content is None:
            raise web.HTTPNotFound(text="There is no such file.\n")
        # Pages of `allow_origins` may import the client.
        return await content.respond(request, headers | self._context.cors(request))
