"""What an upstream does wrong, and what its users are told of it."""

import asyncio
import json
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from clients import PAINTER, FakeClock, Json, Recorder, ShiftedClock, WireClient, eventually, painter, set_timeouts
from conftest import Front, Serve
from xinflight.demo import EmulatorOptions, Faults, Txt2imgBody, serve_emulator
from xinflight.demo import process as emulator_process
from xinflight.errors import UpstreamAuth
from xinflight.protocol import UpstreamState
from xinflight.settings import Settings
from xinflight.supervise import Supervisor
from xinflight.tasks import runner
from xinflight.upstream import Xinference
from xinflight.upstream import attempt as xinference_attempt
from xinflight.upstream import models as xinference


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten every pause that has nothing to do with what is tested."""
    monkeypatch.setattr(runner, "RETRY_PAUSES", (0.05,))
    monkeypatch.setattr(xinference, "AWAY_PAUSE", 0.05)
    monkeypatch.setattr(emulator_process, "RECOVERY_SECONDS", 0.3)
    monkeypatch.setattr(emulator_process, "STALE_SECONDS", 0.1)


async def end_of(client: WireClient, task_id: str, **fields: object) -> Json:
    """Make one image and return its end."""
    answer = await client.ask(**{"action": "generate", "prompt": task_id, "task_id": task_id, **fields})
    assert answer["type"] == "ack"
    return (await client.ends(task_id))[task_id]


async def draws(client: WireClient) -> None:
    """Hold that the model still makes images."""
    assert (await end_of(client, "after"))["type"] == "result"


async def test_a_model_that_dies_is_tried_again_in_sight(client: WireClient, engine: Recorder) -> None:
    """The second attempt has a number and a reason, starts at 0 again, and completes."""
    # It is asked for its progress before that.
    engine.faults = Faults(die=15, slow=8, requests=1)
    assert (await end_of(client, "a", steps=20))["type"] == "result"
    shown = client.of("a", "progress")
    assert {m["details"].get("attempt", 1) for m in shown if "details" in m} >= {1, 2}
    again = [m for m in shown if m.get("details", {}).get("retry_reason")]
    assert {m["details"]["retry_reason"] for m in again} <= {"upstream_died", "upstream_busy"}
    assert again[0]["details"]["retry_reason"] == "upstream_died"
    for attempt in {m.get("details", {}).get("attempt", 1) for m in shown}:
        of_one = [m["progress"] for m in shown if m.get("details", {}).get("attempt", 1) == attempt]
        assert of_one == sorted(of_one)
    states = [m["state"] for m in shown]
    assert "queued" in states[states.index("running") :]


async def test_a_model_that_dies_twice_is_enough(client: WireClient, engine: Recorder) -> None:
    """After two deaths the task fails, and the next one is served."""
    engine.faults = Faults(die=3)
    end = await end_of(client, "a")
    assert (end["type"], end["code"], end["state"]) == ("error", "upstream_died", "failed")
    assert end["retryable"] is True
    assert any(m.get("details", {}).get("retry_reason") == "upstream_died" for m in client.of("a", "progress"))
    engine.faults = Faults()
    await draws(client)


async def test_each_attempt_has_its_own_request_id(client: WireClient, engine: Recorder) -> None:
    """An id that may still run is never used again."""
    ids: list[str | None] = []
    original = engine.txt2img

    async def txt2img(body: object) -> object:
        ids.append(body.request_id)  # type: ignore[attr-defined]
        return await original(body)  # type: ignore[arg-type]

    engine.txt2img = txt2img  # type: ignore[method-assign, assignment]
    engine.faults = Faults(refuse=0, requests=2)
    assert (await end_of(client, "a", n=2))["type"] == "result"
    assert len(ids) == 4
    assert len(set(ids)) == 4


async def test_refused_ones_are_tried_until_they_are_taken(client: WireClient, engine: Recorder) -> None:
    """A 503 is no death: it is tried more than twice, and the seconds it asks for are waited."""
    engine.faults = Faults(refuse=0, requests=4)
    assert (await end_of(client, "a"))["type"] == "result"
    assert len(engine.posts) == 5
    engine.faults = Faults(refuse=1, requests=1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await end_of(client, "b"))["type"] == "result"
    assert loop.time() - began >= 1.0


async def test_the_rate_limit_is_waited_for(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's request takes the only place of the model: ours comes after it."""
    engine, client = await front(painter(request_limit=1))
    engine.faults = Faults(freeze=1, requests=1)
    foreign = asyncio.create_task(_foreign(engine))
    await eventually(lambda: engine.in_flight["painter"] == 1)
    await client.send(action="generate", prompt="a", task_id="a")
    await client.until(lambda m: m.get("details", {}).get("retry_reason") == "upstream_busy")
    engine.thaw()
    assert (await client.ends("a"))["a"]["type"] == "result"
    await foreign


async def _foreign(engine: Recorder) -> None:
    job = await engine.txt2img(Txt2imgBody(model="painter", prompt="foreign", width=64, height=64))
    await job.answer


async def test_an_error_fails_at_once_and_leaks_nothing(client: WireClient, engine: Recorder) -> None:
    """Upstream text, with its addresses and pids, reaches nobody; one attempt is made."""
    engine.faults = Faults(error="CUDA out of memory at /srv/models", requests=1)
    end = await end_of(client, "a")
    assert (end["type"], end["code"], end["state"]) == ("error", "upstream_out_of_memory", "failed")
    assert end.get("retryable", False) is False
    assert len(engine.posts) == 1
    told = json.dumps(client.seen)
    for word in ("address=", "pid=", "CUDA", "/srv"):
        assert word not in told
    await draws(client)


@pytest.mark.parametrize("kind", ["text", "shape", "base64", "image"])
@pytest.mark.parametrize("txt2img", [True, False])
async def test_garbage_is_told_as_such(front: Front, kind: str, txt2img: bool) -> None:
    """A 200 with nonsense fails the task with its code, once, on both routes; the slot is free after."""
    engine, client = await front(options=EmulatorOptions(txt2img_abort=txt2img))
    engine.faults = Faults(garbage=kind, requests=1)  # type: ignore[arg-type]
    end = await end_of(client, "a")
    assert (end["type"], end["code"]) == ("error", "upstream_garbage")
    assert len(engine.posts) == 1
    await draws(client)


@pytest.mark.parametrize(
    "fault", [Faults(reset=True, requests=1), Faults(drop=3, requests=1)], ids=["answer", "steps"]
)
async def test_a_lost_answer_is_tried_again_after_the_old_one_has_ended(
    client: WireClient, engine: Recorder, fault: Faults
) -> None:
    """The connection breaks: the old request is stopped first, then the second attempt completes."""
    engine.faults = fault
    end = await end_of(client, "a", steps=20)
    assert end["type"] == "result"
    assert len(engine.posts) == 2
    assert engine.peak["painter"] == 1
    reasons = {m["details"].get("retry_reason") for m in client.of("a", "progress") if "details" in m}
    assert "upstream_died" in reasons


async def test_answers_that_are_always_lost_end_after_two(client: WireClient, engine: Recorder) -> None:
    """Drawing an image again and again for an answer that never arrives would burn the model for an hour."""
    engine.faults = Faults(reset=True)
    end = await end_of(client, "a")
    assert (end["type"], end["code"]) == ("error", "upstream_died")
    assert len(engine.posts) == 2
    engine.faults = Faults()
    await draws(client)


async def test_on_the_other_route_a_lost_answer_is_waited_for(front: Front) -> None:
    """Where nothing may be aborted, the second attempt waits for the end of the first one's steps."""
    engine, client = await front(options=EmulatorOptions(txt2img_abort=False))
    engine.faults = Faults(drop=2, requests=1)
    assert (await end_of(client, "a", steps=20))["type"] == "result"
    assert engine.aborts == []
    assert len(engine.posts) == 2
    assert engine.peak["painter"] == 1


async def test_a_hang_runs_into_the_timeout_and_the_slot_comes_back(
    clock: ShiftedClock, client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that never comes expires the task; the model serves the next one after the quarantine."""
    set_timeouts(monkeypatch, silence=0.4)
    monkeypatch.setattr(xinference_attempt, "CHECK_PAUSE", 0.05)
    engine.faults = Faults(hang=True, requests=1)
    await client.send(action="generate", prompt="a", task_id="a", timeout=600)
    await client.until(lambda m: m.get("step") == "decoding")
    clock.advance(600)
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["state"], end["code"]) == ("error", "expired", "timeout")
    assert end["step"] == "decoding"
    await draws(client)


async def test_a_frozen_one_expires_and_is_aborted(clock: ShiftedClock, client: WireClient, engine: Recorder) -> None:
    """The timeout ends the task at once; its slot is free when the request has ended, not before."""
    engine.faults = Faults(freeze=3, requests=1)
    await client.send(action="generate", prompt="a", task_id="a", timeout=600)
    await client.until(lambda m: m.get("step") == "generating" and m["progress"] > 0)
    clock.advance(600)
    end = (await client.ends("a"))["a"]
    assert (end["state"], end["step"]) == ("expired", "generating")
    await eventually(lambda: len(engine.aborts) == 1)
    await client.send(action="generate", prompt="b", task_id="b")
    await client.until(lambda m: m.get("position") == 1)
    assert engine.prompts == ["a"]
    engine.thaw()
    assert (await client.ends("b"))["b"]["type"] == "result"
    assert engine.peak["painter"] == 1


async def test_one_that_waits_expires_too(client: WireClient, engine: Recorder) -> None:
    """The timeout counts from the acceptance, so it ends waiting as well; nothing is sent."""
    engine.faults = Faults(freeze=1, requests=1)
    await client.send(action="generate", prompt="first", task_id="first")
    end = await end_of(client, "a", timeout=0.2)
    assert (end["state"], end["step"]) == ("expired", "queued")
    engine.thaw()
    await client.ends("first")
    await draws(client)
    assert "a" not in engine.prompts


async def test_tasks_wait_for_an_upstream_that_comes_up_later(
    serve: Serve, stack: AsyncExitStack, unused_tcp_port: int
) -> None:
    """The server starts without Xinference, says what to do, and runs what waited when it comes up."""
    url = await serve(xinference_url=f"http://127.0.0.1:{unused_tcp_port}", default_size="64x64")
    client = await stack.enter_async_context(WireClient.connect(url))
    welcome = client.seen[0]
    assert welcome["upstream"]["state"] == "unreachable"
    assert "--demo" in welcome["upstream"]["cure"]
    assert welcome["models"] == []
    for task_id, fields in (("a", {}), ("b", {"model": "painter"})):
        ack = await client.ask(action="generate", prompt=task_id, task_id=task_id, **fields)
        assert ack["state"] == "queued"
    await client.until(lambda m: m["type"] == "progress" and m["step"] == "waiting_for_model")
    engine = Recorder([PAINTER])
    await stack.enter_async_context(serve_emulator(engine, port=unused_tcp_port))
    notice = await client.until(lambda m: m["type"] == "notice")
    assert (notice["kind"], notice["upstream"]["state"]) == ("upstream", "ready")
    assert [model["id"] for model in notice["models"]] == ["painter"]
    ends = await client.ends("a", "b")
    assert {end["type"] for end in ends.values()} == {"result"}
    assert engine.prompts == ["a", "b"]


async def test_an_upstream_that_vanishes_and_returns(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients hear of both; what came meanwhile waits, and runs after."""
    monkeypatch.setattr(xinference, "READY_PAUSE", 0.05)
    engine, client = await front()
    engine.unreachable = True
    await client.send(action="generate", prompt="a", task_id="a")
    notice = await client.until(lambda m: m["type"] == "notice")
    assert notice["upstream"]["state"] == "unreachable"
    await client.ask(action="generate", prompt="b", task_id="b")
    engine.unreachable = False
    notice = await client.until(lambda m: m["type"] == "notice")
    assert notice["upstream"]["state"] == "ready"
    ends = await client.ends("a", "b")
    assert {end["type"] for end in ends.values()} == {"result"}


async def test_an_upstream_that_restarts_in_the_middle(
    serve: Serve, stack: AsyncExitStack, unused_tcp_port: int
) -> None:
    """What ran there is tried again on the new process."""
    async with AsyncExitStack() as first:
        old = Recorder([PAINTER])
        old.faults = Faults(freeze=5)
        upstream = await first.enter_async_context(serve_emulator(old, port=unused_tcp_port))
        url = await serve(xinference_url=upstream, default_size="64x64")
        client = await stack.enter_async_context(WireClient.connect(url))
        await client.send(action="generate", prompt="a", task_id="a")
        await client.until(lambda m: m["type"] == "progress" and m["progress"] > 10)
    await client.until(lambda m: m["type"] == "notice" and m["upstream"]["state"] == "unreachable")
    new = Recorder([PAINTER])
    await stack.enter_async_context(serve_emulator(new, port=unused_tcp_port))
    assert (await client.ends("a"))["a"]["type"] == "result"
    assert new.prompts == ["a"]


async def test_a_model_that_was_never_there_stays_waited_for_until_the_timeout(
    serve: Serve, stack: AsyncExitStack, unused_tcp_port: int
) -> None:
    """Without an upstream a task ends with its timeout, not with a crash."""
    url = await serve(xinference_url=f"http://127.0.0.1:{unused_tcp_port}")
    client = await stack.enter_async_context(WireClient.connect(url))
    end = await end_of(client, "a", timeout=0.2)
    assert (end["state"], end["step"]) == ("expired", "waiting_for_model")


# A key that is not good


async def test_a_wrong_key_refuses_and_asks_once(front: Front) -> None:
    """With a wrong key nothing is accepted, the welcome says why, and one call was made."""
    engine, client = await front(options=EmulatorOptions(api_key="good"), api_key="bad")
    assert client.seen[0]["upstream"]["state"] == "unauthorised"
    answer = await client.ask(action="generate", prompt="a")
    assert (answer["type"], answer["code"]) == ("error", "upstream_auth")
    assert "seq" not in answer
    assert engine.keys == ["Bearer bad"]


async def test_the_right_key_draws(front: Front) -> None:
    """Our key goes with every call that needs one, and nobody else's does."""
    engine, client = await front(options=EmulatorOptions(api_key="good"), api_key="good")
    await draws(client)
    assert set(engine.keys) == {"Bearer good"}


async def test_a_refused_key_is_tried_every_five_minutes(stack: AsyncExitStack) -> None:
    """Ten bad keys within five minutes would ban our address, so there is one probe in that time."""
    engine = Recorder([PAINTER], options=EmulatorOptions(api_key="good"))
    clock = FakeClock()
    url = await stack.enter_async_context(serve_emulator(engine))
    upstream = Xinference(
        Settings(xinference_url=url, api_key="bad"), clock, Supervisor(clock), on_change=lambda: None
    )
    await upstream.start()
    stack.push_async_callback(upstream.close)
    assert upstream.state is UpstreamState.UNAUTHORISED
    when = [(clock.now, len(engine.keys))]
    for _ in range(62):
        upstream.probe_soon()
        await clock.advance(20.0)
        await upstream_quiet(engine)
        if len(engine.keys) != when[-1][1]:
            when.append((clock.now, len(engine.keys)))
    assert [calls for _, calls in when] == [1, 2, 3, 4, 5]
    assert all(later - earlier >= 300 for (earlier, _), (later, _) in pairwise(when))
    engine.change_key("bad")
    await clock.advance(300.0)
    await eventually(lambda: upstream.state is UpstreamState.READY)


async def test_five_minutes_count_from_the_refusal(stack: AsyncExitStack) -> None:
    """A key that is refused in the middle of the pause between two probes makes no probe in that pause."""
    engine = Recorder([PAINTER], options=EmulatorOptions(api_key="good"))
    clock = FakeClock()
    url = await stack.enter_async_context(serve_emulator(engine))
    upstream = Xinference(
        Settings(xinference_url=url, api_key="good"), clock, Supervisor(clock), on_change=lambda: None
    )
    await upstream.start()
    stack.push_async_callback(upstream.close)
    assert upstream.state is UpstreamState.READY
    # The prober is in its pause before the key goes bad.
    await clock.advance(1.0)
    engine.change_key("other")
    with pytest.raises(UpstreamAuth):
        await upstream.request("GET", "/v1/models")
    before = len(engine.keys)
    for _ in range(14):
        await clock.advance(20.0)
        await upstream_quiet(engine)
    assert len(engine.keys) == before
    await clock.advance(40.0)
    await eventually(lambda: len(engine.keys) == before + 1)


async def upstream_quiet(engine: Recorder) -> None:
    """Let what is on its way to the emulator arrive: a round of loopback traffic is over in two."""
    seen = -1
    while seen != len(engine.keys):
        seen = len(engine.keys)
        for _ in range(10):
            await asyncio.sleep(0.001)


async def test_a_key_that_is_taken_away_ends_what_waits_and_stops_all_calls(front: Front) -> None:
    """Running, waiting and new tasks meet a revoked key: few calls with it are made, and no ban comes of them."""
    engine, client = await front(options=EmulatorOptions(api_key="good"), api_key="good")
    engine.faults = Faults(freeze=2, requests=1)
    await client.ask(action="generate", prompt="running", task_id="running", steps=4)
    await client.ask(action="generate", prompt="waiting", task_id="waiting")
    await client.has(lambda m: m["type"] == "progress" and m["task_id"] == "running" and m["progress"] > 10)
    engine.change_key("other")
    before = len(engine.keys)
    end = (await client.ends("waiting"))["waiting"]
    assert (end["type"], end["code"], end["state"]) == ("error", "upstream_auth", "failed")
    answer = await client.ask(action="generate", prompt="new")
    assert answer["code"] == "upstream_auth"
    engine.thaw()
    # The POST of the running one was let in before, and its image is as good as any.
    assert (await client.ends("running"))["running"]["type"] == "result"
    assert len(engine.keys) - before <= 2


async def test_a_cancel_with_a_key_that_is_refused_does_not_storm(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An abort that is answered 401 is not sent again and again."""
    set_timeouts(monkeypatch, confirm=0.5)
    monkeypatch.setattr(xinference_attempt, "CHECK_PAUSE", 0.05)
    engine, client = await front(options=EmulatorOptions(api_key="good"), api_key="good")
    engine.faults = Faults(freeze=2, requests=1)
    await client.ask(action="generate", prompt="a", task_id="a")
    await client.until(lambda m: m["type"] == "progress" and m["progress"] > 10)
    engine.change_key("other")
    before = len(engine.keys)
    await client.ask(action="cancel", task_id="a")
    assert (await client.ends("a"))["a"]["upstream"] == "unconfirmed"
    assert len(engine.keys) - before <= 3
    engine.thaw()
