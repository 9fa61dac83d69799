"""Request ids: one name for a request in its response, in its log lines, and in those of the task that it starts.

Clients and proxies may choose it. It is a label and proves nothing: two requests may have the same one.
"""

import re
import secrets

import structlog

__all__ = ["HEADER", "choose_request_id"]

HEADER = "X-Request-Id"
"""A convention without a standard: nginx, Envoy, Heroku and OpenAI's clients use this name."""

# Whatever is in it can stand in a header and in a line of any log: nobody can forge a second line.
_VALID = re.compile(r"[A-Za-z0-9._-]{8,128}")


def choose_request_id(given: str | None = None) -> str:
    """Return the `request_id` that is bound in structlog's context variables, else the given one, else a new one.

    An id has 8 to 128 characters of A-Z, a-z, 0-9, `.`, `_` and `-`; any other is ignored.
    """
    for known in (structlog.contextvars.get_contextvars().get("request_id"), given):
        if isinstance(known, str) and _VALID.fullmatch(known):
            return known
    return secrets.token_hex(16)
