"""Mount a gateway in an aiohttp application: the only place where the concrete parts meet."""

from collections import defaultdict
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiohttp import web

from xinflight.clock import Clock, SystemClock
from xinflight.gateway import Gateway
from xinflight.journal import MemoryBus
from xinflight.settings import BadSettings, Settings
from xinflight.storage import Blobs, FileBlobs, MemoryBlobs, MemoryStore, SqliteStore, Store
from xinflight.web import (
    DOCUMENT,
    LOCAL,
    PICTURE_ID,
    Addresses,
    Authenticate,
    Handler,
    HttpContext,
    Identity,
    Token,
    asset_handler,
    cancel_handler,
    delete_handler,
    docs_handler,
    events_handler,
    generations_handler,
    guarded,
    health_handler,
    list_handler,
    login_handler,
    models_handler,
    notices_handler,
    openai_error,
    openai_models_handler,
    own_page_handler,
    page_handler,
    picture_handler,
    preflight_handler,
    prepare_templates,
    protect,
    submit_handler,
    task_events_handler,
    task_handler,
    task_picture_handler,
    token_authenticate,
    ws_handler,
)

__all__ = ["setup"]

TASK = "{task_id:[^/]+}"


async def _everybody(request: web.Request, token: str | None) -> Identity:
    return LOCAL


def setup(
    app: web.Application,
    settings: Settings | None = None,
    *,
    prefix: str = "",
    name: str = "xinflight",
    authenticate: Authenticate | None = None,
    token: Token | None = None,
    page: bool = False,
    clock: Clock | None = None,
) -> Gateway:
    """Mount a gateway below `prefix` and return it; it opens and closes with the application.

    `authenticate(request, token)` says who a request is from, None for nobody; without it everybody is `local`. With
    `token` whoever knows it is, and `{prefix}/login` exchanges it for a cookie. Without `authenticate` the Host of a
    request must be an IP address, localhost, or a name of the settings.
    Routes are named `{name}:ws`, `{name}:tasks`, `{name}:task`, `{name}:events`, `{name}:models`, `{name}:notices`,
    `{name}:openai`, `{name}:docs`, `{name}:picture`, `{name}:health`, with `token` `{name}:login`, and with
    `page` `{name}:page` and `{name}:assets`. Several gateways in one process need different names and prefixes. No
    signal handler, no logging, no global state is touched.

    Raises:
        ValueError: `prefix` does not start with a slash or ends with one, `name` is taken in `app`, or both
            `authenticate` and `token` are given.
        BadSettings: the setting `page` names no page.
    """
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"prefix {prefix!r} must start with a slash and not end with one")
    if authenticate is not None and token is not None:
        raise ValueError("either authenticate or token, not both")
    settings = settings or Settings()
    clock = clock or SystemClock()
    store, images = _storage(settings)
    gateway = Gateway(settings, store, MemoryBus(), images, clock)
    addresses = Addresses(settings, check_host=authenticate is None)
    if token is not None:
        authenticate = token_authenticate(token, addresses, clock)
    door = HttpContext(gateway, name, authenticate or _everybody, addresses)
    hosts_own = set(app.router.resources())
    _add_routes(app, door, prefix)
    if token is not None:
        login = guarded(door, login_handler(token, addresses, clock))
        app.router.add_post(f"{prefix}/login", login, name=f"{name}:login")
    _add_page(app, door, prefix, ours=page)
    protect(app, set(app.router.resources()) - hosts_own)

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        async with gateway:
            yield

    async def drain(app: web.Application) -> None:
        await gateway.drain()

    app.cleanup_ctx.append(lifetime)
    # A cleanup_ctx alone ends only after the handlers did, and sockets last until they are closed.
    app.on_shutdown.append(drain)
    return gateway


def _add_routes(app: web.Application, door: HttpContext, prefix: str) -> None:
    """Add every door but the page."""
    methods: defaultdict[str, list[str]] = defaultdict(list)

    def add(method: str, path: str, handler: Handler, name: str | None = None, **options: Any) -> None:
        route = None if name is None else f"{door.name}:{name}"
        resource = app.router.add_resource(prefix + path, name=route)
        # A HEAD of what goes on would go on, too.
        for verb in ("GET", "HEAD") if method == "GET" and not path.endswith("/events") else (method,):
            resource.add_route(verb, guarded(door, handler, **options))
            methods[path].append(verb)

    app.router.add_get(f"{prefix}/ws/generate", ws_handler(door), name=f"{door.name}:ws")
    pictures = picture_handler(door)
    app.router.add_get(f"{prefix}/pictures/{{picture_id:{PICTURE_ID}}}", pictures, name=f"{door.name}:picture")
    app.router.add_get(f"{prefix}/healthz", health_handler(door), name=f"{door.name}:health")
    add("POST", "/api/v1/tasks", submit_handler(door), "tasks")
    add("GET", "/api/v1/tasks", list_handler(door))
    add("GET", "/api/v1/events", events_handler(door), "events")
    add("GET", f"/api/v1/tasks/{TASK}", task_handler(door), "task")
    add("DELETE", f"/api/v1/tasks/{TASK}", delete_handler(door))
    add("POST", f"/api/v1/tasks/{TASK}/cancel", cancel_handler(door))
    add("GET", f"/api/v1/tasks/{TASK}/events", task_events_handler(door))
    add("GET", f"/api/v1/tasks/{TASK}/pictures/{{index:[0-9]{{1,2}}}}", task_picture_handler(door))
    add("GET", "/api/v1/models", models_handler(door), "models")
    add("POST", "/api/v1/notices", notices_handler(door), "notices")
    add("GET", "/v1/models", openai_models_handler(door), shape=openai_error)
    add("POST", "/v1/images/generations", generations_handler(door), "openai", shape=openai_error)
    add("GET", f"/docs/{{name:{DOCUMENT}}}", docs_handler(), "docs")
    for path, verbs in methods.items():
        app.router.add_route("OPTIONS", prefix + path, preflight_handler(door, verbs))


def _storage(settings: Settings) -> tuple[Store, Blobs]:
    """Return where things are kept: in the data folder, or in memory where there is none."""
    if settings.data_dir is None:
        return MemoryStore(settings.kept_tasks), MemoryBlobs(settings.kept_bytes)
    folder = Path(settings.data_dir)
    full = settings.durability == "full"
    return SqliteStore(folder, full=full), FileBlobs(folder / "pictures", full=full)


def _add_page(app: web.Application, door: HttpContext, prefix: str, *, ours: bool) -> None:
    """Serve somebody's own page if the settings name one, else ours if it is wanted."""
    if door.gateway.settings.page is not None:
        own = Path(door.gateway.settings.page)
        index = own / "index.html" if own.is_dir() else own
        if not index.is_file():
            raise BadSettings(f"There is no page at {index} (setting page).")
        app.router.add_get(f"{prefix}/", own_page_handler(door, index), name=f"{door.name}:page")
        if own.is_dir():
            app.router.add_get(f"{prefix}/{{file:.+}}", asset_handler(own))
    elif ours:
        prepare_templates(app)
        app.router.add_get(f"{prefix}/", page_handler(door, version("xinflight")), name=f"{door.name}:page")
        app.router.add_get(f"{prefix}/assets/{{file:.+}}", asset_handler(), name=f"{door.name}:assets")
