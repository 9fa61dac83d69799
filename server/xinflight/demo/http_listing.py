"""Endpoints of the emulated Xinference about its models and requests."""

import msgspec
from aiohttp import web

from xinflight.demo.emulator import BLOCK_SECONDS
from xinflight.demo.errors import HttpError
from xinflight.demo.http_answers import EMULATOR, json_response
from xinflight.demo.model import EmulatedModel

__all__ = ["ROUTES"]


async def _status(request: web.Request) -> web.Response:
    emulator = request.app[EMULATOR]
    now = emulator.clock.time()
    worker = {"update_time": now, "failure_remaining_count": 5, "status": {}}
    return json_response({"uptime": int(now - emulator.started), "workers": {"127.0.0.1:26588": worker}})


async def _openapi(request: web.Request) -> web.Response:
    emulator = request.app[EMULATOR]
    paths = [resource.canonical for resource in request.app.router.resources()]
    if emulator.options.txt2img_abort:
        paths.append("/sdapi/v1/interrupt")
    else:
        paths.remove("/sdapi/v1/progress")
    info = {"title": "Xinference, emulated", "version": emulator.options.version}
    return json_response({"openapi": "3.1.0", "info": info, "paths": {path: {} for path in sorted(paths)}})


def _model_fields(described: EmulatedModel) -> dict[str, object]:
    fields: dict[str, object] = {
        "model_type": described.type,
        "address": "127.0.0.1:40537",
        "accelerators": [],
        "model_name": described.uid,
        "model_engine": described.engine,
        "model_family": described.family,
        "model_ability": described.abilities,
        "replica": described.replicas,
    }
    match described.type:
        case "image":
            fields |= {"model_revision": None, "controlnet": [], "model_base": None}
        case "LLM":
            fields |= {
                "model_lang": ["en", "zh"],
                "model_description": "Text that is written without a model",
                "model_format": "pytorch",
                "model_size_in_billions": "0_1",
                "quantization": "none",
                "multimodal_projector": None,
                "model_hub": "huggingface",
                "revision": None,
                "context_length": described.context,
                "strict_system_first": False,
            }
    return fields


async def _models(request: web.Request) -> web.Response:
    head = {"object": "model", "created": 0, "owned_by": "xinference"}
    listed = request.app[EMULATOR].listed()
    data = [{"id": described.uid, **head, **_model_fields(described)} for described in listed]
    return json_response({"object": "list", "data": data})


async def _model(request: web.Request) -> web.Response:
    described = request.app[EMULATOR].model(request.match_info["uid"])
    return json_response({"owned_by": "xinference", **_model_fields(described), "n_worker": 1})


async def _replicas(request: web.Request) -> web.Response:
    return json_response(request.app[EMULATOR].replicas(request.match_info["uid"]))


async def _registration(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    registered = request.app[EMULATOR].models().get(name)
    if registered is None or registered.type != request.match_info["type"]:
        raise HttpError(400, f"Model {name} not found")
    return json_response(
        {
            "version": 2,
            "model_name": name,
            "model_family": registered.family,
            "model_ability": registered.abilities,
            "controlnet": [],
            "default_model_config": {},
            "default_generate_config": registered.default_generate_config,
        }
    )


async def _auth(request: web.Request) -> web.Response:
    return json_response({"auth": request.app[EMULATOR].options.api_key is not None})


async def _version(request: web.Request) -> web.Response:
    return json_response({"version": request.app[EMULATOR].options.version, "full-revisionid": "emulated"})


async def _progress(request: web.Request) -> web.Response:
    return json_response(request.app[EMULATOR].progress(request.match_info["request_id"]))


async def _sdapi_progress(request: web.Request) -> web.Response:
    emulator = request.app[EMULATOR]
    if not emulator.options.txt2img_abort:
        raise web.HTTPNotFound
    request_id = request.query.get("request_id")
    if request_id is None:
        text = "1 validation error for SDAPIProgress\nrequest_id\n  field required (type=value_error.missing)"
        raise HttpError(422, text)
    return json_response({"progress": emulator.progress(request_id)["progress"]})


class _AbortBody(msgspec.Struct):
    block_duration: float = BLOCK_SECONDS


async def _abort(request: web.Request) -> web.Response:
    try:
        body = msgspec.json.decode(await request.read(), type=_AbortBody)
    except msgspec.DecodeError as wrong:
        raise HttpError(500, "Expecting value: line 1 column 1 (char 0)") from wrong
    emulator = request.app[EMULATOR]
    names = request.match_info
    return json_response({"msg": emulator.abort(names["uid"], names["request_id"], body.block_duration)})


ROUTES = [
    web.get("/status", _status),
    web.get("/openapi.json", _openapi),
    web.get("/v1/models", _models),
    web.get("/v1/models/{uid}", _model),
    web.get("/v1/models/{uid}/replicas", _replicas),
    web.get("/v1/model_registrations/{type}/{name}", _registration),
    web.get("/v1/cluster/auth", _auth),
    web.get("/v1/cluster/version", _version),
    web.get("/v1/requests/{request_id}/progress", _progress),
    web.get("/sdapi/v1/progress", _sdapi_progress),
    web.post("/v1/models/{uid}/requests/{request_id}/abort", _abort),
]
