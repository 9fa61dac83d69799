"""Mount a gateway in an aiohttp application: the only place where the concrete parts meet."""

from collections import defaultdict
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from xinflight.auth import create_authenticator
from xinflight.clock import Clock, SystemClock
from xinflight.gateway import Gateway
from xinflight.journal import MemoryBus
from xinflight.metrics import Metrics, Registry, create_metrics
from xinflight.settings import BadSettings, Settings
from xinflight.storage import Blobs, FileBlobs, MemoryBlobs, MemoryStore, RecentBlobs, SqliteStore, Store
from xinflight.telemetry import UNCOUNTED
from xinflight.web import (
    DOCUMENT,
    OUTPUT_ID,
    AccountApi,
    Addresses,
    Admin,
    Assets,
    Authenticate,
    CustomFiles,
    CustomPage,
    Docs,
    Endpoint,
    ErrorBody,
    Files,
    Handler,
    HealthCheck,
    HostsLogin,
    HttpContext,
    Login,
    Marks,
    MetricsApi,
    OpenAi,
    OpenAiChats,
    OpenAiImagesApi,
    OwnQueue,
    Page,
    Preflight,
    RequestLogin,
    Rest,
    Shares,
    Streams,
    Submissions,
    UploadApi,
    WebSocket,
    openai_error,
    protect,
)

__all__ = ["setup"]

VERSION = version("xinflight")
TASK = "/api/v1/tasks/{task_id:[^/]+}"
OUTPUT = f"{TASK}/outputs/{{index:[0-9]{{1,2}}}}"


class _Route(NamedTuple):
    """A route of an API: its errors become responses, and OPTIONS answers CORS preflight requests.

    `error_body` encodes errors in another format than problem details.
    """

    method: str
    path: str
    handler: Handler
    name: str | None = None
    error_body: ErrorBody | None = None


def setup(
    app: web.Application,
    settings: Settings | None = None,
    *,
    prefix: str = "",
    name: str = "xinflight",
    authenticate: Authenticate | None = None,
    page: bool = False,
    clock: Clock | None = None,
    registry: Registry | None = None,
) -> Gateway:
    """Mount a gateway below `prefix` and return it; it opens and closes with the application.

    `authenticate(request, token)` returns who a request is from, or None without valid credentials; `token` came in
    a first message or in the query, else it is None. Without it the setting `auth` decides: by default everybody is
    `local`; with tokens or JWTs, `{prefix}/login` exchanges one for a cookie.
    Without `authenticate`, the Host of a request must be an IP address, localhost, or a name in the settings.
    Routes are named `{name}:ws`, `{name}:tasks`, `{name}:task`, `{name}:events`, `{name}:models`, `{name}:notices`,
    `{name}:openai`, `{name}:docs`, `{name}:outputs`, `{name}:uploads`, `{name}:upload`, `{name}:shares`,
    `{name}:shared`, `{name}:drain`, `{name}:health`, `{name}:ready`, with the
    setting `metrics` `{name}:metrics`, with tokens or JWTs `{name}:login` and
    `{name}:logout`, and with `page` `{name}:page` and `{name}:assets`. Several gateways in one process need different
    names and prefixes.
    With a `registry` of prometheus-client, the metrics of the gateway are shown there, whatever the setting `metrics`
    says; each gateway needs one of its own.
    Installs no signal handlers, configures no logging, and changes no global state.

    Raises:
        ValueError: `prefix` does not start with a slash or ends with one, or `name` is already used in `app`, or
            `registry` has the metrics of another gateway.
        BadSettings: the file in the setting `page` does not exist, the setting `auth` lacks a data folder, or it is
            given beside `authenticate`, or metrics are asked for without the extra `metrics`.
    """
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"prefix {prefix!r} must start with a slash and not end with one")
    settings = settings or Settings()
    if authenticate is not None and settings.auth is not None:
        raise BadSettings("Either the setting auth or the host's function authenticate decides who is who, not both.")
    owners_differ = authenticate is not None or settings.auth not in (None, "none")
    settings = settings.limited(by_owner=owners_differ)
    clock = clock or SystemClock()
    store, blobs = _storage(settings)
    metrics = create_metrics(settings, registry)
    gateway = Gateway(settings, store, MemoryBus(), blobs, clock, UNCOUNTED if metrics is None else metrics.telemetry)
    gateway.owners_differ = owners_differ
    addresses = Addresses(settings, check_host=authenticate is None)
    authenticator = create_authenticator(settings, clock)
    login = Login(authenticator, addresses, name, settings, clock)
    own: RequestLogin = login
    if authenticate is not None:
        own = HostsLogin(authenticate, clock, token_in_query=settings.token_in_query)
    context = HttpContext(gateway, name, own, addresses)
    hosts_own = set(app.router.resources())
    _add_routes(app, context, prefix)
    if metrics is not None:
        _add_metrics(app, context, prefix, metrics)
    if authenticator.sessions:
        app.router.add_post(f"{prefix}/login", Endpoint(context, login.create_session).handle, name=f"{name}:login")
        app.router.add_post(f"{prefix}/logout", Endpoint(context, login.end_session).handle, name=f"{name}:logout")
    _add_page(app, context, prefix, own=page)
    protect(app, set(app.router.resources()) - hosts_own)

    app.on_response_prepare.append(login.prepare_response)

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        async with gateway:
            await authenticator.open()
            gateway.supervisor.start("credentials", authenticator.run)
            try:
                yield
            finally:
                authenticator.close()

    async def drain(app: web.Application) -> None:
        await gateway.drain()

    app.cleanup_ctx.append(lifetime)
    # cleanup_ctx runs only after all handlers have returned, and those of sockets return when they are closed.
    app.on_shutdown.append(drain)
    return gateway


def _add_routes(app: web.Application, context: HttpContext, prefix: str) -> None:
    """Add all routes but those of the page and the log-in."""
    rest, streams, openai, shares = Rest(context), Streams(context), OpenAi(context), Shares(context)
    files = Files(context)
    account, uploads, submissions = AccountApi(context), UploadApi(context), Submissions(context)
    queue, admin, images = OwnQueue(context), Admin(context), OpenAiImagesApi(context)
    websocket, health, marks = WebSocket(context), HealthCheck(context), Marks(context)
    app.on_shutdown.append(websocket.close_waiting)
    # These handle errors and CORS themselves: text for browsers and close codes in place of problem details.
    for path, handler, name in (
        ("/ws/generate", websocket.serve, "ws"),
        ("/healthz", health.live, "health"),
        ("/readyz", health.ready, "ready"),
    ):
        app.router.add_get(prefix + path, handler, name=f"{context.name}:{name}")
    _add_api(
        app,
        context,
        prefix,
        [
            _Route("POST", "/api/v1/tasks", submissions.generate, "tasks"),
            _Route("GET", "/api/v1/tasks", rest.page),
            _Route("POST", "/api/v1/chats", submissions.chat, "chats"),
            _Route("GET", f"{TASK}/messages", submissions.messages),
            _Route("GET", "/api/v1/events", streams.all_events, "events"),
            _Route("GET", TASK, rest.task, "task"),
            _Route("DELETE", TASK, rest.delete),
            _Route("POST", f"{TASK}/cancel", rest.cancel),
            _Route("POST", f"{TASK}/move", queue.move),
            _Route("POST", f"{TASK}/pause", queue.pause),
            _Route("POST", f"{TASK}/unpause", queue.unpause),
            _Route("POST", "/api/v1/tasks/cancel", rest.cancel_all),
            _Route("POST", "/api/v1/tasks/pause", queue.pause_all),
            _Route("POST", "/api/v1/tasks/unpause", queue.unpause_all),
            _Route("POST", "/api/v1/groups/{group}/cancel", rest.cancel_group),
            _Route("GET", "/api/v1/queue", queue.queue),
            _Route("GET", f"{TASK}/events", streams.task_events),
            _Route("GET", OUTPUT, rest.output),
            _Route("DELETE", OUTPUT, marks.delete),
            _Route("POST", f"{OUTPUT}/restore", marks.restore),
            _Route("POST", f"{TASK}/mark", marks.mark),
            _Route("GET", f"/outputs/{{output_id:{OUTPUT_ID}}}", files.output, "outputs"),
            _Route("GET", f"/outputs/{{output_id:{OUTPUT_ID}}}/thumbnail", files.thumbnail),
            _Route("POST", "/api/v1/uploads", uploads.add, "uploads"),
            _Route("GET", "/api/v1/uploads", uploads.page),
            _Route("GET", f"/api/v1/uploads/{{upload_id:{OUTPUT_ID}}}", uploads.file, "upload"),
            _Route("DELETE", f"/api/v1/uploads/{{upload_id:{OUTPUT_ID}}}", uploads.delete),
            _Route("POST", "/api/v1/shares", shares.create, "shares"),
            _Route("GET", "/api/v1/shares", shares.page),
            _Route("DELETE", "/api/v1/shares/{share_id}", shares.revoke),
            _Route("GET", f"/shared/{{secret:{OUTPUT_ID}}}", shares.file, "shared"),
            _Route("GET", f"/shared/{{secret:{OUTPUT_ID}}}/thumbnail", shares.thumbnail),
            _Route("GET", "/api/v1/models", rest.models, "models"),
            _Route("GET", "/api/v1/account", account.show, "account"),
            _Route("DELETE", "/api/v1/account", account.erase),
            _Route("GET", "/api/v1/tags", marks.tags),
            _Route("GET", "/api/v1/account/preferences", marks.preferences),
            _Route("PATCH", "/api/v1/account/preferences", marks.change),
            _Route("GET", "/api/v1/account/presets", marks.presets),
            _Route("PATCH", "/api/v1/account/presets", marks.change_presets),
            _Route("GET", "/api/v1/account/usage", account.usage),
            _Route("GET", "/api/v1/account/export", account.export),
            _Route("POST", "/api/v1/notices", rest.notify, "notices"),
            _Route("GET", "/api/v1/admin/status", admin.status),
            _Route("GET", "/api/v1/admin/queue", admin.queue),
            _Route("GET", "/api/v1/admin/owners", admin.owners),
            _Route("POST", "/api/v1/admin/hold", admin.hold),
            _Route("POST", "/api/v1/admin/release", admin.release),
            _Route("POST", "/api/v1/admin/drain", admin.drain, "drain"),
            _Route("GET", "/v1/models", openai.models, error_body=openai_error),
            _Route("GET", "/v1/models/{model:.+}", openai.model, error_body=openai_error),
            _Route("POST", "/v1/images/generations", images.generations, "openai", openai_error),
            _Route("POST", "/v1/images/edits", images.edits, error_body=openai_error),
            _Route("POST", "/v1/images/variations", images.variations, error_body=openai_error),
            _Route("POST", "/v1/chat/completions", OpenAiChats(context).completions, error_body=openai_error),
            _Route("GET", f"/docs/{{name:{DOCUMENT}}}", Docs().document, "docs"),
        ],
    )


def _add_metrics(app: web.Application, context: HttpContext, prefix: str, metrics: Metrics) -> None:
    """Count while the application runs; serve the metrics if the settings say so."""
    metrics.attach(context.gateway)
    if context.gateway.settings.metrics:
        _add_api(app, context, prefix, [_Route("GET", "/metrics", MetricsApi(context, metrics).show, "metrics")])

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        context.gateway.supervisor.start("loop lag", metrics.run)
        yield
        metrics.close()

    app.cleanup_ctx.append(lifetime)


def _add_api(app: web.Application, context: HttpContext, prefix: str, routes: list[_Route]) -> None:
    methods: defaultdict[str, list[str]] = defaultdict(list)
    for route in routes:
        name = None if route.name is None else f"{context.name}:{route.name}"
        resource = app.router.add_resource(prefix + route.path, name=name)
        endpoint = Endpoint(context, route.handler, route.error_body)
        # HEAD of an event stream would not end either.
        with_head = route.method == "GET" and not route.path.endswith("/events")
        for method in (route.method, "HEAD") if with_head else (route.method,):
            resource.add_route(method, endpoint.handle)
            methods[route.path].append(method)
    for path, allowed in methods.items():
        app.router.add_route("OPTIONS", prefix + path, Preflight(context, allowed).options)


def _storage(settings: Settings) -> tuple[Store, Blobs]:
    """Return the stores of tasks and files: in the data folder, or in memory without one."""
    if settings.data_dir is None:
        return MemoryStore(settings.memory_tasks), MemoryBlobs(settings.memory_bytes)
    folder = Path(settings.data_dir)
    full = settings.durability == "full"
    return SqliteStore(folder, full=full), RecentBlobs(FileBlobs(folder / "outputs", full=full))


def _add_page(app: web.Application, context: HttpContext, prefix: str, *, own: bool) -> None:
    """Serve the page of the settings if they name one, else with `own` the gateway's own page."""
    if context.gateway.settings.page is not None:
        page = Path(context.gateway.settings.page)
        index = page / "index.html" if page.is_dir() else page
        if not index.is_file():
            raise BadSettings(f"There is no page at {index} (setting page).")
        app.router.add_get(f"{prefix}/", CustomPage(context, index).index, name=f"{context.name}:page")
        if page.is_dir():
            app.router.add_get(f"{prefix}/{{file:.+}}", CustomFiles(page).file)
    elif own:
        app.router.add_get(f"{prefix}/", Page(app, context, VERSION).index, name=f"{context.name}:page")
        app.router.add_get(f"{prefix}/assets/{{file:.+}}", Assets(context).file, name=f"{context.name}:assets")
