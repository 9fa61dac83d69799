"""The emulated Xinference over HTTP: FastAPI's manners on aiohttp."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import msgspec
from aiohttp import web

from xinflight.demo.emulator import BLOCK_SECONDS, EmulatedModel, Emulator, Refusal
from xinflight.demo.replica import Job
from xinflight.demo.wire import decode_generations, decode_txt2img

__all__ = ["emulator_app", "serve_emulator"]

KEEPALIVE_SECONDS = 5.0  # XINFERENCE_HTTP_TIMEOUT_KEEP_ALIVE
MAX_BODY = 8 * 1024 * 1024  # bytes; prompts of 100,000 characters are taken upstream
IMAGE_FOLDER = "/xinference/image"  # where a real server leaves what it answers as `url`

ENGINE = web.AppKey("engine", Emulator)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Which scope of a key each path wants; the others are open.
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
async def _manners(request: web.Request, handler: Handler) -> web.StreamResponse:
    engine = request.app[ENGINE]
    if engine.unreachable:
        return _tear(request)
    resource = request.match_info.route.resource
    scope = _SCOPES.get(resource.canonical) if resource else None
    try:
        if scope:
            engine.check_key(request.remote or "", request.headers.get("Authorization"), scope)
        return await handler(request)
    except Refusal as refusal:
        return _refused(refusal)
    except web.HTTPMethodNotAllowed:
        # GET falls through to the server of its web page, which does not have it.
        status, detail = (404, "Not Found") if request.method == "GET" else (405, "Method Not Allowed")
        return _json({"detail": detail}, status=status)
    except web.HTTPNotFound:
        return _json({"detail": "Not Found"}, status=404)


def _refused(refusal: Refusal) -> web.Response:
    if refusal.plain:
        return web.Response(text=refusal.detail, status=refusal.status, headers=refusal.headers)
    return _json({"detail": refusal.detail}, status=refusal.status, headers=refusal.headers)


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content), status=status, headers=headers, content_type="application/json"
    )


def _tear(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _status(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    now = engine.clock.time()
    worker = {"update_time": now, "failure_remaining_count": 5, "status": {}}
    return _json({"uptime": int(now - engine.started), "workers": {"127.0.0.1:26588": worker}})


async def _openapi(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    paths = [resource.canonical for resource in request.app.router.resources()]
    if engine.options.txt2img_abort:
        paths.append("/sdapi/v1/interrupt")
    else:
        paths.remove("/sdapi/v1/progress")
    info = {"title": "Xinference, emulated", "version": engine.options.version}
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
    models = request.app[ENGINE].listed()
    data = [{"id": model.uid, **head, **_model_fields(model)} for model in models]
    return _json({"object": "list", "data": data})


async def _model(request: web.Request) -> web.Response:
    model = request.app[ENGINE].model(request.match_info["uid"])
    return _json({"owned_by": "xinference", **_model_fields(model), "n_worker": 1})


async def _replicas(request: web.Request) -> web.Response:
    return _json(request.app[ENGINE].replicas(request.match_info["uid"]))


async def _registration(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    model = request.app[ENGINE].models().get(name)
    if model is None:
        raise Refusal(400, f"Model {name} not found")
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
    return _json({"auth": request.app[ENGINE].options.api_key is not None})


async def _version(request: web.Request) -> web.Response:
    return _json({"version": request.app[ENGINE].options.version, "full-revisionid": "emulated"})


async def _progress(request: web.Request) -> web.Response:
    return _json(request.app[ENGINE].progress(request.match_info["request_id"]))


async def _sdapi_progress(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    if not engine.options.txt2img_abort:
        raise web.HTTPNotFound
    request_id = request.query.get("request_id")
    if request_id is None:
        text = "1 validation error for SDAPIProgress\nrequest_id\n  field required (type=value_error.missing)"
        raise Refusal(422, text)
    return _json({"progress": engine.progress(request_id)["progress"]})


class _AbortBody(msgspec.Struct):
    block_duration: float = BLOCK_SECONDS


async def _abort(request: web.Request) -> web.Response:
    try:
        body = msgspec.json.decode(await request.read(), type=_AbortBody)
    except msgspec.DecodeError as wrong:
        raise Refusal(500, "Expecting value: line 1 column 1 (char 0)") from wrong
    engine = request.app[ENGINE]
    names = request.match_info
    return _json({"msg": engine.abort(names["uid"], names["request_id"], body.block_duration)})


async def _txt2img(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    job = await engine.txt2img(decode_txt2img(await request.read()))

    def answer(pictures: list[str]) -> object:
        return {"images": pictures, "info": {"created": int(engine.clock.time())}, "parameters": {}}

    return await _answer(request, job, answer)


async def _generations(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    body = decode_generations(await request.read())
    job = await engine.generations(body)

    def answer(pictures: list[str]) -> object:
        if body.response_format == "b64_json":
            data = [{"url": None, "b64_json": picture} for picture in pictures]
        elif body.response_format == "url":
            data = [{"url": f"{IMAGE_FOLDER}/{uuid4().hex}.jpg", "b64_json": None} for _ in pictures]
        else:
            raise Refusal(500, f"Unsupported response format: {body.response_format}")
        return {"created": int(engine.clock.time()), "data": data}

    return await _answer(request, job, answer)


async def _answer(request: web.Request, job: Job, shape: Callable[[list[str]], object]) -> web.StreamResponse:
    """Wait for the job's end, or for its connection's, and answer with the faults that it asked for."""
    await asyncio.wait((job.answer, job.torn), return_when=asyncio.FIRST_COMPLETED)
    if job.torn.done():
        return _tear(request)
    if job.faults.hang:
        await request.app[ENGINE].closing.wait()
        return _tear(request)
    pictures = job.answer.result()
    match job.faults.garbage:
        case "text":
            return web.Response(text="<html>it works</html>", content_type="text/html")
        case "shape":
            return _json({"images": 7, "data": "none"})
        case "base64":
            return _json(shape(["?" for _ in pictures]))
        case "picture":
            return _json(shape([base64.b64encode(b"not a picture").decode() for _ in pictures]))
    response = _json(shape([base64.b64encode(picture).decode() for picture in pictures]))
    return await _torn_answer(request, response) if job.faults.reset else response


async def _torn_answer(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body
    assert isinstance(body, bytes), "JSON answers are bytes"
    torn = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await torn.prepare(request)
    await torn.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return torn


def emulator_app(engine: Emulator) -> web.Application:
    """Make an application that answers as Xinference does, for `engine`."""
    app = web.Application(middlewares=[_manners], client_max_size=MAX_BODY)
    app[ENGINE] = engine
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
async def serve_emulator(engine: Emulator, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `engine` over HTTP and yield the base URL, without a slash at its end. Port 0 takes a free one.

    On the way out the engine goes down first, as a killed server does, then the connections. A client that
    leaves stops nothing.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(
        emulator_app(engine), access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await engine.aclose()
        await runner.cleanup()
