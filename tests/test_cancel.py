"""A cancel in every state, and what it says it achieved."""

import asyncio
from collections.abc import Callable

import pytest

from clients import Json, Recorder, ShiftedClock, WireClient, eventually, painter, set_timeouts
from conftest import Front
from xinflight.demo import EmulatorOptions, Faults, Replica
from xinflight.demo.process import ReplicaView
from xinflight.model import MediaInfo
from xinflight.storage import FileBlobs
from xinflight.upstream import attempt as xinference_attempt


def beyond(task_id: str, percent: int) -> Callable[[Json], bool]:
    """Wait for a task's progress to be above some per cent."""
    return lambda m: m["type"] == "progress" and m["task_id"] == task_id and m["progress"] > percent


async def start(client: WireClient, task_id: str, **fields: object) -> Json:
    """Start a generation that has its own name as prompt."""
    return await client.ask(**{"action": "generate", "prompt": task_id, "task_id": task_id, **fields})


async def cancel(client: WireClient, task_id: str, **fields: object) -> Json:
    """Cancel and return what the task was."""
    answer = await client.ask(action="cancel", task_id=task_id, **fields)
    assert answer["type"] == "ok"
    assert "seq" not in answer
    (task,) = answer["tasks"]
    assert task["task_id"] == task_id
    return dict(task)


async def draws(client: WireClient, task_id: str = "after") -> None:
    """Hold that the model still makes images."""
    await start(client, task_id)
    assert (await client.ends(task_id))[task_id]["type"] == "result"


async def test_a_queued_one_never_starts(client: WireClient, engine: Recorder) -> None:
    """What is cancelled while it waits is never sent."""
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, "running")
    await start(client, "waiting")
    assert (await cancel(client, "waiting"))["was"] == "queued"
    await client.ends("waiting")
    engine.thaw()
    ends = await client.ends("waiting", "running")
    assert (ends["waiting"]["type"], ends["waiting"]["upstream"]) == ("cancelled", "never_started")
    assert "data" not in ends["waiting"]
    await draws(client)
    assert engine.prompts == ["running", "after"]
    assert engine.aborts == []


async def test_a_starting_one_is_stopped(client: WireClient, engine: Recorder) -> None:
    """A request that was sent but has shown no step is aborted, and its end awaited."""
    engine.faults = Faults(freeze=0, requests=1)
    await start(client, "a")
    await eventually(lambda: engine.posts)
    assert (await cancel(client, "a"))["was"] == "starting"
    await eventually(lambda: engine.aborts)
    assert client.of("a", "cancelled") == []
    engine.thaw()
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "stopped")
    await draws(client)
    assert engine.peak["painter"] == 1


async def test_a_running_one_is_stopped_and_says_how_long_it_took(client: WireClient, engine: Recorder) -> None:
    """The compute stops at the next step; `seconds` is the time from the cancel to the end."""
    engine.faults = Faults(freeze=3, requests=1)
    await start(client, "a")
    await client.until(beyond("a", 4))
    assert (await cancel(client, "a"))["was"] == "running"
    await eventually(lambda: engine.aborts)
    engine.thaw()
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "stopped")
    assert end["seconds"] > 0
    assert engine.in_flight["painter"] == 0
    await draws(client)
    assert len(engine.aborts) == 1


async def test_one_that_waits_for_its_next_try_is_stopped_at_once(client: WireClient, engine: Recorder) -> None:
    """Between two tries nothing runs upstream, so the end comes without asking anybody."""
    engine.faults = Faults(refuse=600)
    await start(client, "a")
    await client.until(lambda m: m["type"] == "progress" and m["step"] == "waiting_for_model")
    assert (await cancel(client, "a"))["was"] == "queued"
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "never_started")
    engine.faults = Faults()
    await draws(client)
    assert engine.aborts == []


async def test_an_image_that_is_being_saved_is_kept(
    client: WireClient, monkeypatch: pytest.MonkeyPatch, engine: Recorder
) -> None:
    """A cancel that meets the saving comes too late: the image wins."""
    saving, go_on = asyncio.Event(), asyncio.Event()
    put = FileBlobs.put

    async def slow_put(self: FileBlobs, output_id: str, data: bytes) -> MediaInfo:
        saving.set()
        await go_on.wait()
        return await put(self, output_id, data)

    monkeypatch.setattr(FileBlobs, "put", slow_put)
    await start(client, "a")
    await saving.wait()
    assert (await cancel(client, "a"))["was"] == "running"
    go_on.set()
    end = (await client.ends("a"))["a"]
    assert end["type"] == "result"
    assert len(end["data"]["data"]) == 1
    assert engine.aborts == []


async def test_a_result_that_crosses_the_cancel_is_kept(client: WireClient, engine: Recorder) -> None:
    """The abort finds the last step done: the image that comes is an image, and there is one end."""
    engine.faults = Faults(freeze=4, requests=1)
    await start(client, "a", steps=4)
    await eventually(lambda: engine.posts)
    original = engine.abort
    # The abort is lost on its way, as one that arrives when the pipeline has returned already.
    engine.abort = lambda *args, **kwargs: "NO_OP"  # type: ignore[method-assign]
    was = (await cancel(client, "a"))["was"]
    assert was in ("starting", "running")
    engine.thaw()
    end = (await client.ends("a"))["a"]
    engine.abort = original  # type: ignore[method-assign]
    assert end["type"] == "result"
    await draws(client)
    assert len([m for m in client.of("a") if m["type"] in ("result", "cancelled", "error")]) == 1


async def test_a_second_cancel_changes_nothing(client: WireClient, engine: Recorder) -> None:
    """The state in between is told, one abort is sent, one end comes."""
    engine.faults = Faults(freeze=2, requests=1)
    await start(client, "a")
    await client.until(beyond("a", 10))
    await cancel(client, "a")
    assert (await cancel(client, "a"))["was"] == "cancelling"
    await eventually(lambda: engine.aborts)
    engine.thaw()
    await client.ends("a")
    assert (await cancel(client, "a"))["was"] == "cancelled"
    await draws(client)
    assert len(engine.aborts) == 1
    assert len(client.of("a", "cancelled")) == 1
    assert [m["state"] for m in client.of("a", "progress")][-1] == "cancelling"


async def test_ended_and_unknown_ones_are_soft_answers(client: WireClient) -> None:
    """A cancel of what has ended, or never was, is no error and starts nothing."""
    await draws(client, "a")
    before = len(client.seen)
    assert await cancel(client, "a") == {"task_id": "a", "was": "completed"}
    assert await cancel(client, "nobody") == {"task_id": "nobody", "was": "unknown"}
    assert await cancel(client, "a", index=0) == {"task_id": "a", "was": "completed", "index": 0}
    await client.ask(action="ping")
    assert [m["type"] for m in client.seen[before:]] == ["ok", "ok", "ok", "pong"]


async def test_one_image_of_several(client: WireClient, engine: Recorder) -> None:
    """An index cancels its image alone; the result names it, and holds the others."""
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, "a", n=3, seed=5)
    assert await cancel(client, "a", index=1) == {"task_id": "a", "was": "queued", "index": 1}
    assert await cancel(client, "a", index=3) == {"task_id": "a", "was": "unknown", "index": 3}
    engine.thaw()
    end = (await client.ends("a"))["a"]
    assert end["type"] == "result"
    assert end["cancelled"] == [1]
    assert [(p["index"], p["seed"]) for p in end["data"]["data"]] == [(0, 5), (2, 7)]
    assert len(engine.posts) == 2


async def test_the_running_one_of_several_images(client: WireClient, engine: Recorder) -> None:
    """The running image is stopped, and the next one starts on the freed slot."""
    engine.faults = Faults(freeze=3, requests=1)
    await start(client, "a", n=2)
    await client.until(beyond("a", 3))
    assert (await cancel(client, "a", index=0))["was"] == "running"
    await eventually(lambda: engine.aborts)
    engine.thaw()
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["cancelled"]) == ("result", [0])
    assert [p["index"] for p in end["data"]["data"]] == [1]
    assert engine.peak["painter"] == 1


async def test_every_image_by_its_index_cancels_the_task(client: WireClient, engine: Recorder) -> None:
    """When no image is left the task is cancelled, not completed."""
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, "a", n=2)
    for index in (0, 1):
        await cancel(client, "a", index=index)
    engine.thaw()
    end = (await client.ends("a"))["a"]
    assert end["type"] == "cancelled"


async def test_all_but_some(client: WireClient, engine: Recorder) -> None:
    """Everything unfinished of the owner is cancelled, queued and running, except what is named."""
    engine.faults = Faults(freeze=1, requests=1)
    for task_id in ("a", "b", "c", "d"):
        await start(client, task_id)
    answer = await client.ask(action="cancel", scope="all", **{"except": ["c", "nobody"]})
    assert {task["task_id"] for task in answer["tasks"]} == {"a", "b", "d"}
    engine.thaw()
    ends = await client.ends("a", "b", "c", "d")
    assert {task_id: end["type"] for task_id, end in ends.items()} == {
        "a": "cancelled",
        "b": "cancelled",
        "c": "result",
        "d": "cancelled",
    }
    assert "b" not in engine.prompts
    assert (await client.ask(action="cancel", scope="all"))["tasks"] == []


async def test_images_made_before_the_cancel_are_handed_over(client: WireClient, engine: Recorder) -> None:
    """`cancelled` carries the images there are already."""
    engine.script = [Faults(), Faults(freeze=1)]
    await start(client, "a", n=3)
    image = await client.until(lambda m: m["type"] == "output")
    await cancel(client, "a")
    engine.thaw()
    end = (await client.ends("a"))["a"]
    assert end["type"] == "cancelled"
    assert [p["url"] for p in end["data"]][:1] == [image["url"]]


OLD = EmulatorOptions(txt2img_abort=False)


@pytest.mark.parametrize(
    ("models", "options"),
    [([painter(step_seconds=0.02)], OLD), ([painter(txt2img=False)], None), ([painter(engine="vllm")], None)],
    ids=["server before 3.4.0", "class without txt2img", "other engine"],
)
async def test_on_the_other_route_an_abort_is_never_sent(
    clock: ShiftedClock, front: Front, models: list[object], options: EmulatorOptions | None
) -> None:
    """Where an abort would spoil the next image the slot waits for the answer instead, and says so."""
    engine, client = await front(*models, options=options)
    # The first request may be the one that shows which route the model needs.
    await draws(client, "first")
    assert engine.posts[-1][0] == "generations"
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, "a")
    # Not as soon as it has arrived: whether it runs is asked below.
    await eventually(lambda: engine.in_flight["painter"] == 1)
    assert (await cancel(client, "a"))["was"] in ("starting", "running")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "running_on")
    assert engine.in_flight["painter"] == 1, "nobody waited for it"
    engine.thaw()
    await draws(client)
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, "late", timeout=60)
    await eventually(lambda: engine.in_flight["painter"] == 1)
    clock.advance(60)
    assert (await client.ends("late"))["late"]["state"] == "expired"
    await start(client, "last")
    engine.thaw()
    assert (await client.ends("last"))["last"]["type"] == "result"
    assert engine.aborts == []
    assert engine.peak["painter"] == 1


async def test_on_the_other_route_the_next_waits_for_the_answer(front: Front) -> None:
    """The slot is taken until the POST answers: what comes next is not even sent before."""
    engine, client = await front(options=OLD)
    engine.faults = Faults(freeze=3, requests=1)
    await start(client, "a")
    await client.until(beyond("a", 10))
    await cancel(client, "a")
    await client.ends("a")
    await start(client, "b")
    await client.until(lambda m: m["type"] == "progress" and m["task_id"] == "b" and m["position"] == 1)
    assert engine.prompts == ["a"]
    engine.thaw()
    assert (await client.ends("b"))["b"]["type"] == "result"
    assert engine.aborts == []


async def test_an_unconfirmed_cancel_says_so_and_keeps_the_slot_out(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that stands still confirms nothing: the task ends, the slot stays out until the POST has ended."""
    set_timeouts(monkeypatch, confirm=0.2)
    engine.faults = Faults(freeze=2, requests=1)
    await start(client, "a")
    await client.until(beyond("a", 10))
    await cancel(client, "a")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "unconfirmed")
    assert end["seconds"] >= 0.2
    await start(client, "b")
    await client.until(lambda m: m["type"] == "progress" and m["task_id"] == "b" and m["position"] == 1)
    assert engine.prompts == ["a"]
    engine.thaw()
    assert (await client.ends("b"))["b"]["type"] == "result"
    assert engine.peak["painter"] == 1


async def test_a_slot_without_a_sign_of_life_comes_back_after_the_quarantine(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that never ends is taken for gone in the end, and the next one is sent."""
    set_timeouts(monkeypatch, confirm=0.1, silence=0.5)
    monkeypatch.setattr(xinference_attempt, "CHECK_PAUSE", 0.05)
    engine.faults = Faults(hang=True, requests=1)
    await start(client, "a")
    await client.until(lambda m: m.get("step") == "decoding")
    await cancel(client, "a")
    assert (await client.ends("a"))["a"]["upstream"] == "unconfirmed"
    await draws(client)


async def test_a_model_made_anew_gives_the_slot_back(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new `created_ts` shows that the old process, and with it the request, is gone."""
    set_timeouts(monkeypatch, confirm=0.1)
    monkeypatch.setattr(xinference_attempt, "CHECK_PAUSE", 0.05)
    asked = asyncio.Event()

    def replicas(uid: str) -> list[ReplicaView]:
        asked.set()
        return Recorder.replicas(engine, uid)

    monkeypatch.setattr(engine, "replicas", replicas)
    engine.faults = Faults(hang=True, requests=1)
    await start(client, "a")
    await client.until(lambda m: m.get("step") == "decoding")
    await cancel(client, "a")
    await client.ends("a")
    # What it has to differ from is known.
    await asked.wait()
    shift = 100.0
    real = engine.clock.time
    monkeypatch.setattr(engine.clock, "time", lambda: real() + shift)
    engine.launch(painter())
    await draws(client)


@pytest.mark.parametrize("how", ["dies", "fails"])
async def test_a_failure_that_crosses_the_cancel_is_a_stop(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """When the model fails before it sees the abort, nothing runs any more: the cancel has what it wanted."""
    engine.faults = Faults(freeze=2, requests=1)
    monkeypatch.setattr(engine, "abort", lambda *args, **kwargs: "NO_OP")
    await start(client, "a")
    await client.until(beyond("a", 10))
    assert (await cancel(client, "a"))["was"] == "running"
    if how == "dies":
        engine.kill("painter")
    else:

        def fail(*args: object) -> None:
            raise RuntimeError("boom")

        monkeypatch.setattr(Replica, "_end_step", fail)
        engine.thaw()
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "stopped")
    assert engine.prompts == ["a"]


async def test_the_last_steps_are_left_to_end(client: WireClient, engine: Recorder) -> None:
    """A cancel while the image is decoded is answered after that, and the slot is free then."""
    engine.faults = Faults(freeze=10, requests=1)
    await start(client, "a", steps=10)
    await client.until(lambda m: m.get("step") == "decoding")
    await cancel(client, "a")
    await client.ask(action="ping")
    assert client.of("a", "cancelled") == []
    engine.thaw()
    end = (await client.ends("a"))["a"]
    assert end["type"] == "cancelled"
    assert end["upstream"] == "stopped"
    await draws(client)
    assert engine.peak["painter"] == 1
