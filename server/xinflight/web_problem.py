"""Errors as HTTP says them: problem details (RFC 9457) with the same codes as the wire."""

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web

from xinflight.errors import Internal, Unauthorised, XinflightError
from xinflight.protocol_http import STATUS, Problem
from xinflight.web_common import Door
from xinflight.words import say

__all__ = ["Handler", "failed_status", "guarded"]

log = structlog.stdlib.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def failed_status(error: XinflightError) -> int:
    """Return the HTTP status of an error."""
    return STATUS[type(error)]


def guarded(door: Door, handler: Handler, shape: Callable[[XinflightError, str], bytes] | None = None) -> Handler:
    """Return `handler` behind the checks of the door, its errors turned into answers.

    `shape(error, lang)` writes the body where another dialect than problem details is spoken.
    """

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        door.check(request)
        try:
            return await handler(request)
        except XinflightError as error:
            log.info("request refused", code=error.code, field=error.field)
            return _answer(error, door.lang(request), shape)
        except web.HTTPException:
            raise
        except ConnectionError:
            # The client left; nobody reads this answer (499 is nginx's word for it).
            return web.Response(status=499)
        except Exception:
            log.exception("request failed", code=Internal.code)
            return _answer(Internal(), door.lang(request), shape)

    return handle


def _answer(error: XinflightError, lang: str, shape: Callable[[XinflightError, str], bytes] | None) -> web.Response:
    status = failed_status(error)
    headers = {"Content-Language": lang}
    if error.retry_after is not None:
        headers["Retry-After"] = str(round(error.retry_after))
    if isinstance(error, Unauthorised):
        headers["WWW-Authenticate"] = "Bearer"
    if shape is not None:
        return web.Response(status=status, body=shape(error, lang), content_type="application/json", headers=headers)
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=say(error.code, lang),
        code=error.code,
        field=error.field,
        limit=error.limit,
        retryable=error.retryable,
        retry_after=error.retry_after,
    )
    body = msgspec.json.encode(problem)
    return web.Response(status=status, body=body, content_type="application/problem+json", headers=headers)
