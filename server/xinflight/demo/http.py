"""HTTP endpoints of the emulated Xinference, with the responses of FastAPI on aiohttp."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from xinflight.demo import http_chat, http_listing, http_outputs
from xinflight.demo.emulator import Emulator
from xinflight.demo.errors import HttpError
from xinflight.demo.http_answers import EMULATOR, abort_connection, json_response

__all__ = ["emulator_app", "serve_emulator"]

KEEPALIVE_SECONDS = 5.0  # XINFERENCE_HTTP_TIMEOUT_KEEP_ALIVE
MAX_BODY = 64 * 1024 * 1024  # bytes; upstream has no limit

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Scope of the key that each path requires. Other paths need no key.
_SCOPES = {
    "/v1/models": "models:list",
    "/v1/models/{uid}": "models:list",
    "/v1/models/{uid}/replicas": "models:list",
    "/v1/model_registrations/{type}/{name}": "models:list",
    "/v1/cluster/version": "admin",
    "/sdapi/v1/txt2img": "models:read",
    "/sdapi/v1/img2img": "models:read",
    "/sdapi/v1/progress": "models:read",
    "/v1/images/generations": "models:read",
    "/v1/images/variations": "models:read",
    "/v1/images/inpainting": "models:read",
    "/v1/video/generations": "models:read",
    "/v1/video/generations/image": "models:read",
    "/v1/chat/completions": "models:read",
    "/v1/requests/{request_id}/progress": "models:read",
    "/v1/models/{uid}/requests/{request_id}/abort": "models:read",
}


@web.middleware
async def _errors_as_fastapi(request: web.Request, handler: Handler) -> web.StreamResponse:
    emulator = request.app[EMULATOR]
    if emulator.unreachable:
        return abort_connection(request)
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
        return json_response({"detail": detail}, status=status)
    except web.HTTPNotFound:
        return json_response({"detail": "Not Found"}, status=404)


def _error_response(error: HttpError) -> web.Response:
    if error.plain:
        return web.Response(text=str(error.detail), status=error.status, headers=error.headers)
    return json_response({"detail": error.detail}, status=error.status, headers=error.headers)


def emulator_app(emulator: Emulator) -> web.Application:
    """Create an application with the endpoints of Xinference, backed by `emulator`."""
    app = web.Application(middlewares=[_errors_as_fastapi], client_max_size=MAX_BODY)
    app[EMULATOR] = emulator
    app.add_routes([*http_listing.ROUTES, *http_outputs.ROUTES, *http_chat.ROUTES])
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
