"""The files of the page in memory: below a path that names their version for good, and below one that does not."""

import functools
import hashlib
import json
import re
from pathlib import Path
from posixpath import dirname, join, normpath

from aiohttp import hdrs, web

from xinflight.web.client_static import CLIENT_STATIC
from xinflight.web.context import HttpContext
from xinflight.web.static_content import StaticContent

__all__ = ["AssetFiles", "Assets", "own_assets", "without_comments"]

REVALIDATE: dict[str, str] = {hdrs.CACHE_CONTROL: "no-cache"}
FOR_EVER: dict[str, str] = {hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable"}
TYPES = {
    ".css": "text/css; charset=utf-8",
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

_COMMENT_LINES = re.compile(r"^[ \t]*(?://[^\n]*|/\*(?:(?!\*/).)*\*/[ \t]*)$", re.MULTILINE | re.DOTALL)
_IMPORTED = re.compile(r"(?:^|;)(?:import|export)\b(?:[^\"();]*\bfrom)?\s*\"([^\"]+)\"", re.MULTILINE)


class AssetFiles:
    """All files below a folder, read at once; their comments are left out, which are two fifths of what is sent.

    `version` changes with any of them, so that the modules below its path fit together, and can be kept for good.
    Only files with a media type in TYPES are for browsers: not the licences and type declarations beside them.
    """

    def __init__(self, folder: Path) -> None:
        self._files: dict[str, StaticContent] = {}
        digest = hashlib.sha256()
        for path in sorted(file for file in folder.rglob("*") if file.suffix in TYPES):
            name = path.relative_to(folder).as_posix()
            data = path.read_bytes()
            if path.suffix in (".css", ".js") and not name.startswith(VENDOR):
                data = without_comments(data.decode()).encode()
            self._files[name] = StaticContent(data, TYPES[path.suffix])
            digest.update(f"{name} {self._files[name].etag}\n".encode())
        self.version = f"v-{digest.hexdigest()[:12]}"
        names = [name for name in self._files if name != WORKER]
        self._files[FILES] = StaticContent(json.dumps(names).encode(), TYPES[".json"])

    def get(self, name: str) -> StaticContent | None:
        """Return the file with this path below the folder."""
        return self._files.get(name)

    def modules(self, *entries: str) -> list[str]:
        """Return the paths of modules and of all that they import, each after the first that imports it.

        A browser that is told of them at once loads them at once, instead of one level of imports after the other.
        What is imported by a call of `import()` is not among them: it is loaded when it is needed.
        """
        found = list(entries)
        for name in found:
            for specifier in _IMPORTED.findall(self._files[name].data.decode()):
                path = normpath(join(dirname(name), specifier))
                if path not in found:
                    found.append(path)
        return found


def without_comments(source: str) -> str:
    """Empty all lines of a script or stylesheet that are nothing but comment; the others keep their numbers."""
    return _COMMENT_LINES.sub(lambda comment: "\n" * comment[0].count("\n"), source)


@functools.cache
def own_assets() -> AssetFiles:
    """Return the files of the gateway's own page. Cached for all gateways of the process."""
    return AssetFiles(CLIENT_STATIC / "assets")


class Assets:
    """The scripts and styles of the gateway's own page, for browsers that come back and for pages of others."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._files = own_assets()

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Handle GET of a file; raise HTTPNotFound for what is not there.

        Below the path of the current version it can be kept for good. Below that of another there is nothing: a page
        of that version must not be given modules of this one.
        """
        version, _, name = request.match_info["file"].partition("/")
        if version == self._files.version:
            content, headers = self._files.get(name), FOR_EVER | (FOR_WORKER if name == WORKER else {})
        else:
            content, headers = self._files.get(request.match_info["file"]), REVALIDATE
        if content is None:
            raise web.HTTPNotFound(text="There is no such file.\n")
        # Pages of `allow_origins` may import the client.
        return await content.respond(request, headers | self._context.cors(request))
