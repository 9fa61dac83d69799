"""The table of kinds: what a row says is what the gateway does."""

import asyncio
import base64
from typing import Any

import msgspec
import pytest

from clients import FakeClock, Recorder, WireClient, eventually
from factories import accept, make_task
from scripted_gateway import ScriptedGateway, turns
from scripted_transport import ScriptedTransport
from xinflight.demo import Faults
from xinflight.errors import UpstreamDied, UpstreamGarbage
from xinflight.protocol import Params, State
from xinflight.settings import Settings
from xinflight.storage import MemoryStore
from xinflight.supervise import Supervisor
from xinflight.upstream import (
    KINDS,
    TEXT2IMAGE,
    Attempt,
    GenerationRequest,
    Kind,
    Made,
    ProgressEstimator,
    ResponseLost,
    Xinference,
)
from xinflight.upstream import failure as upstream_failure
from xinflight.upstream.kinds import Route

REQUEST = GenerationRequest(
    model="m",
    prompt="a red boat",
    negative_prompt=None,
    width=64,
    height=32,
    steps=None,
    guidance_scale=None,
    seed=7,
    request_id="r",
    params=Params(n=1, timeout=60.0, on_disconnect="continue"),
)
FULL = msgspec.structs.replace(REQUEST, negative_prompt="fog", steps=4, guidance_scale=0.0)


def changed(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Change the row of text to image."""
    monkeypatch.setitem(KINDS, TEXT2IMAGE.name, msgspec.structs.replace(TEXT2IMAGE, **fields))


# The rows


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_abort_is_sent_only_on_the_route_that_it_stops(kind: Kind) -> None:
    assert KINDS[kind.name] is kind
    assert kind.route(true_cancel=False) is kind.plain_route
    if kind.cancel_route is not None:
        assert not kind.plain_route.true_cancel
        assert kind.cancel_route.true_cancel
        assert kind.route(true_cancel=True) is kind.cancel_route
    else:
        assert kind.route(true_cancel=True) is kind.plain_route


def test_a_kind_without_a_true_cancel_never_has_one() -> None:
    kind = msgspec.structs.replace(TEXT2IMAGE, cancel_route=None)
    assert kind.route(true_cancel=True) is TEXT2IMAGE.plain_route


# Text to image


def test_bodies_leave_to_the_model_what_is_not_given() -> None:
    txt2img, generations = routes()
    assert txt2img.body(REQUEST) == {
        "model": "m",
        "prompt": "a red boat",
        "width": 64,
        "height": 32,
        "seed": 7,
        "request_id": "r",
        "kwargs": '{"cfg_scale":null}',
    }
    assert generations.body(REQUEST) == {
        "model": "m",
        "prompt": "a red boat",
        "n": 1,
        "size": "64*32",
        "response_format": "b64_json",
        "kwargs": '{"request_id":"r","seed":7}',
    }


def test_bodies_with_everything_given() -> None:
    txt2img, generations = routes()
    body = txt2img.body(FULL)
    assert isinstance(body, dict)
    assert (body["negative_prompt"], body["steps"], body["cfg_scale"]) == ("fog", 4, 0.0)
    assert "kwargs" not in body
    plain = generations.body(FULL)
    assert isinstance(plain, dict)
    kwargs = plain["kwargs"]
    assert isinstance(kwargs, str), "an object is refused"
    assert msgspec.json.decode(kwargs) == {
        "request_id": "r",
        "seed": 7,
        "negative_prompt": "fog",
        "num_inference_steps": 4,
        "guidance_scale": 0.0,
    }


def test_outputs_of_both_routes() -> None:
    txt2img, generations = routes()
    encoded = base64.b64encode(b"jpeg").decode()
    assert _output(txt2img, msgspec.json.encode({"images": [encoded]})) == b"jpeg"
    assert _output(generations, msgspec.json.encode({"data": [{"url": None, "b64_json": encoded}]})) == b"jpeg"


@pytest.mark.parametrize("answer", [b'{"images":[],"data":[]}', b'{"images":[""],"data":[{"b64_json":""}]}', b"{}"])
def test_a_response_without_an_image_is_garbage(answer: bytes) -> None:
    for route in routes():
        with pytest.raises(UpstreamGarbage):
            _output(route, answer)


def test_a_response_may_be_as_large_as_the_largest_image() -> None:
    """Uncompressed, with 16 bits for each of four channels, as base64."""
    large = msgspec.structs.replace(REQUEST, width=2048, height=2048)
    assert TEXT2IMAGE.max_bytes(large) - TEXT2IMAGE.max_bytes(REQUEST) > 2040 * 2048 * 8 * 4 / 3


def _output(route: Route, answer: bytes) -> Made:
    reader = route.reader(REQUEST)
    assert not list(reader.feed(answer))
    return reader.end()


def routes() -> tuple[Route, Route]:
    assert TEXT2IMAGE.cancel_route is not None
    return TEXT2IMAGE.cancel_route, TEXT2IMAGE.plain_route


# What follows from a row


async def forgetful(method: str, path: str, body: object) -> bytes:
    """Lose the connection of every generation, and then know nothing of it."""
    if path.endswith("/abort"):
        return b'{"msg":"NO_OP"}'
    if method == "POST":
        raise ResponseLost
    if path.endswith("/replicas"):
        return b'[{"replica_id":0,"model_address":"h:1","created_ts":1}]'
    raise upstream_failure(400, b'{"detail":"unknown"}')


@pytest.mark.parametrize("unknown_has_ended", [True, False])
async def test_when_a_request_that_is_not_known_has_ended(unknown_has_ended: bool) -> None:
    """At once where that is proof; otherwise after the silence, for it may still run."""
    clock = FakeClock()
    upstream = Xinference(Settings(), clock, Supervisor(clock), lambda: None, transport=ScriptedTransport(forgetful))
    kind = msgspec.structs.replace(TEXT2IMAGE, unknown_has_ended=unknown_has_ended)
    estimator = ProgressEstimator(4, clock.monotonic(), None, 0.0)
    attempt = Attempt(upstream, kind, REQUEST, estimator, true_cancel=True, report=lambda: None)
    run = asyncio.create_task(attempt.run(), name="attempt")
    await clock.advance(0.0)
    await clock.advance(kind.timeouts.silence - 20)
    assert run.done() is unknown_has_ended
    await clock.advance(40)
    assert run.done()
    with pytest.raises(UpstreamDied):
        await run


@pytest.mark.parametrize("unknown_has_ended", [True, False])
async def test_when_a_request_of_an_earlier_process_has_ended(
    unknown_has_ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same after a restart: only then is its output asked for again."""
    changed(monkeypatch, unknown_has_ended=unknown_has_ended)
    task = make_task("a", pool="m")
    task.deadline = 1_800_000_000.0
    task.outputs[0].state = State.RUNNING
    store = MemoryStore(1000)
    await store.commit([accept(task)])
    async with ScriptedGateway.begin(store=store) as gateway:
        await gateway.clock.advance(TEXT2IMAGE.timeouts.silence - 20)
        assert len(gateway.upstream.posts) == unknown_has_ended
        await gateway.clock.advance(40)
        [post] = gateway.upstream.posts
        post.end("image")
        await turns()
        assert not gateway.unfinished("ann", "a")


async def test_a_kind_that_may_die_once_is_not_sent_again(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was refused before it ran is, as ever."""
    changed(monkeypatch, max_deaths=1)
    monkeypatch.setattr("xinflight.tasks.runner.RETRY_PAUSES", (0.05,))
    engine.script = [Faults(refuse=0), Faults(die=3)]
    await client.ask(action="generate", prompt="a", task_id="a")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["code"]) == ("error", "upstream_died")
    assert engine.prompts == ["a", "a"]


async def test_a_kind_without_a_true_cancel_is_never_aborted(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cancel says that the model works on, whatever the model could do with another kind."""
    changed(monkeypatch, cancel_route=None)
    engine.faults = Faults(freeze=1, requests=1)
    await client.ask(action="generate", prompt="a", task_id="a")
    await eventually(lambda: "a" in engine.prompts)
    await client.ask(action="cancel", task_id="a")
    assert (await client.ends("a"))["a"]["upstream"] == "running_on"
    engine.thaw()
    await client.ask(action="generate", prompt="b", task_id="b")
    assert (await client.ends("b"))["b"]["type"] == "result"
    assert [route for route, _, _ in engine.posts] == ["generations", "generations"]
    assert engine.aborts == []
