"""HTTP endpoints of the emulated Xinference, with the responses of FastAPI on aiohttp."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import msgspec
from aiohttp import web

from xinflight.demo.bodies import decode_generations, decode_txt2img
from xinflight.demo.emulator import BLOCK_SECONDS, Emulator
from xinflight.demo.errors import HttpError
from xinflight.demo.model import EmulatedModel
from xinflight.demo.replica import Job

__all__ = ["emulator_app", "serve_emulator"]

KEEPALIVE_SECONDS = 5.0  # XINFERENCE_HTTP_TIMEOUT_KEEP_ALIVE
MAX_BODY = 8 * 1024 * 1024  # bytes; upstream accepts prompts of 100,000 characters
IMAGE_FOLDER = "/xinference/image"  # folder of the files that a real server returns as `url`

EMULATOR = web.AppKey("emulator", Emulator)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Scope of the key that each path requires. Other paths need no key.
_SCOPES = {
    "/v1/models": "models:list",
    "/v1/models/{uid}": "models:list",
    "/v1/models/{uid}/replicas": "models:list",
    "/v1/model_registrations/image/{name}": "models:list",
    "/v1/cluster/version": "admin",
    "/sdapi/v1/txt2img": "models:read",
    "/sdapi/v1/progress": "models:read",
    "/v1/images/generations": "models:read",
    "/v1/requests/{request_id}/progress": "models:read",
    "/v1/models/{uid}/requests/{request_id}/abort": "models:read",
}


@web.middleware
async def _errors_as_fastapi(request: web.Request, handler: Handler) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    if emulator.unreachable:
        return _abort_connection(request)
    resource = request.match_info.route.resource
    scope = _SCOPES.get(resource.canonical) if resource else None
    try:
        if scope:
            emulator.check_key(request.remote or "", request.headers.get("Authorization"), scope)
        return await handler(request)
    except HttpError as error:
        return _error_response(error)
    except web.HTTPMethodNotAllowed:
        # GET falls through to the static files of the web page, which answer 404.
        status, detail = (404, "Not Found") if request.method == "GET" else (405, "Method Not Allowed")
        return _json({"detail": detail}, status=status)
    except web.HTTPNotFound:
        return _json({"detail": "Not Found"}, status=404)


def _error_response(error: HttpError) -> web.Response:
    if error.plain:
        return web.Response(text=error.detail, status=error.status, headers=error.headers)
    return _json({"detail": error.detail}, status=error.status, headers=error.headers)


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content), status=status, headers=headers, content_type="application/json"
    )


def _abort_connection(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _status(request: web.Request) -> web.Response:
    emulator = request.app[EMULATOR]
    now = emulator.clock.time()
    worker = {"update_time": now, "failure_remaining_count": 5, "status": {}}
    return _json({"uptime": int(now - emulator.started), "workers": {"127.0.0.1:26588": worker}})


async def _openapi(request: web.Request) -> web.Response:
    emulator = request.app[EMULATOR]
    paths = [resource.canonical for resource in request.app.router.resources()]
    if emulator.options.txt2img_abort:
        paths.append("/sdapi/v1/interrupt")
    else:
        paths.remove("/sdapi/v1/progress")
    info = {"title": "Xinference, emulated", "version": emulator.options.version}
    return _json({"openapi": "3.1.0", "info": info, "paths": {path: {} for path in sorted(paths)}})


def _model_fields(model: EmulatedModel) -> dict[str, object]:
    return {
        "model_type": "image",
        "address": "127.0.0.1:40537",
        "accelerators": [],
        "model_name": model.uid,
        "model_engine": model.engine,
        "model_family": model.family,
        "model_revision": None,
        "model_ability": model.abilities,
        "controlnet": [],
        "model_base": None,
        "replica": model.replicas,
    }


async def _models(request: web.Request) -> web.Response:
    head = {"object": "model", "created": 0, "owned_by": "xinference"}
    models = request.app[EMULATOR].listed()
    data = [{"id": model.uid, **head, **_model_fields(model)} for model in models]
    return _json({"object": "list", "data": data})


async def _model(request: web.Request) -> web.Response:
    model = request.app[EMULATOR].model(request.match_info["uid"])
    return _json({"owned_by": "xinference", **_model_fields(model), "n_worker": 1})


async def _replicas(request: web.Request) -> web.Response:
    return _json(request.app[EMULATOR].replicas(request.match_info["uid"]))


async def _registration(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    model = request.app[EMULATOR].models().get(name)
    if model is None:
        raise HttpError(400, f"Model {name} not found")
    return _json(
        {
            "version": 2,
            "model_name": name,
            "model_family": model.family,
            "model_ability": model.abilities,
            "controlnet": [],
            "default_model_config": {},
            "default_generate_config": model.default_generate_config,
        }
    )


async def _auth(request: web.Request) -> web.Response:
    return _json({"auth": request.app[EMULATOR].options.api_key is not None})


async def _version(request: web.Request) -> web.Response:
    return _json({"version": request.app[EMULATOR].options.version, "full-revisionid": "emulated"})


async def _progress(request: web.Request) -> web.Response:
    return _json(request.app[EMULATOR].progress(request.match_info["request_id"]))


async def _sdapi_progress(request: web.Request) -> web.Response:
    emulator = request.app[EMULATOR]
    if not emulator.options.txt2img_abort:
        raise web.HTTPNotFound
    request_id = request.query.get("request_id")
    if request_id is None:
        text = "1 validation error for SDAPIProgress\nrequest_id\n  field required (type=value_error.missing)"
        raise HttpError(422, text)
    return _json({"progress": emulator.progress(request_id)["progress"]})


class _AbortBody(msgspec.Struct):
    block_duration: float = BLOCK_SECONDS


async def _abort(request: web.Request) -> web.Response:
    try:
        body = msgspec.json.decode(await request.read(), type=_AbortBody)
    except msgspec.DecodeError as wrong:
        raise HttpError(500, "Expecting value: line 1 column 1 (char 0)") from wrong
    emulator = request.app[EMULATOR]
    names = request.match_info
    return _json({"msg": emulator.abort(names["uid"], names["request_id"], body.block_duration)})


async def _txt2img(request: web.Request) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    job = await emulator.txt2img(decode_txt2img(await request.read()))

    def answer(images: list[str]) -> object:
        return {"images": images, "info": {"created": int(emulator.clock.time())}, "parameters": {}}

    return await _answer(request, job, answer)


async def _generations(request: web.Request) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    body = decode_generations(await request.read())
    job = await emulator.generations(body)

    def answer(images: list[str]) -> object:
        if body.response_format == "b64_json":
            data = [{"url": None, "b64_json": image} for image in images]
        elif body.response_format == "url":
            data = [{"url": f"{IMAGE_FOLDER}/{uuid4().hex}.jpg", "b64_json": None} for _ in images]
        else:
            raise HttpError(500, f"Unsupported response format: {body.response_format}")
        return {"created": int(emulator.clock.time()), "data": data}

    return await _answer(request, job, answer)


async def _answer(request: web.Request, job: Job, shape: Callable[[list[str]], object]) -> web.StreamResponse:
    """Wait until the job ends or its connection must be aborted, then respond, applying the faults of the job."""
    await asyncio.wait((job.answer, job.torn), return_when=asyncio.FIRST_COMPLETED)
    if job.torn.done():
        return _abort_connection(request)
    if job.faults.hang:
        await request.app[EMULATOR].closing.wait()
        return _abort_connection(request)
    images = job.answer.result()
    match job.faults.garbage:
        case "text":
            return web.Response(text="<html>it works</html>", content_type="text/html")
        case "shape":
            return _json({"images": 7, "data": "none"})
        case "base64":
            return _json(shape(["?" for _ in images]))
        case "image":
            return _json(shape([base64.b64encode(b"not an image").decode() for _ in images]))
    response = _json(shape([base64.b64encode(image).decode() for image in images]))
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


def emulator_app(emulator: Emulator) -> web.Application:
    """Create an application with the endpoints of Xinference, backed by `emulator`."""
    app = web.Application(middlewares=[_errors_as_fastapi], client_max_size=MAX_BODY)
    app[EMULATOR] = emulator
    app.add_routes(
        [
            web.get("/status", _status),
            web.get("/openapi.json", _openapi),
            web.get("/v1/models", _models),
            web.get("/v1/models/{uid}", _model),
            web.get("/v1/models/{uid}/replicas", _replicas),
            web.get("/v1/model_registrations/image/{name}", _registration),
            web.get("/v1/cluster/auth", _auth),
            web.get("/v1/cluster/version", _version),
            web.get("/v1/requests/{request_id}/progress", _progress),
            web.get("/sdapi/v1/progress", _sdapi_progress),
            web.post("/sdapi/v1/txt2img", _txt2img),
            web.post("/v1/images/generations", _generations),
            web.post("/v1/models/{uid}/requests/{request_id}/abort", _abort),
        ]
    )
    return app


@asynccontextmanager
async def serve_emulator(emulator: Emulator, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `emulator` over HTTP and yield the base URL without a trailing slash. Port 0 chooses a free port.

    On exit the emulator shuts down first, as a killed server does, then the connections. A client that disconnects
    stops nothing.

    Raises:
        OSError: the port is in use.
    """
    runner = web.AppRunner(
        emulator_app(emulator), access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await emulator.aclose()
        await runner.cleanup()
