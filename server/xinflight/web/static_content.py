"""Responses that are the same for many requests: kept in memory, compressed once, not sent again to who has them."""

import asyncio
import gzip
import hashlib

from aiohttp import hdrs, web

from xinflight.negotiation import weights

__all__ = ["StaticContent"]

BEST = 9
"""Level of gzip: the smallest, since it is paid once."""


class StaticContent:
    """Bytes with a media type and an ETag, and a gzip of them, which is made for the first client that accepts it."""

    def __init__(self, data: bytes, content_type: str) -> None:
        self.data = data
        self.content_type = content_type
        self.etag = hashlib.sha256(data).hexdigest()[:16]
        # Images are compressed already.
        self._compressible = content_type.startswith(("text/", "application/")) or content_type.endswith("+xml")
        self._compressed: bytes | None = None

    async def respond(self, request: web.Request, headers: dict[str, str]) -> web.Response:
        """Return a response with the bytes, compressed if the client accepts gzip, or 304 if it has them."""
        # Weak: the compressed bytes are others (RFC 9110 section 8.8.1).
        headers = {**headers, hdrs.ETAG: f'W/"{self.etag}"'}
        if self._compressible:
            vary = headers.get(hdrs.VARY)
            headers[hdrs.VARY] = f"{vary}, {hdrs.ACCEPT_ENCODING}" if vary else hdrs.ACCEPT_ENCODING
        if any(known.value in (self.etag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        headers[hdrs.CONTENT_TYPE] = self.content_type
        body = self.data
        if self._compressible and _accepts_gzip(request):
            if self._compressed is None:
                self._compressed = await asyncio.to_thread(gzip.compress, self.data, BEST, mtime=0)
            body = self._compressed
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=headers)


def _accepts_gzip(request: web.Request) -> bool:
    accepted = weights(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
    return accepted.get("gzip", accepted.get("*", 0.0)) > 0
