"""CORS preflight requests (Fetch section 3.3.2)."""

from collections.abc import Collection

from aiohttp import hdrs, web

from xinflight.web.context import HttpContext

__all__ = ["Preflight"]


class Preflight:
    """OPTIONS of one path: the methods and headers that pages of `allow_origins` may send.

    Needs no credentials, since browsers don't send them with a preflight request.
    """

    def __init__(self, context: HttpContext, methods: Collection[str]) -> None:
        self._context = context
        self._allow = ", ".join(methods)

    async def options(self, request: web.Request) -> web.Response:
        """Return the allowed methods and headers; they may be cached for 10 minutes."""
        self._context.check_allowed(request)
        headers = {hdrs.ALLOW: self._allow, **self._context.cors(request)}
        if hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in headers:
            headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = self._allow
            # All that are requested: OpenAI's clients send a dozen headers of their own, and the origin is trusted.
            requested = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
            if requested is not None:
                headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = requested
            headers[hdrs.ACCESS_CONTROL_MAX_AGE] = "600"
        return web.Response(status=204, headers=headers)
