"""One contract for the emulator and the real Xinference 4.1.0, seen through the client that xinflight itself uses.

What the real server does is right: where the emulator differs, the emulator is wrong.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import msgspec
import pytest

import clients
from xinference_real import MODEL, PAIR, PAIR_DEFAULTS, RealXinference
from xinflight.clock import SystemClock
from xinflight.demo import EmulatedModel, Emulator, EmulatorOptions, serve_emulator
from xinflight.errors import ModelNotFound, UpstreamAuth, UpstreamBusy, UpstreamDied, UpstreamFailed
from xinflight.model import identify
from xinflight.protocol import Params, UpstreamState
from xinflight.settings import Settings
from xinflight.supervise import Supervisor
from xinflight.upstream import (
    TEXT2IMAGE,
    Aborted,
    Attempt,
    GenerationRequest,
    Made,
    Model,
    ProgressAnswer,
    ProgressEstimator,
    Xinference,
    parse,
)

pytest_plugins = ["xinference_fixtures"]
pytestmark = pytest.mark.timeout(900)  # the first one on the real server also starts it

SIDES = ["emulator", pytest.param("real", marks=pytest.mark.xinference)]
LONG: dict[str, Any] = {"width": 256, "height": 256, "steps": 60}
"""Some 10 s on the real server with one core: nothing that is to be aborted ends by itself."""
SPAN = 0.05
PARAMS = Params(n=1, timeout=60.0, on_disconnect="continue")


def shape(data: bytes) -> tuple[str, int, int]:
    """Return media type, width and height of an image."""
    info = identify(data)
    return info.media_type, info.width, info.height


# The two sides


class Rig(Protocol):
    """A server that is held to the contract."""

    api_key: str | None

    def serve(self) -> AbstractAsyncContextManager[str]:
        """Serve it and give its base URL."""

    async def kill(self) -> None:
        """Kill the process of MODEL with SIGKILL."""

    async def recover(self) -> None:
        """Wait until MODEL is there again."""


class Real:
    def __init__(self, server: RealXinference) -> None:
        self.api_key = server.api_key
        self._server = server

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        yield self._server.url

    async def kill(self) -> None:
        await asyncio.to_thread(self._server.kill_model)

    async def recover(self) -> None:
        await asyncio.to_thread(self._server.wait_model)


class Emulated:
    def __init__(self, api_key: str | None) -> None:
        self.api_key = api_key
        self._clock = clients.ShiftedClock()
        model = EmulatedModel(uid=MODEL, step_seconds=0.05, decode_seconds=0.3, size_multiple=4)
        pair = msgspec.structs.replace(model, uid=PAIR, replicas=2, default_generate_config=PAIR_DEFAULTS)
        self._engine = Emulator([model, pair], options=EmulatorOptions(api_key=api_key), clock=self._clock)

    def serve(self) -> AbstractAsyncContextManager[str]:
        return serve_emulator(self._engine)

    async def kill(self) -> None:
        self._engine.kill(MODEL)

    async def recover(self) -> None:
        self._clock.advance(13)


def _rig(request: pytest.FixtureRequest, real: str, api_key: str | None = None) -> Rig:
    return Emulated(api_key) if request.param == "emulator" else Real(request.getfixturevalue(real))


@pytest.fixture(params=SIDES)
def rig(request: pytest.FixtureRequest) -> Rig:
    return _rig(request, "real_xinference")


@pytest.fixture(params=SIDES)
def rig_with_pair(request: pytest.FixtureRequest) -> Rig:
    return _rig(request, "real_xinference_pair")


@pytest.fixture(params=SIDES)
def rig_with_auth(request: pytest.FixtureRequest) -> Rig:
    return _rig(request, "real_xinference_auth", "xf-emulated")


# What xinflight does


class Watched(Xinference):
    """Our client, which notes what it asks on behalf of images."""

    def __init__(self, settings: Settings) -> None:
        clock = SystemClock()
        super().__init__(settings, clock, Supervisor(clock), on_change=lambda: None)
        self.url = settings.xinference_url
        self.sent: list[str] = []

    async def request(self, method: str, path: str, body: object = None, **bounds: Any) -> bytes:
        self.sent.append(path)
        return await super().request(method, path, body, **bounds)

    def aborts(self) -> int:
        return sum(path.endswith("/abort") for path in self.sent)

    async def progress(self, request_id: str) -> float:
        return parse(await super().request("GET", f"/v1/requests/{request_id}/progress"), ProgressAnswer).progress

    async def abort(self, request_id: str) -> str:
        path = f"/v1/models/{MODEL}/requests/{request_id}/abort"
        return str(msgspec.json.decode(await super().request("POST", path, {}))["msg"])


@asynccontextmanager
async def _watching(url: str, api_key: str | None = None) -> AsyncIterator[Watched]:
    upstream = Watched(Settings(xinference_url=url, api_key=api_key))
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.close()


@pytest.fixture
async def upstream(rig: Rig, stack: AsyncExitStack) -> Watched:
    return await stack.enter_async_context(_watching(await stack.enter_async_context(rig.serve())))


def _request(**changes: Any) -> GenerationRequest:
    request = GenerationRequest(
        model=MODEL,
        prompt="a red boat",
        negative_prompt=None,
        width=64,
        height=64,
        steps=4,
        guidance_scale=3.5,
        seed=7,
        request_id=str(uuid.uuid4()),
        params=PARAMS,
    )
    return msgspec.structs.replace(request, **changes)


def _attempt(
    upstream: Watched,
    request: GenerationRequest,
    *,
    true_cancel: bool = True,
    report: Callable[[], None] = lambda: None,
) -> Attempt:
    estimator = ProgressEstimator(request.steps, upstream.clock.monotonic(), None, 0.0)
    return Attempt(upstream, TEXT2IMAGE, request, estimator, true_cancel=true_cancel, report=report)


async def _image(upstream: Watched, *, true_cancel: bool = True, **changes: Any) -> bytes:
    made = await _attempt(upstream, _request(**changes), true_cancel=true_cancel).run()
    assert isinstance(made, bytes)
    return made


Running = tuple[Attempt, asyncio.Task[Made]]


async def _start(upstream: Watched, *, true_cancel: bool = True, **changes: Any) -> Running:
    """Send a request and wait until the first progress of it was seen."""
    began = asyncio.Event()
    attempt = _attempt(upstream, _request(**changes), true_cancel=true_cancel, report=began.set)
    run = asyncio.create_task(attempt.run(), name="attempt")
    async with asyncio.timeout(clients.LONG):
        await began.wait()
    return attempt, run


async def _send(upstream: Watched, **changes: Any) -> Running:
    """Send a request and wait until the server knows it, as one that waits."""
    attempt = _attempt(upstream, _request(**changes))
    run = asyncio.create_task(attempt.run(), name="attempt")
    async with asyncio.timeout(clients.LONG):
        while True:
            progress = await _progress(upstream, attempt)
            if progress is not None:
                assert progress == 0.0
                return attempt, run
            await asyncio.sleep(0.01)


async def _progress(upstream: Watched, attempt: Attempt) -> float | None:
    try:
        return await upstream.progress(attempt.request.request_id)
    except UpstreamFailed:
        return None


# What there is


async def test_discovery(rig_with_pair: Rig, stack: AsyncExitStack) -> None:
    """State, models, replicas, their defaults, and that a cancel is a true one."""
    upstream = await stack.enter_async_context(_watching(await stack.enter_async_context(rig_with_pair.serve())))
    assert upstream.state is UpstreamState.READY
    single = Model(
        uid=MODEL,
        name=MODEL,
        abilities=upstream.models[MODEL].abilities,
        replicas=1,
        slots=1,
        size="1024x1024",
        steps=None,
        guidance_scale=None,
        true_cancel=True,
        pool=MODEL,
    )
    assert upstream.models[MODEL] == single
    assert upstream.models[PAIR] == msgspec.structs.replace(
        single, uid=PAIR, name=PAIR, replicas=2, slots=2, steps=6, guidance_scale=2.5, pool=PAIR
    )
    rows = await upstream.replicas(PAIR)
    assert [row.replica_id for row in rows] == [0, 1]
    assert len({row.model_address for row in rows} - {None, ""}) == 2
    assert await upstream.replicas("nope") == []


@pytest.mark.parametrize("true_cancel", [True, False])
async def test_an_unknown_model(upstream: Watched, true_cancel: bool) -> None:
    """It is told as such, also when the answer comes from a cache."""
    for _ in range(2):
        with pytest.raises(ModelNotFound):
            await _image(upstream, model="nope", true_cancel=true_cancel)


async def test_progress_of_an_unknown_request(upstream: Watched) -> None:
    """400, which no image takes for a failure."""
    with pytest.raises(UpstreamFailed, match="'never-seen'"):
        await upstream.progress("never-seen")


# Images


async def test_a_seed_fixes_every_byte_on_both_routes(upstream: Watched) -> None:
    """The same request is the same JPEG, whichever route it took."""
    first, again = [await _image(upstream) for _ in range(2)]
    assert shape(first) == ("image/jpeg", 64, 64)
    assert again == first
    assert await _image(upstream, true_cancel=False) == first
    assert await _image(upstream, seed=8) != first


async def test_guidance_given_and_left_to_the_model(upstream: Watched) -> None:
    """None is the model's own on both routes, not txt2img's 7.0."""
    own = await _image(upstream, guidance_scale=None)
    assert await _image(upstream, guidance_scale=None, true_cancel=False) == own
    assert await _image(upstream, guidance_scale=5.0) == own, "what the pipeline takes by itself"
    given = await _image(upstream, guidance_scale=7.0)
    assert given != own
    assert await _image(upstream, guidance_scale=7.0, true_cancel=False) == given


async def test_a_negative_prompt_counts_on_both_routes(upstream: Watched) -> None:
    """It changes the image, and the same way."""
    plain = await _image(upstream)
    given = await _image(upstream, negative_prompt="fog")
    assert given != plain
    assert await _image(upstream, negative_prompt="fog", true_cancel=False) == given


# Progress


def _told(steps: int) -> list[float]:
    """Return the values that are told: those at least SPAN above the last one, and 1.0."""
    told = [0.0]
    for done in range(1, steps + 1):
        if done / steps - told[-1] >= SPAN or done == steps:
            told.append(done / steps)
    return told[1:]


@pytest.mark.parametrize(("true_cancel", "steps"), [(True, 16), (True, 28), (False, 28)])
async def test_progress_moves_in_grains_and_is_whole_before_the_answer(
    upstream: Watched, true_cancel: bool, steps: int
) -> None:
    """The first value comes with the first step that makes five percent, the last one before the image."""
    reported: list[float] = []
    attempt = _attempt(
        upstream,
        _request(width=256, height=256, steps=steps),
        true_cancel=true_cancel,
        report=lambda: reported.append(attempt.estimator.progress),
    )
    run = asyncio.create_task(attempt.run(), name="attempt")
    seen: list[float] = []
    while not run.done():
        progress = await _progress(upstream, attempt)
        if progress is not None and progress > 0 and progress not in seen[-1:]:
            assert progress < 1.0 or not run.done(), "before the answer"
            seen.append(progress)
        await asyncio.sleep(0.01)
    made = await run
    assert isinstance(made, bytes)
    assert shape(made) == ("image/jpeg", 256, 256)
    told = _told(steps)
    assert seen == sorted(seen)
    assert set(seen) <= set(told)
    assert (seen[0], seen[-1]) == (told[0], 1.0)
    assert len(seen) >= len(told) - 3, "nothing is held back"
    # A value is told again when the answer turns out to come later.
    assert reported == sorted(reported)
    assert set(reported) <= set(told)
    # As many as there is time for.
    assert attempt.estimator.progress in {0.0, *told}


# Cancelling


async def test_abort_while_it_runs(upstream: Watched) -> None:
    """It ends within a few steps, and the next image is as if nothing had been."""
    reference = await _image(upstream)
    attempt, run = await _start(upstream, **LONG)
    attempt.abort()
    attempt.abort()
    with pytest.raises(Aborted):
        await asyncio.wait_for(run, clients.LONG)
    assert upstream.aborts() == 1, "two calls are one abort"
    assert attempt.estimator.progress < 1.0
    assert await _progress(upstream, attempt) == 1.0, "as of every request that ended"
    assert await upstream.abort(attempt.request.request_id) == "NO_OP"
    assert await _image(upstream) == reference


async def test_abort_while_it_decodes(upstream: Watched) -> None:
    """Decoding is not interrupted, but what was aborted gives no image."""
    decoding = asyncio.Event()
    attempt = _attempt(
        upstream,
        _request(width=256, height=256, steps=4),
        report=lambda: decoding.set() if attempt.estimator.decoding_since is not None else None,
    )
    run = asyncio.create_task(attempt.run(), name="attempt")
    await asyncio.wait_for(decoding.wait(), clients.LONG)
    attempt.abort()
    with pytest.raises(Aborted):
        await run


async def test_abort_while_it_waits(upstream: Watched) -> None:
    """One that waits upstream goes at once and never starts; the one that runs is not disturbed."""
    reference = await _image(upstream, **LONG | {"steps": 20})
    _, run = await _start(upstream, **LONG | {"steps": 20})
    attempt, waits = await _send(upstream)
    attempt.abort()
    with pytest.raises(Aborted):
        await asyncio.wait_for(waits, clients.LONG)
    assert not run.done()
    # No step of it was made: 1.0 is what a request has after an abort, if a poll comes between that and its answer.
    assert attempt.estimator.progress in (0.0, 1.0)
    assert await run == reference


@pytest.mark.parametrize("delay", [None, 0.0, 0.005, 0.05])
async def test_abort_before_the_id_is_known(upstream: Watched, delay: float | None) -> None:
    """Whichever of the two comes first, the request does not run; None is an abort before the request is sent."""
    attempt = _attempt(upstream, _request(**LONG))
    if delay is None:
        attempt.abort()
    run = asyncio.create_task(attempt.run(), name="attempt")
    if delay is not None:
        await asyncio.sleep(delay)
        attempt.abort()
    with pytest.raises(Aborted):
        await asyncio.wait_for(run, clients.LONG)


async def test_abort_after_the_end(upstream: Watched) -> None:
    """An abort that comes too late does nothing, and nothing to the next image."""
    request = _request()
    reference = await _attempt(upstream, request).run()
    assert await upstream.abort(request.request_id) == "NO_OP"
    assert await _image(upstream) == reference


async def test_the_other_route_is_never_aborted(upstream: Watched) -> None:
    """Given up there, it runs to its end; the next image, sent meanwhile, waits for it and is whole."""
    reference = await _image(upstream, true_cancel=False)
    attempt, run = await _start(upstream, true_cancel=False, **LONG | {"steps": 20})
    attempt.abort()
    following = asyncio.create_task(_image(upstream, true_cancel=False), name="next image")
    await asyncio.sleep(0.3)
    assert not run.done()
    assert not following.done()
    made = await run
    assert isinstance(made, bytes)
    assert shape(made) == ("image/jpeg", 256, 256)
    assert await following == reference
    assert upstream.aborts() == 0


# Death


async def _until_known_to_be_dead(upstream: Watched) -> None:
    async with asyncio.timeout(clients.LONG):
        while True:
            [replica] = await upstream.replicas(MODEL)
            if replica.model_address is None:
                return
            await asyncio.sleep(0.05)


async def _until_listed(url: str, wanted: bool) -> None:
    """Wait until MODEL is in the list, or out of it: the server keeps its list for three seconds."""
    async with asyncio.timeout(clients.LONG):
        while True:
            async with _watching(url) as upstream:
                if (MODEL in upstream.models) is wanted:
                    return
            await asyncio.sleep(0.5)


async def test_a_killed_model(upstream: Watched, rig: Rig) -> None:
    """What ran and waited fails as died, the next as busy; then it isn't listed until its successor is there."""
    reference = await _image(upstream)
    [before] = await upstream.replicas(MODEL)
    attempt, run = await _start(upstream, **LONG)
    _, waits = await _send(upstream)
    await rig.kill()
    for died in (run, waits):
        with pytest.raises(UpstreamDied) as raised:
            await asyncio.wait_for(died, clients.LONG)
        assert raised.value.detail.startswith(f"Remote server {before.model_address} closed: ")
    with pytest.raises(UpstreamBusy) as refused:
        await _image(upstream)
    assert refused.value.retryable
    await _until_known_to_be_dead(upstream)
    with pytest.raises(UpstreamBusy, match=f"{MODEL}-rep0 is in stopping state"):
        await _image(upstream)
    await _until_listed(upstream.url, False)

    await rig.recover()
    await _until_listed(upstream.url, True)
    [after] = await upstream.replicas(MODEL)
    assert (after.model_address, after.created_ts) != (before.model_address, before.created_ts)
    assert after.model_address is not None
    assert after.created_ts == before.created_ts
    assert await _image(upstream) == reference
    frozen = await _progress(upstream, attempt)
    assert frozen is not None
    assert 0 < frozen < 1, "nobody ends the dead one's progress"


# Accounts


async def test_with_auth_on_a_good_key_works(rig_with_auth: Rig, stack: AsyncExitStack) -> None:
    """Everything that xinflight needs is open to an API key."""
    url = await stack.enter_async_context(rig_with_auth.serve())
    upstream = await stack.enter_async_context(_watching(url, rig_with_auth.api_key))
    assert upstream.state is UpstreamState.READY
    assert upstream.models[MODEL].true_cancel
    reference = await _image(upstream)
    attempt, run = await _start(upstream, **LONG)
    attempt.abort()
    with pytest.raises(Aborted):
        await run
    assert await _image(upstream) == reference
    assert len(await upstream.replicas(MODEL)) == 1


@pytest.mark.parametrize("api_key", [None, "xf-wrong"])
async def test_with_auth_on_no_key_and_a_wrong_one(
    rig_with_auth: Rig, stack: AsyncExitStack, api_key: str | None
) -> None:
    """Both are refused, and with that nothing more is sent; the good key is not banned by it."""
    url = await stack.enter_async_context(rig_with_auth.serve())
    upstream = await stack.enter_async_context(_watching(url, api_key))
    assert upstream.state is UpstreamState.UNAUTHORISED
    assert upstream.models == {}
    for _ in range(20):
        with pytest.raises(UpstreamAuth, match="not sent"):
            await upstream.replicas(MODEL)
    good = await stack.enter_async_context(_watching(url, rig_with_auth.api_key))
    assert good.state is UpstreamState.READY
