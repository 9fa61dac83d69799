"""JSON bodies of requests and responses, and the header that names a new task."""

import re

import msgspec
from aiohttp import hdrs, web

from xinflight.errors import BadTaskId, FrameTooLarge, NotJson, UnsupportedType
from xinflight.tasks import FRAME_BYTES
from xinflight.web.context import HttpContext, body_in_time

__all__ = ["NO_STORE", "PLAIN", "idempotency_key", "read_body", "respond"]

PLAIN = "application/json"
NO_STORE: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}


async def read_body(context: HttpContext, request: web.Request, most: int = FRAME_BYTES) -> bytes:
    """Return a JSON body of at most `most` bytes.

    Raises:
        BodyTimeout: it does not arrive within BODY_SECONDS.
        UnsupportedType: its Content-Type is not JSON.
        FrameTooLarge: it is larger.
        NotJson: it is not UTF-8, or its chunked encoding is broken.
    """
    if request.content_type != PLAIN and request.body_exists:
        raise UnsupportedType(field="Content-Type", limit=PLAIN)
    body = bytearray()
    try:
        async with body_in_time(context.gateway.clock):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most:
                    raise FrameTooLarge(limit=f"{most} bytes")
        # The decoder skips unknown fields without checking that their text is UTF-8.
        body.decode()
    except (UnicodeError, web.RequestPayloadError):
        raise NotJson from None
    return bytes(body)


def respond(content: msgspec.Struct, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON response that is not cached."""
    headers = {**NO_STORE, **(headers or {})}
    return web.Response(body=msgspec.json.encode(content), status=status, content_type=PLAIN, headers=headers)


def idempotency_key(request: web.Request, task_id: str | None) -> str | None:
    """Return the task id in a request's body or Idempotency-Key; raise BadTaskId if malformed or different."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return task_id
    # The draft of the header (draft-ietf-httpapi-idempotency-key-header) has a quoted string; most clients send none.
    key = key.strip().strip('"')
    if not re.fullmatch(r"[A-Za-z0-9._:~-]{1,64}", key) or task_id not in (None, key):
        raise BadTaskId(
            field="Idempotency-Key", limit="1 to 64 of A-Z a-z 0-9 . _ : ~ -, as the task_id if there is one"
        )
    return key
