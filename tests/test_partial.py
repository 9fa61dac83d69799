"""Several images of one generation, some of which come to nothing."""

import pytest

from clients import Json, Recorder, ShiftedClock, WireClient, eventually, painter
from conftest import Front
from xinflight.demo import Faults
from xinflight.tasks import runner


async def start(client: WireClient, **fields: object) -> Json:
    """Start the generation of these tests."""
    return await client.ask(**{"action": "generate", "prompt": "boat", "task_id": "a", "seed": 10, **fields})


def indices(end: Json) -> list[int]:
    """Return which images an end carries."""
    return [image["index"] for image in end["data"]["data"]]


async def test_one_fails_and_the_others_are_images(client: WireClient, engine: Recorder) -> None:
    """The result is completed, and names the one that failed with its code; that was told when it happened."""
    engine.faults = Faults(error="boom", requests=1)
    await start(client, n=3)
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["status"], indices(end)) == ("result", "completed", [1, 2])
    assert end["failed"] == [0]
    assert end["failures"] == [{"index": 0, "code": "upstream_failed"}]
    assert "cancelled" not in end
    told = [m for m in client.of("a", "progress") if m["state"] == "failed"]
    assert {m["index"] for m in told} == {0}
    assert client.seen.index(told[0]) < client.seen.index(client.of("a", "output")[0])


async def test_a_full_result_names_no_failures(client: WireClient) -> None:
    """Where all is well nothing is said of failures; images are in the order of their index and seed."""
    await start(client, n=3)
    end = (await client.ends("a"))["a"]
    assert not {"failed", "failures", "cancelled"} & end.keys()
    assert [(p["index"], p["seed"]) for p in end["data"]["data"]] == [(0, 10), (1, 11), (2, 12)]


async def test_each_image_is_shown_when_it_is_ready(front: Front) -> None:
    """The first of several comes long before the last, each once, with what the result says of it."""
    engine, client = await front(painter(replicas=2))
    engine.faults = Faults(freeze=3, requests=1)
    await start(client, n=2)
    assert (await client.until(lambda m: m["type"] == "output"))["index"] == 1
    engine.thaw()
    end = (await client.ends("a"))["a"]
    shown = {m["index"]: m for m in client.of("a", "output")}
    assert list(shown) == [1, 0]
    assert indices(end) == [0, 1]
    for image in end["data"]["data"]:
        event = shown[image["index"]]
        assert image == {key: event[key] for key in image}


async def test_all_fail(client: WireClient, engine: Recorder) -> None:
    """Without any image the task fails, with the code of what happened."""
    engine.faults = Faults(error="boom")
    await start(client, n=3)
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["state"], end["code"]) == ("error", "failed", "upstream_failed")
    assert len(engine.posts) == 3


async def test_the_time_is_over_with_some_images_done(
    clock: ShiftedClock, client: WireClient, engine: Recorder
) -> None:
    """What was made is handed over; what was not is named as out of time."""
    engine.script = [Faults(), Faults(freeze=1)]
    await start(client, n=4, timeout=600)
    await client.until(lambda m: m["type"] == "output")
    await eventually(lambda: len(engine.posts) == 2)
    clock.advance(600)
    end = (await client.ends("a"))["a"]
    assert end["type"] == "result"
    assert indices(end) == [0]
    assert end["failed"] == [1, 2, 3]
    assert {failure["code"] for failure in end["failures"]} == {"timeout"}
    engine.thaw()


async def test_failed_cancelled_and_done_at_once(client: WireClient, engine: Recorder) -> None:
    """Each of the three kinds is told as what it is."""
    engine.faults = Faults(error="boom", requests=1)
    await start(client, n=3)
    await client.ask(action="cancel", task_id="a", index=2)
    end = (await client.ends("a"))["a"]
    assert (end["type"], indices(end), end["failed"], end["cancelled"]) == ("result", [1], [0], [2])


async def test_a_failure_counts_more_than_a_cancelled_image(client: WireClient, engine: Recorder) -> None:
    """Whoever cancelled one image and got none of the others wants to know why."""
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, n=2)
    await eventually(lambda: engine.posts)
    await client.ask(action="cancel", task_id="a", index=1)
    engine.kill("painter")
    engine.faults = Faults(error="boom")
    engine.launch(painter())
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["state"], end["code"]) == ("error", "failed", "upstream_failed")


async def test_only_the_image_that_died_is_tried_again(
    client: WireClient, engine: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others keep what they have; every index is drawn with its own seed, the same in each attempt."""
    monkeypatch.setattr(runner, "RETRY_PAUSES", (0.05,))
    seeds: list[int] = []
    original = engine.txt2img

    async def txt2img(body: object) -> object:
        seeds.append(body.seed)  # type: ignore[attr-defined]
        return await original(body)  # type: ignore[arg-type]

    engine.txt2img = txt2img  # type: ignore[method-assign, assignment]
    engine.faults = Faults(reset=True, requests=1)
    await start(client, n=3)
    end = (await client.ends("a"))["a"]
    assert indices(end) == [0, 1, 2]
    assert seeds == [10, 10, 11, 12]
