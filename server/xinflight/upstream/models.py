"""What runs on a Xinference server: its state, its models with their defaults, and the probes that find out.

Features are detected without admin rights, since an API key may not query the version. Facts are those measured on
Xinference 4.1.0.
"""

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec
import structlog

from xinflight.clock import Clock
from xinflight.errors import UpstreamAuth, UpstreamBusy, XinflightError
from xinflight.i18n import translate
from xinflight.protocol import ModelInfo, UpstreamState
from xinflight.settings import ModelSettings, Settings
from xinflight.supervise import Supervisor
from xinflight.telemetry import UNCOUNTED, Telemetry
from xinflight.upstream.client import LISTING_BYTES, Client, quoted
from xinflight.upstream.http import Response, Transport
from xinflight.upstream.kinds import KINDS
from xinflight.upstream.messages import GenerateConfig, ModelEntry, ModelList, OpenApi, Registration, parse
from xinflight.upstream.model import Model, with_equal_pools
from xinflight.upstream.poll_budget import PollBudget
from xinflight.upstream.video_shape import default_shape

__all__ = ["Xinference"]

log = structlog.stdlib.get_logger(__name__)

PROBE_TIMEOUT = 10.0
"""Seconds for all requests of one probe."""
VANISHED_SECONDS = 60.0
"""Seconds that a model is remembered after it left the list: a crashed one was back in about 12."""
READY_PAUSE, AWAY_PAUSE, REFUSED_PAUSE = 15.0, 2.0, 300.0
"""Seconds between probes. Ten bad keys within five minutes ban our address for an hour (api/auth_service.py)."""
PROBE_DELAY = 0.2
"""Seconds by which `probe_soon` delays the probe, so that many calls at once cause one probe."""


EDIT = "edit"
"""The ability of models that change an image by instruction. Xinference lists `image2image` alone for them."""
VIDEO_STARTS: dict[Literal["text", "image"], str] = {"text": "text2video", "image": "image2video"}
"""What a video can start from, and the ability for it."""
NEED_VIDEO = ("WanAnimate2",)
"""Families that name the ability `image2video` but need a video, too."""
CHAT_SLOTS = 8
"""Chats that a replica runs at once. It takes 16, and with all of them busy an abort took 25 s."""


class Xinference(Client):
    """A Xinference server with its state and models, kept up to date by the task `xinference probe`.

    `on_change` is called on the loop after the state or the models changed.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        supervisor: Supervisor,
        on_change: Callable[[], None],
        telemetry: Telemetry = UNCOUNTED,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(settings, clock, transport)
        self.telemetry = telemetry
        self.polls = PollBudget(settings.polls_per_second, clock)
        self.state = UpstreamState.LOADING
        # When it came into this state, Unix seconds.
        self.since = clock.time()
        self.models: dict[str, Model] = {}
        # Uids of running models that can do none of KINDS.
        self.unsuitable: frozenset[str] = frozenset()
        # Why it is unreachable, for whoever runs the server: it may contain text of the upstream.
        self.cause = ""
        # Models that left the list lately: a crashed one is not listed until it has recovered.
        self.vanished: dict[str, Model] = {}
        self._supervisor = supervisor
        self._settings = settings
        self._on_change = on_change
        # What `infos` returned last, and of which models.
        self._described: tuple[tuple[tuple[Model, ...], ...], list[ModelInfo]] = (), []
        # Uids that were found to lack the route with a true cancel: they must never be sent an abort.
        self._without_true_cancel: set[str] = set()
        self._vanished_at: dict[str, float] = {}
        # By ability.
        self._defaults: dict[str, str] = {}
        # By model type and name.
        self._registrations: dict[tuple[str, str], Registration | None] = {}
        # Models that are not in the pool of their settings, which is told once.
        self._left_out: dict[str, str] = {}
        self._version_has_true_cancel = False
        self._probe_wanted = asyncio.Event()
        self._failures = 0

    async def start(self) -> None:
        """Open the session and probe once, so that a running server is known when this returns."""
        self.open()
        await self._probe()
        self._supervisor.start("xinference probe", self._keep_probing)

    async def close(self) -> None:
        """Stop probing and close the session."""
        await self._supervisor.stop("xinference probe")
        await super().close()

    async def _send(self, method: str, path: str, body: object, response: Response, seconds: float | None) -> None:
        """Send one request; UpstreamAuth marks the server as unauthorised.

        From then on UpstreamAuth is raised without sending anything, until a probe finds the key accepted again: ten
        polls with a refused key would get our address banned.
        """
        if self.state is UpstreamState.UNAUTHORISED:
            raise UpstreamAuth(detail="not sent: the key was refused")
        try:
            await super()._send(method, path, body, response, seconds)
        except UpstreamAuth:
            self._update(UpstreamState.UNAUTHORISED, self.models, self.unsuitable)
            raise

    # Models

    def default(self, ability: str) -> Model | None:
        """Return the configured model if it has an ability, else the first one that has it, else None.

        A default that crashed and is not listed for a moment stays the default while it is in `vanished`. While the
        configured model is not there, nobody knows what it can, and there is no default.
        """
        configured = self._settings.model
        if configured is not None:
            found = self.models.get(configured) or self.vanished.get(configured)
            if found is None or ability in found.abilities:
                return found
        uid = self._defaults.get(ability, "")
        found = self.models.get(uid) or self.vanished.get(uid)
        if found is None or ability not in found.abilities:
            found = next((model for model in self.models.values() if ability in model.abilities), None)
            self._defaults[ability] = "" if found is None else found.uid
        return found

    def find(self, wanted: str | None, ability: str) -> Model | None:
        """Return the running model with a uid, or one of the pool of that name; for None the default of an ability.

        A named one may lack the ability.
        """
        if wanted is None:
            return self.default(ability)
        by_pool = (model for model in self.models.values() if model.pool == wanted)
        return self.models.get(wanted) or next(by_pool, None)

    def infos(self) -> list[ModelInfo]:
        """Describe the models for clients, the default one first. The list must not be changed."""
        models = tuple(self.models.values()), tuple(self.vanished.values())
        # Every client that connects is told; a thousand of them may come at once.
        if models != self._described[0]:
            self._described = models, self._describe()
        return self._described[1]

    def _describe(self) -> list[ModelInfo]:
        defaults = {ability: self.default(ability) for kind in KINDS.values() for ability in kind.abilities}
        infos = [
            ModelInfo(
                id=model.uid,
                kinds=[kind.name for kind in model.kinds],
                default_for=[
                    kind.name
                    for kind in model.kinds
                    if any(defaults[ability] is model for ability in kind.abilities & model.abilities)
                ],
                default=defaults["text2image"] is model,
                size=model.size,
                frames=model.frames,
                fps=model.fps,
                starts_from=[start for start, ability in VIDEO_STARTS.items() if ability in model.abilities],
                steps=model.steps,
                guidance_scale=model.guidance_scale,
                defaults_known=model.defaults_known,
                true_cancel=model.true_cancel,
                context_length=model.context_length,
                replicas=model.replicas,
                slots=model.slots,
            )
            for model in self.models.values()
        ]
        return sorted(infos, key=lambda info: not info.default)

    def disable_true_cancel(self, uid: str) -> None:
        """Record that a model lacks the route with a true cancel, even if it is not listed at the moment."""
        self._without_true_cancel.add(uid)
        if uid in self.models:
            self.models[uid] = msgspec.structs.replace(self.models[uid], true_cancel=False)
        self._on_change()

    # Probing

    def probe_soon(self) -> None:
        """Probe within a moment: a request has just failed, so the known state may be outdated."""
        if self.state is not UpstreamState.UNAUTHORISED:
            self._probe_wanted.set()

    async def _keep_probing(self) -> None:
        while True:
            refused = self.state is UpstreamState.UNAUTHORISED
            pause = REFUSED_PAUSE if refused else READY_PAUSE if self.state is UpstreamState.READY else AWAY_PAUSE
            try:
                async with self.clock.timeout(pause):
                    await self._probe_wanted.wait()
                await self.clock.sleep(PROBE_DELAY)
            except TimeoutError:
                pass
            self._probe_wanted.clear()
            if refused or self.state is not UpstreamState.UNAUTHORISED:
                await self._probe()

    async def _probe(self) -> None:
        """Query the server and update `state` and `models` from its answers."""
        try:
            async with self.clock.timeout(PROBE_TIMEOUT):
                models, unsuitable = await self._query_models()
        except UpstreamAuth:
            self._update(UpstreamState.UNAUTHORISED, {}, frozenset())
        except UpstreamBusy:
            self._update(UpstreamState.LOADING, self.models, self.unsuitable)
        except (OSError, XinflightError) as error:
            log.debug("upstream probe failed", error=str(error), kind=type(error).__name__)
            self._failures += 1
            # A single lost answer of a busy server must not alarm every client.
            if self.state is not UpstreamState.READY or self._failures > 1:
                # A TimeoutError has no text.
                cause = str(error) or f"no answer within {PROBE_TIMEOUT:g} s"
                self._update(UpstreamState.UNREACHABLE, self.models, self.unsuitable, cause)
            else:
                self._probe_wanted.set()
        else:
            self._failures = 0
            self._record_vanished(models)
            missing = UpstreamState.LOADING if self.vanished else UpstreamState.NO_MODEL
            self._update(UpstreamState.READY if models else missing, models, unsuitable)

    def _record_vanished(self, models: dict[str, Model]) -> None:
        now = self.clock.monotonic()
        for uid, model in self.models.items():
            if uid not in models:
                self.vanished[uid] = model
                self._vanished_at[uid] = now
        for uid, when in list(self._vanished_at.items()):
            if uid in models or now - when > VANISHED_SECONDS:
                del self._vanished_at[uid], self.vanished[uid]

    async def _query_models(self) -> tuple[dict[str, Model], frozenset[str]]:
        """Return the models that can do one of KINDS, and the uids of those that can't."""
        entries = parse(await self._query("/v1/models"), ModelList).data
        if self.state is not UpstreamState.READY:
            # It may be another version than before.
            self._registrations.clear()
            paths = parse(await self._query("/openapi.json"), OpenApi).paths
            self._version_has_true_cancel = "/sdapi/v1/interrupt" in paths
        abilities = frozenset[str]().union(*(kind.abilities for kind in KINDS.values()))
        suitable = [entry for entry in entries if abilities & _abilities(entry)]
        models = {entry.id: await self._model(entry) for entry in suitable}
        equal = with_equal_pools(models)
        left_out = {uid: model.pool for uid, model in models.items() if model != equal[uid]}
        for uid, pool in left_out.items() - self._left_out.items():
            log.warning("model left out of its pool: it can't do what the others can", model=uid, pool=pool)
        self._left_out = left_out
        return equal, frozenset(entry.id for entry in entries) - models.keys()

    async def _model(self, entry: ModelEntry) -> Model:
        configured = self._settings.models.get(entry.id, ModelSettings())
        chat, video = entry.model_type == "LLM", entry.model_type == "video"
        registration = None if chat else await self._registration(entry.model_type, entry.model_name or entry.id)
        config = (registration and registration.default_generate_config) or GenerateConfig()
        guidance_scale = configured.guidance_scale
        replicas = configured.replicas or max(entry.replica, 1)
        shape = default_shape(self._settings, configured, config) if video else None
        image_size = None if chat else configured.size or self._settings.default_size
        return Model(
            uid=entry.id,
            name=entry.model_name,
            abilities=_abilities(entry),
            replicas=replicas,
            slots=replicas * (configured.slots or (CHAT_SLOTS if chat else 1)),
            size=image_size if shape is None else shape.size,
            frames=None if shape is None else shape.frames,
            fps=None if shape is None else shape.fps,
            context_length=entry.context_length,
            steps=configured.steps or config.num_inference_steps or config.steps,
            guidance_scale=config.guidance_scale if guidance_scale is None else guidance_scale,
            # Other engines have neither a serial lock nor a cancel (model/image/vllm/core.py).
            true_cancel=chat
            or (
                not video
                and self._version_has_true_cancel
                and entry.id not in self._without_true_cancel
                and entry.model_engine == "diffusers"
            ),
            pool=configured.pool or entry.id,
        )

    async def _registration(self, model_type: str, name: str) -> Registration | None:
        """Return the model's registration, or None if it has none or our key may not read it."""
        key = (model_type, name)
        if key not in self._registrations:
            try:
                body = await self._query(f"/v1/model_registrations/{quoted(model_type)}/{quoted(name)}")
                self._registrations[key] = parse(body, Registration)
            except UpstreamAuth:
                raise
            except XinflightError:
                self._registrations[key] = None
        return self._registrations[key]

    async def _query(self, path: str) -> bytes:
        """Send a GET of the probe, whose own timeout bounds it, even while our key counts as refused."""
        parts: list[bytes] = []
        await super()._send("GET", path, None, Response(parts.append, LISTING_BYTES), None)
        return b"".join(parts)

    def _update(
        self, state: UpstreamState, models: dict[str, Model], unsuitable: frozenset[str], cause: str = ""
    ) -> None:
        changed = state is not self.state or models != self.models
        if state is not self.state:
            write = log.info if state is UpstreamState.READY else log.warning
            write(
                "upstream state changed",
                now=state,
                models=list(models),
                cause=cause,
                cure=translate(f"cure.{state}", "en"),
            )
            self.since = self.clock.time()
        self.state, self.models, self.unsuitable, self.cause = state, models, unsuitable, cause
        if changed:
            self._on_change()


def _abilities(entry: ModelEntry) -> frozenset[str]:
    """Return what a model can do, with EDIT for those that can start from an image only."""
    if entry.model_family in NEED_VIDEO:
        return frozenset()
    abilities = frozenset(entry.model_ability)
    if entry.model_type == "image" and "image2image" in abilities and "text2image" not in abilities:
        abilities = abilities - {"image2image"} | {EDIT}
    return abilities
