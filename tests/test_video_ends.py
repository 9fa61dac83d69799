"""When a video whose connection was lost has ended: when its id is free, whatever its progress says."""

import asyncio
from typing import Any

import msgspec
import pytest

from clients import FakeClock
from factories import accept, make_task
from scripted_gateway import MODELS, ScriptedGateway, ScriptedUpstream, turns
from test_kinds import REQUEST
from xinflight.errors import UpstreamDied
from xinflight.protocol import State, UpstreamState
from xinflight.settings import Settings
from xinflight.storage import MemoryStore
from xinflight.supervise import Supervisor
from xinflight.upstream import VIDEO, Attempt, ProgressEstimator, ResponseLost, failure
from xinflight.upstream.attempt import CHECK_PAUSE

FILM = msgspec.structs.replace(
    MODELS["m"], uid="film", name="film", pool="film", abilities=frozenset({"text2video"}), true_cancel=False
)
VIDEO_REQUEST = msgspec.structs.replace(
    REQUEST, params=msgspec.structs.replace(REQUEST.params, kind="video", frames=5, fps=10)
)


def kwargs_of(body: object) -> dict[str, object]:
    """Return the options in the body of a request for a video."""
    assert isinstance(body, dict)
    kwargs: dict[str, object] = msgspec.json.decode(body["kwargs"])
    return kwargs


class Decoding(ScriptedUpstream):
    """Has a video whose last step is done, and loses the connection of each that is asked for."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(Settings(), clock, Supervisor(clock))
        self.asked = 0
        self.checks = 0
        self.answer: tuple[int, bytes] = (500, b'{"detail":"[address=x, pid=1] Duplicate request id: r"}')
        self.process = 1

    async def serve(self, method: str, path: str, body: Any) -> bytes:
        assert not path.endswith("/abort"), "a video is never aborted"
        if path.endswith("/replicas"):
            return msgspec.json.encode([{"replica_id": 0, "model_address": "h:1", "created_ts": self.process}])
        if method == "POST" and "prompt" in kwargs_of(body):
            self.checks += 1
            raise failure(*self.answer)
        if method == "POST":
            self.asked += 1
            raise ResponseLost
        return b'{"progress":1.0}'


async def start(upstream: Decoding, clock: FakeClock) -> asyncio.Task[object]:
    """Ask for a video whose connection is lost at once."""
    estimator = ProgressEstimator(4, clock.monotonic(), None, None)
    attempt = Attempt(upstream, VIDEO, VIDEO_REQUEST, estimator, true_cancel=False, report=lambda: None)
    run: asyncio.Task[object] = asyncio.create_task(attempt.run(), name="attempt")
    await clock.advance(0.0)
    return run


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ((500, b'{"detail":"x() got multiple values for keyword argument \'prompt\'"}'), True),
        ((404, b'{"detail":"Model not found"}'), True),
        ((500, b'{"detail":"The request has been aborted: r"}'), False),
        ((500, b'{"detail":"something else"}'), False),
        ((503, b'{"detail":"loading"}'), False),
    ],
)
async def test_the_id_tells_the_end(answer: tuple[int, bytes], ends: bool) -> None:
    """For as long as it is in use, and while nobody knows, the video has not ended, though its progress is 1.0."""
    clock = FakeClock()
    upstream = Decoding(clock)
    run = await start(upstream, clock)
    await clock.advance(VIDEO.timeouts.silence - 100)
    assert not run.done()
    assert upstream.checks > 100
    upstream.answer = answer
    await clock.advance(2 * CHECK_PAUSE)
    assert run.done() is ends
    await clock.advance(100)
    with pytest.raises(UpstreamDied):
        await run
    assert upstream.asked == 1


async def test_a_model_that_was_started_again_has_ended_its_video() -> None:
    clock = FakeClock()
    upstream = Decoding(clock)
    run = await start(upstream, clock)
    await clock.advance(60)
    assert not run.done()
    upstream.process = 2
    await clock.advance(2 * CHECK_PAUSE)
    with pytest.raises(UpstreamDied):
        await run


async def test_a_video_of_an_earlier_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its slot is taken until the model has decoded it; only then is it asked for again."""
    monkeypatch.setitem(MODELS, "film", FILM)
    in_use = True
    checks: list[object] = []
    task = make_task("a", pool="film")
    task.kind, task.deadline = "video", 1_800_000_000.0
    task.params = msgspec.structs.replace(task.params, kind="video", frames=5, fps=10)
    task.outputs[0].state = State.RUNNING
    store = MemoryStore(1000)
    await store.commit([accept(task)])
    serve = ScriptedUpstream.serve

    async def checked(self: ScriptedUpstream, method: str, path: str, body: Any) -> bytes:
        if path.endswith("/progress"):
            return b'{"progress":1.0}'
        if method == "POST" and "prompt" in kwargs_of(body):
            checks.append(body)
            text = "Duplicate request id" if in_use else "multiple values for"
            raise failure(500, msgspec.json.encode({"detail": text}))
        return await serve(self, method, path, body)

    monkeypatch.setattr(ScriptedUpstream, "serve", checked)
    async with ScriptedGateway.begin(store=store) as gateway:
        gateway.upstream.become(UpstreamState.READY, "film")
        await gateway.clock.advance(600)
        assert gateway.upstream.posts == []
        assert gateway.runner("film")._scheduler.busy("film") == 1
        assert len(checks) > 50
        in_use = False
        await gateway.clock.advance(2 * CHECK_PAUSE)
        [post] = gateway.upstream.posts
        assert post.uid == "film"
        assert gateway.upstream.aborts == []
        await gateway.front.cancel("ann", "a")
        await turns()
        assert gateway.runner("film")._scheduler.busy("film") == 1, "the cancelled one works on"
        post.end("error")
        await turns()
        assert gateway.runner("film")._scheduler.busy("film") == 0
