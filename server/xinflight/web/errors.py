"""HTTP errors: problem details (RFC 9457) with the same codes as the WebSocket's `error`."""

import math
from collections.abc import Callable
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import hdrs, web

from xinflight.errors import Forbidden, Internal, TokenExpired, Unauthorised, UnsupportedType, XinflightError
from xinflight.i18n import translate
from xinflight.protocol import Problem
from xinflight.web.context import Handler, HttpContext
from xinflight.web.origins import SAFE
from xinflight.web.request_ids import bind_request, request_id_of

__all__ = ["Endpoint", "ErrorBody"]

log = structlog.stdlib.get_logger(__name__)

ErrorBody = Callable[[XinflightError, str], bytes]
"""Encodes an error in a language, for APIs that don't use problem details."""

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""The types that a form can have (Fetch section 2.2.2): a browser sends them to other websites without asking."""

RETRY_AFTER = 5.0
"""Seconds sent as Retry-After with 429 and 503 where the error has no better estimate."""


class Endpoint:
    """An HTTP handler behind the checks of Host, Origin and Content-Encoding, its errors turned into responses.

    `error_body` encodes errors in another format than problem details.
    """

    def __init__(self, context: HttpContext, handler: Handler, error_body: ErrorBody | None = None) -> None:
        self._context = context
        self._handler = handler
        self._error_body = error_body

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Check the request, call the handler, and add the CORS headers to whatever comes of it."""
        context = self._context
        bind_request(request)
        try:
            response = await self._checked(request)
        except XinflightError as error:
            context.gateway.refusals.write("request refused", error)
            response = self._error_response(error, request)
        except web.HTTPException as error:
            error.headers.update(context.cors(request))
            raise
        except ConnectionError:
            # The client disconnected and nobody reads this response; 499 is nginx's code for it.
            response = web.Response(status=499)
        except Exception:
            log.exception("request failed", code=Internal.code)
            response = self._error_response(Internal(), request)
        if not response.prepared:
            response.headers.update(context.cors(request))
        return response

    async def _checked(self, request: web.Request) -> web.StreamResponse:
        refusal = self._context.addresses.forbidden(request)
        if refusal is not None:
            raise refusal
        self._context.count(request)
        _check_cross_site(request)
        _check_content_encoding(request)
        return await self._handler(request)

    def _error_response(self, error: XinflightError, request: web.Request) -> web.Response:
        lang = self._context.lang(request)
        # Without no-store a cache may keep the 404 of a task that is created later (RFC 9111 section 4.2.2).
        headers: dict[str, str] = {hdrs.CONTENT_LANGUAGE: lang, hdrs.CACHE_CONTROL: "no-store"}
        retry_after = error.retry_after
        if retry_after is None and error.status in (429, 503):
            retry_after = RETRY_AFTER
        if retry_after is not None:
            headers[hdrs.RETRY_AFTER] = str(math.ceil(retry_after))
        if isinstance(error, Unauthorised):
            headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        elif isinstance(error, TokenExpired):
            # RFC 6750 section 3.1
            headers[hdrs.WWW_AUTHENTICATE] = 'Bearer error="invalid_token", error_description="expired"'
        if self._error_body is None:
            body = _problem(error, lang, retry_after, request_id_of(request))
            content_type = "application/problem+json"
        else:
            body, content_type = self._error_body(error, lang), "application/json"
            # By default OpenAI's clients retry after 409 and every 5xx, which would generate the image twice.
            headers["X-Should-Retry"] = str(error.retryable and not error.found).lower()
        return web.Response(status=error.status, body=body, content_type=content_type, headers=headers)


def _check_cross_site(request: web.Request) -> None:
    """Refuse a request that another website may have made a browser send, unless its method changes nothing.

    Raises:
        Forbidden: the browser says that it is from another website (Fetch Metadata).
        UnsupportedType: it has cookies and the form of what an HTML form sends.
    """
    if request.method in SAFE or hdrs.ORIGIN in request.headers:
        # Browsers that send neither header with a POST are older than those that keep SameSite cookies to themselves.
        return
    if request.headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site"):
        raise Forbidden(field="Sec-Fetch-Site", limit="the setting allow_origins")
    if hdrs.COOKIE in request.headers and hdrs.CONTENT_TYPE in request.headers and request.content_type in _FORMS:
        raise UnsupportedType(field="Content-Type", limit="application/json, image/*, or a header Origin")


def _check_content_encoding(request: web.Request) -> None:
    """Raise UnsupportedType for a body with a Content-Encoding.

    A host application may have aiohttp decompress bodies, which continues while the unread rest is discarded. Closing
    the protocol stops that: a body of a few KB on the wire could block the event loop for seconds.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() == "identity":
        return
    if not request.content.is_eof():
        request.protocol.close()
    raise UnsupportedType(field="Content-Encoding", limit="identity")


def _problem(error: XinflightError, lang: str, retry_after: float | None, request_id: str) -> bytes:
    return msgspec.json.encode(
        Problem(
            title=HTTPStatus(error.status).phrase,
            status=error.status,
            detail=translate(error.code, lang),
            code=error.code,
            field=error.field,
            limit=error.limit,
            retryable=error.retryable,
            retry_after=retry_after,
            request_id=request_id,
        )
    )
