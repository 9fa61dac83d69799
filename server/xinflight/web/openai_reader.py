"""What the APIs of OpenAI share: their errors, and reading the events of the one task that a request stands for."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Literal

import msgspec
import structlog
from aiohttp import web

from xinflight.errors import ShuttingDown, TaskCancelled, TokenExpired, XinflightError, by_code
from xinflight.i18n import translate
from xinflight.model import Event
from xinflight.protocol import Cancelled, Error, OpenAiError, OpenAiProblem
from xinflight.web.streams import EVENT_STREAM, KEEPALIVE, Reader, stream_headers

__all__ = ["OpenAiReader", "failure", "openai_error"]

log = structlog.stdlib.get_logger(__name__)


def openai_error(error: XinflightError, lang: str) -> bytes:
    """Encode an error in OpenAI's format, with the code of the protocol.

    Field and limit are part of the message, since OpenAI's clients show nothing else.
    """
    hints = ": ".join(hint for hint in (error.field, error.limit) if hint)
    problem = OpenAiProblem(
        message=translate(error.code, lang) + (f" ({hints})" if hints else ""),
        type=_error_type(error.status),
        param=error.field,
        code=error.code,
    )
    return msgspec.json.encode(OpenAiError(error=problem))


def _error_type(status: int) -> Literal["invalid_request_error", "rate_limit_error", "server_error"]:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"


def failure(end: Cancelled | Error) -> XinflightError:
    """Return the error that a task ended with."""
    return TaskCancelled() if isinstance(end, Cancelled) else by_code(end.code)(field=end.field, limit=end.limit)


class OpenAiReader(Reader):
    """The client of a response that stands for one task."""

    async def next_event(self, *, ends_at_expiry: bool = True) -> Event | None:
        """Return the next event, or None when there was none for KEEPALIVE seconds; URLs are ids of outputs.

        Raises:
            TokenExpired, Unauthorised: the client's credentials have expired or were revoked.
            ConnectionResetError: the client disconnected.
            ShuttingDown: the server is shutting down; these APIs have no way to resume.
        """
        while True:
            if self.ended is not None and (ends_at_expiry or not isinstance(self.ended, TokenExpired)):
                raise self.ended
            item = await self.subscriber.next_item()
            if isinstance(item, Event):
                return item
            if self.gone:
                raise ConnectionResetError("the client disconnected")
            if self.closing:
                raise ShuttingDown
            try:
                async with self.context.gateway.clock.timeout(KEEPALIVE):
                    await self.subscriber.wake.wait()
            except TimeoutError:
                return None

    async def stream(
        self, write: Callable[[web.StreamResponse], Awaitable[None]], headers: dict[str, str] | None = None
    ) -> web.StreamResponse:
        """Stream what `write` writes. An error becomes an event, since the status was sent before."""
        response = web.StreamResponse(
            headers={**stream_headers(self.context, self._request, EVENT_STREAM), **(headers or {})}
        )
        await response.prepare(self._request)
        try:
            try:
                await write(response)
            except XinflightError as error:
                log.info("stream failed", code=error.code)
                await self.write(response, b"event: error\ndata: %b\n\n" % openai_error(error, self.lang))
            await response.write_eof()
        except ConnectionError:
            log.info("client disconnected", path=self._request.path)
        except Exception:
            log.exception("stream aborted")
            self.abort()
        return response
