"""Responses of the emulated Xinference that several of its endpoints share."""

import asyncio
import base64
from collections.abc import Callable

import msgspec
from aiohttp import web

from xinflight.demo.emulator import Emulator
from xinflight.demo.job import Job

__all__ = ["EMULATOR", "abort_connection", "json_response", "respond"]

EMULATOR = web.AppKey("emulator", Emulator)


def json_response(content: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        body=msgspec.json.encode(content), status=status, headers=headers, content_type="application/json"
    )


def abort_connection(request: web.Request) -> web.StreamResponse:
    """Abort the connection of a request; the response that is returned can't be sent any more."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def respond(request: web.Request, job: Job, shape: Callable[[list[str]], object]) -> web.StreamResponse:
    """Wait until the job ends or its connection must be aborted, then respond, applying the faults of the job."""
    await asyncio.wait((job.answer, job.torn), return_when=asyncio.FIRST_COMPLETED)
    if job.torn.done():
        return abort_connection(request)
    if job.faults.hang:
        await request.app[EMULATOR].closing.wait()
        return abort_connection(request)
    images = job.answer.result()
    match job.faults.garbage:
        case "text":
            return web.Response(text="<html>it works</html>", content_type="text/html")
        case "shape":
            return json_response({"images": 7, "data": "none"})
        case "base64":
            return json_response(shape(["?" for _ in images]))
        case "image":
            return json_response(shape([base64.b64encode(b"not an image").decode() for _ in images]))
    response = json_response(shape([base64.b64encode(image).decode() for image in images]))
    return await _partial_response(request, response) if job.faults.reset else response


async def _partial_response(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body
    assert isinstance(body, bytes), "JSON answers are bytes"
    torn = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await torn.prepare(request)
    await torn.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return torn
