"""The request id of an HTTP request: taken from its header or drawn, and sent back in its response."""

import structlog
from aiohttp import web

from xinflight.request_ids import HEADER, choose_request_id
from xinflight.tracing import accept_traceparent

__all__ = ["bind_request", "echo_request_id", "request_id_of"]

_REQUEST_ID = web.RequestKey("request_id", str)


def request_id_of(request: web.Request) -> str:
    """Return the id of a request, always the same one."""
    found = request.get(_REQUEST_ID)
    if found is None:
        found = request[_REQUEST_ID] = choose_request_id(request.headers.get(HEADER))
    return found


def bind_request(request: web.Request) -> None:
    """Add the id to all further log lines of a request, and let what it starts belong to the trace of its client.

    aiohttp handles each request in a context of its own, which ends with it.
    """
    structlog.contextvars.bind_contextvars(request_id=request_id_of(request))
    given = request.headers.getall("traceparent", ())
    # Of several, nobody knows which one is meant.
    if len(given) == 1:
        accept_traceparent(given[0])


def echo_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Send the id back, unless the host application has set one."""
    response.headers.setdefault(HEADER, request_id_of(request))
