"""Xinference as we see it: is it there, which models can draw, how to stop them. One HTTP session for everything.

Facts are those measured on Xinference 4.1.0; features are detected without admin rights, for an API key may not
ask for the version.
"""

import asyncio
from collections.abc import Callable

import aiohttp
import msgspec
import structlog
from aiohttp import hdrs
from yarl import URL

from xinflight.clock import Clock
from xinflight.errors import UpstreamAuth, UpstreamBusy, UpstreamGarbage, XinflightError
from xinflight.i18n import translate
from xinflight.protocol import ModelInfo, UpstreamState
from xinflight.settings import ModelSettings, Settings
from xinflight.supervise import Supervisor
from xinflight.upstream.messages import (
    GenerateConfig,
    ModelEntry,
    ModelList,
    OpenApi,
    Registration,
    Replica,
    failure,
    parse,
)

__all__ = ["NOT_SENT", "Model", "Xinference"]

log = structlog.stdlib.get_logger(__name__)

NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""What a request raises that never left: there was no connection, so nothing of it runs."""
CONNECT_SECONDS = 10.0
CALL_SECONDS = 10.0
"""Seconds for any call but the one for a picture; a busy server took 1.5, one that is stopped holds it for ever."""
SMALL_ANSWER = 64 * 2**10
"""The most bytes of an answer that tells one figure or error; the real ones have some 100."""
LISTING = 4 * 2**20
"""The most bytes of an answer that lists something: all paths of 4.1.0 are 89 KB, a model is some 400 bytes."""
PROBE_TIMEOUT = 10.0
COMING_BACK = 60.0
"""Seconds for which a model that is no more listed may still come back: a crashed one took some 12."""
READY_PAUSE, AWAY_PAUSE, REFUSED_PAUSE = 15.0, 2.0, 300.0
"""Seconds between probes. Ten bad keys within five minutes ban our address for an hour (api/auth_service.py)."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A running model that makes pictures from text. `true_cancel`: an abort really stops its compute."""

    uid: str
    name: str
    replicas: int
    size: str
    steps: int | None
    guidance_scale: float | None
    true_cancel: bool
    pool: str

    @property
    def defaults_known(self) -> bool:
        """Tell whether steps and guidance can be told beforehand."""
        return self.steps is not None and self.guidance_scale is not None


class Xinference:
    """Watch one Xinference. The task `xinference probe` owns the watching; `close` awaits it.

    `on_change` is called on the loop after the state or the models changed.
    """

    def __init__(
        self, settings: Settings, clock: Clock, supervisor: Supervisor, on_change: Callable[[], None]
    ) -> None:
        self.state = UpstreamState.LOADING
        self.models: dict[str, Model] = {}
        self.unsuitable: frozenset[str] = frozenset()
        # Why it counts as unreachable, for who runs the server: it may hold text of the upstream.
        self.cause = ""
        # Models that were there until lately: one that crashed is not listed for some seconds, then it is back.
        self.vanished: dict[str, Model] = {}
        self.clock = clock
        self._supervisor = supervisor
        self._settings = settings
        self._base = settings.xinference_url.rstrip("/")
        self._on_change = on_change
        # Uids whose class answered "is not for txt2img": an abort must never be sent for them.
        self._other_route: set[str] = set()
        self._vanished_at: dict[str, float] = {}
        self._default = ""
        self._registrations: dict[str, Registration | None] = {}
        self._true_cancel = False
        self._session: aiohttp.ClientSession | None = None
        self._poke = asyncio.Event()
        self._failures = 0

    async def start(self) -> None:
        """Open the session and probe once, so that a server which is up is known at once."""
        headers = {"Authorization": f"Bearer {self._settings.api_key}"} if self._settings.api_key else {}
        self._session = aiohttp.ClientSession(
            # Its keep-alive is 5 s (XINFERENCE_HTTP_TIMEOUT_KEEP_ALIVE): ours ends before, or a POST meets a closed
            # connection. A limit would let progress and aborts wait behind long POSTs.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
        )
        await self._probe()
        self._supervisor.start("xinference probe", self._keep_probing)

    async def close(self) -> None:
        """Stop probing and close the session."""
        await self._supervisor.stop("xinference probe")
        if self._session is not None:
            await self._session.close()

    def doubt(self) -> None:
        """Look again soon: a request has just shown that what is known may be old."""
        if self.state is not UpstreamState.UNAUTHORISED:
            self._poke.set()

    def take_other_route(self, uid: str) -> None:
        """Remember that a model has no txt2img, also of one that vanished meanwhile."""
        self._other_route.add(uid)
        if uid in self.models:
            self.models[uid] = msgspec.structs.replace(self.models[uid], true_cancel=False)
        self._on_change()

    def default(self) -> Model | None:
        """Return the configured model, else the first that made pictures from text, else None.

        One that is not listed for a moment, for it crashed, stays the default until it counts as gone.
        """
        uid = self._settings.model or self._default
        found = self.models.get(uid) or self.vanished.get(uid)
        if found is None and self._settings.model is None:
            found = next(iter(self.models.values()), None)
            self._default = "" if found is None else found.uid
        return found

    def find(self, wanted: str | None) -> Model | None:
        """Return the model that a uid, a pool's name, or None for the default stands for now, or None."""
        if wanted is None:
            return self.default()
        by_pool = (model for model in self.models.values() if model.pool == wanted)
        return self.models.get(wanted) or next(by_pool, None)

    def infos(self) -> list[ModelInfo]:
        """Describe the models for clients, the default one first."""
        default = self.default()
        infos = [
            ModelInfo(
                id=model.uid,
                default=model is default,
                size=model.size,
                steps=model.steps,
                guidance_scale=model.guidance_scale,
                defaults_known=model.defaults_known,
                true_cancel=model.true_cancel,
                replicas=model.replicas,
            )
            for model in self.models.values()
        ]
        return sorted(infos, key=lambda info: not info.default)

    # Requests

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        seconds: float | None = CALL_SECONDS,
        most: int = SMALL_ANSWER,
    ) -> bytes:
        """Send one request and return the body of its 200, of at most `most` bytes, within `seconds`.

        Raises what `failure` makes of another status, redirects among them; UpstreamGarbage for a larger answer;
        `aiohttp.ClientError` and OSError, TimeoutError among those, when there is no answer, of which those of
        NOT_SENT alone mean that nothing was sent. Once our key was refused, UpstreamAuth comes without a request
        until a probe has found it good again: ten polls with it would get our address banned.
        """
        if self.state is UpstreamState.UNAUTHORISED:
            raise UpstreamAuth(detail="not sent: the key was refused")
        try:
            async with self.clock.timeout(seconds):
                return await self._send(method, path, body, most)
        except UpstreamAuth:
            self._become(UpstreamState.UNAUTHORISED, self.models, self.unsuitable)
            raise

    async def _send(self, method: str, path: str, body: object = None, most: int = LISTING) -> bytes:
        assert self._session is not None  # set by start()
        url = URL(self._base + path, encoded=True)
        data = None if body is None else msgspec.json.encode(body)
        headers = None if data is None else {"Content-Type": "application/json"}
        # A redirect would take prompts and our key wherever it says.
        async with self._session.request(method, url, data=data, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                said = await _start_of(response, SMALL_ANSWER)
                if hdrs.LOCATION in response.headers:
                    said = f"a redirect to {response.headers[hdrs.LOCATION]}".encode(errors="replace")
                raise failure(response.status, said, response.headers.get(hdrs.RETRY_AFTER))
            answer = await _start_of(response, most + 1)
            if len(answer) > most:
                raise UpstreamGarbage(detail=f"an answer of more than {most} bytes")
            return answer

    async def replicas(self, uid: str) -> list[Replica]:
        """Return the model's replicas as they are now; errors as `request`."""
        path = f"/v1/models/{_quoted(uid)}/replicas"
        return parse(await self.request("GET", path, most=LISTING), list[Replica])

    async def abort_request(self, uid: str, request_id: str) -> None:
        """Ask a model to stop a request; what it answers is no proof of anything. Errors as `request`."""
        await self.request("POST", f"/v1/models/{_quoted(uid)}/requests/{request_id}/abort", {})

    # Probing

    async def _keep_probing(self) -> None:
        while True:
            refused = self.state is UpstreamState.UNAUTHORISED
            pause = REFUSED_PAUSE if refused else READY_PAUSE if self.state is UpstreamState.READY else AWAY_PAUSE
            try:
                async with self.clock.timeout(pause):
                    await self._poke.wait()
                # Many doubts at once are one probe.
                await self.clock.sleep(0.2)
            except TimeoutError:
                pass
            self._poke.clear()
            if refused or self.state is not UpstreamState.UNAUTHORISED:
                await self._probe()

    async def _probe(self) -> None:
        """Ask what there is, and become what the answers say."""
        try:
            async with self.clock.timeout(PROBE_TIMEOUT):
                models, unsuitable = await self._look()
        except UpstreamAuth:
            self._become(UpstreamState.UNAUTHORISED, {}, frozenset())
        except UpstreamBusy:
            self._become(UpstreamState.LOADING, self.models, self.unsuitable)
        except (aiohttp.ClientError, OSError, TimeoutError, XinflightError) as error:
            log.debug("upstream probe failed", error=str(error), kind=type(error).__name__)
            self._failures += 1
            # One lost answer of a busy server is no reason to tell everybody.
            if self.state is not UpstreamState.READY or self._failures > 1:
                # Time that is over has no words of its own.
                cause = str(error) or f"no answer within {PROBE_TIMEOUT:g} s"
                self._become(UpstreamState.UNREACHABLE, self.models, self.unsuitable, cause)
            else:
                self._poke.set()
        else:
            self._failures = 0
            self._note_vanished(models)
            missing = UpstreamState.LOADING if self.vanished else UpstreamState.NO_MODEL
            self._become(UpstreamState.READY if models else missing, models, unsuitable)

    def _note_vanished(self, models: dict[str, Model]) -> None:
        now = self.clock.monotonic()
        for uid, model in self.models.items():
            if uid not in models:
                self.vanished[uid] = model
                self._vanished_at[uid] = now
        for uid, when in list(self._vanished_at.items()):
            if uid in models or now - when > COMING_BACK:
                del self._vanished_at[uid], self.vanished[uid]

    async def _look(self) -> tuple[dict[str, Model], frozenset[str]]:
        entries = parse(await self._send("GET", "/v1/models"), ModelList).data
        if self.state is not UpstreamState.READY:
            # It may be another version than before.
            self._registrations.clear()
            self._true_cancel = (
                "/sdapi/v1/interrupt" in parse(await self._send("GET", "/openapi.json"), OpenApi).paths
            )
        suitable = [entry for entry in entries if "text2image" in entry.model_ability]
        models = {entry.id: await self._model(entry) for entry in suitable}
        return models, frozenset(entry.id for entry in entries) - models.keys()

    async def _model(self, entry: ModelEntry) -> Model:
        said = self._settings.models.get(entry.id, ModelSettings())
        registration = await self._registration(entry.model_name or entry.id)
        config = (registration and registration.default_generate_config) or GenerateConfig()
        steps = config.num_inference_steps or config.steps
        return Model(
            uid=entry.id,
            name=entry.model_name,
            replicas=said.replicas or max(entry.replica, 1),
            size=said.size or self._settings.default_size,
            steps=said.steps or steps,
            guidance_scale=config.guidance_scale if said.guidance_scale is None else said.guidance_scale,
            true_cancel=self._true_cancel and entry.id not in self._other_route and entry.model_engine == "diffusers",
            pool=said.pool or entry.id,
        )

    async def _registration(self, name: str) -> Registration | None:
        """Return the model's registration, None when it has none or we may not read it."""
        if name not in self._registrations:
            try:
                body = await self._send("GET", f"/v1/model_registrations/image/{_quoted(name)}")
                self._registrations[name] = parse(body, Registration)
            except UpstreamAuth:
                raise
            except XinflightError:
                self._registrations[name] = None
        return self._registrations[name]

    def _become(
        self, state: UpstreamState, models: dict[str, Model], unsuitable: frozenset[str], cause: str = ""
    ) -> None:
        changed = state is not self.state or models != self.models
        if state is not self.state:
            tell = log.info if state is UpstreamState.READY else log.warning
            tell(
                "upstream state changed",
                now=state,
                models=list(models),
                cause=cause,
                cure=translate(f"cure.{state}", "en"),
            )
        self.state, self.models, self.unsuitable, self.cause = state, models, unsuitable, cause
        if changed:
            self._on_change()


async def _start_of(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body, or its first `most` bytes; the connection of a longer one is closed with its response."""
    chunks = []
    left = most
    async for chunk in response.content.iter_any():
        chunks.append(chunk[:left])
        left -= len(chunk)
        if left <= 0:
            break
    return b"".join(chunks)


def _quoted(uid: str) -> str:
    """Return a name as one segment of a path (RFC 3986 section 3.3)."""
    return URL.build(path=uid).raw_path.replace("/", "%2F")
