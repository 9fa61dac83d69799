"""Errors as HTTP says them: problem details (RFC 9457) with the same codes as the wire."""

import math
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import hdrs, web

from xinflight.errors import Internal, Unauthorised, UnsupportedType, XinflightError
from xinflight.i18n import translate
from xinflight.protocol import Problem
from xinflight.web.context import HttpContext

__all__ = ["Handler", "guarded"]

log = structlog.stdlib.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COME_BACK = 5.0
"""Seconds after which it is worth while to ask again, where nothing better is known."""


def guarded(
    door: HttpContext, handler: Handler, shape: Callable[[XinflightError, str], bytes] | None = None
) -> Handler:
    """Return `handler` behind the checks of the door, its errors turned into answers.

    `shape(error, lang)` writes the body where another dialect than problem details is spoken.
    """

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            response = await _handled(door, handler, request)
        except XinflightError as error:
            door.gateway.refusals.write("request refused", error)
            response = _answer(error, door.lang(request), shape)
        except web.HTTPException as error:
            error.headers.update(door.cors(request))
            raise
        except ConnectionError:
            # The client left; nobody reads this answer (499 is nginx's word for it).
            response = web.Response(status=499)
        except Exception:
            log.exception("request failed", code=Internal.code)
            response = _answer(Internal(), door.lang(request), shape)
        if not response.prepared:
            response.headers.update(door.cors(request))
        return response

    return handle


async def _handled(door: HttpContext, handler: Handler, request: web.Request) -> web.StreamResponse:
    refusal = door.addresses.forbidden(request)
    if refusal is not None:
        raise refusal
    _check_coding(request)
    return await handler(request)


def _check_coding(request: web.Request) -> None:
    """Refuse a body with a Content-Encoding; raise UnsupportedType.

    An embedding service may have aiohttp inflate bodies, which goes on while an unread rest is thrown away: closing
    the protocol stops that, for a body that is small on the wire can take seconds of the loop.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() == "identity":
        return
    if not request.content.is_eof():
        request.protocol.close()
    raise UnsupportedType(field="Content-Encoding", limit="identity")


def _answer(error: XinflightError, lang: str, shape: Callable[[XinflightError, str], bytes] | None) -> web.Response:
    status = error.status
    # Without the second, a cache may keep a 404 for a task that comes to be (RFC 9111 section 4.2.2).
    headers: dict[str, str] = {hdrs.CONTENT_LANGUAGE: lang, hdrs.CACHE_CONTROL: "no-store"}
    retry_after = error.retry_after
    if retry_after is None and status in (429, 503):
        retry_after = COME_BACK
    if retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(math.ceil(retry_after))
    if isinstance(error, Unauthorised):
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    if shape is not None:
        # OpenAI's clients send again after 409 and every 5xx, which would make the picture twice, unless told.
        headers["X-Should-Retry"] = str(error.retryable).lower()
        return web.Response(status=status, body=shape(error, lang), content_type="application/json", headers=headers)
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=translate(error.code, lang),
        code=error.code,
        field=error.field,
        limit=error.limit,
        retryable=error.retryable,
        retry_after=retry_after,
    )
    body = msgspec.json.encode(problem)
    return web.Response(status=status, body=body, content_type="application/problem+json", headers=headers)
