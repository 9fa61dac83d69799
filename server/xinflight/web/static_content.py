"""Responses that are the same for many requests: kept in memory, compressed once, not sent again to who has them."""

import asyncio
import functools
import gzip
import hashlib
from collections.abc import Callable

from aiohttp import hdrs, web

from xinflight.negotiation import weights
from xinflight.web.headers import PartOfPage

__all__ = ["StaticContent", "codings"]


def codings() -> dict[str, Callable[[bytes], bytes]]:
    """Return how to compress, the smallest coding first, each at its smallest level, since it is paid once.

    Brotli makes scripts a seventh smaller than gzip; it is there with the extra `speed`. Browsers accept it over TLS,
    and from their own machine.
    """
    codings: dict[str, Callable[[bytes], bytes]] = {
        "gzip": functools.partial(gzip.compress, compresslevel=9, mtime=0)
    }
    try:
        from brotli import compress
    except ImportError:
        return codings
    return {"br": functools.partial(compress, quality=11)} | codings


CODINGS = codings()


class StaticContent:
    """Bytes with a media type and an ETag, compressed once for all clients that accept a coding."""

    def __init__(self, data: bytes, content_type: str) -> None:
        self.data = data
        self.content_type = content_type
        self.etag = hashlib.sha256(data).hexdigest()[:16]
        # Images are compressed already.
        self._compressible = content_type.startswith(("text/", "application/")) or content_type.endswith("+xml")
        self._response = PartOfPage if content_type.startswith(("text/css", "text/javascript")) else web.Response
        self._compressed: dict[str, bytes] = {}

    async def respond(self, request: web.Request, headers: dict[str, str]) -> web.Response:
        """Return a response with the bytes, compressed if the client accepts that, or 304 if it has them."""
        # Weak: the compressed bytes are others (RFC 9110 section 8.8.1).
        headers = {**headers, hdrs.ETAG: f'W/"{self.etag}"'}
        if self._compressible:
            vary = headers.get(hdrs.VARY)
            headers[hdrs.VARY] = f"{vary}, {hdrs.ACCEPT_ENCODING}" if vary else hdrs.ACCEPT_ENCODING
        if any(known.value in (self.etag, "*") for known in request.if_none_match or ()):
            return self._response(status=304, headers=headers)
        headers[hdrs.CONTENT_TYPE] = self.content_type
        body = self.data
        coding = _accepted(request) if self._compressible else None
        if coding is not None:
            if coding not in self._compressed:
                self._compressed[coding] = await asyncio.to_thread(CODINGS[coding], self.data)
            body = self._compressed[coding]
            headers[hdrs.CONTENT_ENCODING] = coding
        return self._response(body=body, headers=headers)


def _accepted(request: web.Request) -> str | None:
    """Return the first of CODINGS that the client accepts by its name, or gzip for `*`; None for none of them."""
    accepted = weights(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
    accepted.setdefault("gzip", accepted.get("*", 0.0))
    return next((coding for coding in CODINGS if accepted.get(coding, 0.0) > 0), None)
