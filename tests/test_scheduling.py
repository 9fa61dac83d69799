"""Who runs when: in turn, in parallel where there are replicas, and told how long it takes."""

import asyncio
from typing import Any

import pytest

from clients import LONG, FakeClock, Recorder, WireClient, eventually, painter
from conftest import Front
from scripted_gateway import turns
from xinflight.demo import Faults
from xinflight.settings import ModelSettings
from xinflight.tasks import queue_snapshots as snapshots
from xinflight.tasks.scheduler import Scheduler


async def start(client: WireClient, *task_ids: str, **fields: object) -> None:
    """Start generations that have their ids as prompts."""
    for task_id in task_ids:
        answer = await client.ask(**{"action": "generate", "prompt": task_id, "task_id": task_id, **fields})
        assert answer["type"] == "ack"


async def test_never_more_in_flight_than_replicas(front: Front) -> None:
    """However many people ask at once, a model gets as many as it has replicas, and not fewer."""
    engine, client = await front(painter(replicas=3))
    await start(client, *"abcdef", n=2)
    ends = await client.ends(*"abcdef")
    assert {end["type"] for end in ends.values()} == {"result"}
    assert engine.peak["painter"] == 3
    assert len(engine.posts) == 12


async def test_the_setting_may_say_fewer_replicas(front: Front) -> None:
    """Whoever shares a model with others can keep replicas free for them."""
    engine, client = await front(painter(replicas=3), models={"painter": ModelSettings(replicas=1)})
    await start(client, *"abc")
    await client.ends(*"abc")
    assert engine.peak["painter"] == 1


async def test_first_come_first_served(server: str, client: WireClient, engine: Recorder) -> None:
    """Connections take turns only by the order of their asking; the images of a task stay together."""
    async with WireClient.connect(server) as other:
        await start(client, "a", n=2)
        await start(other, "b")
        await start(client, "c")
        await start(other, "d", n=2)
        await client.ends("a", "c")
        await other.ends("b", "d")
    assert engine.prompts == ["a", "a", "b", "c", "d", "d"]


async def test_a_higher_priority_goes_first(client: WireClient, engine: Recorder) -> None:
    """Priority orders those who wait, and what runs is left alone."""
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, "running")
    await start(client, "low", priority=-5)
    await start(client, "normal")
    await start(client, "high", priority=5)
    await start(client, "high-too", priority=5)
    engine.thaw()
    await client.ends("running", "low", "normal", "high", "high-too")
    assert engine.prompts == ["running", "high", "high-too", "normal", "low"]


async def test_two_models_work_side_by_side(front: Front) -> None:
    """A queue in front of one model holds nobody up at the other."""
    engine, client = await front(painter(), painter(uid="other"))
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, "a", model="painter")
    await eventually(lambda: engine.in_flight["painter"] == 1)
    await start(client, "b", model="painter")
    await start(client, "c", model="other")
    assert (await client.ends("c"))["c"]["type"] == "result"
    assert engine.prompts == ["a", "c"]
    engine.thaw()
    await client.ends("a", "b")


async def test_several_models_form_a_pool(front: Front) -> None:
    """Uids of one pool share a queue: whichever is free takes the next, under any of the names."""
    pool = ModelSettings(pool="paint")
    engine, client = await front(painter(uid="p1"), painter(uid="p2"), models={"p1": pool, "p2": pool})
    await start(client, "a", "b", model="paint")
    await start(client, "c", model="p1")
    await start(client, "d", "e", "f", model="p2")
    await client.ends(*"abcdef")
    assert engine.prompts == list("abcdef")
    assert engine.peak == {"p1": 1, "p2": 1}
    assert min(sum(uid == name for _, uid, _ in engine.posts) for name in ("p1", "p2")) >= 2


async def test_those_who_wait_are_told_their_place_and_time(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are counted from 1 and move up; times are told once an image was measured."""
    monkeypatch.setattr(snapshots, "PAUSE", 0.1)
    engine, client = await front()
    engine.faults = Faults(slow=10.0)
    await start(client, "first")
    await client.ends("first")
    engine.faults = Faults(freeze=1, requests=1)
    await start(client, "a", "b", "c")
    shown = {task_id: await first_wait(client, task_id) for task_id in ("b", "c")}
    assert [shown["b"]["position"], shown["c"]["position"]] == [1, 2]
    assert 0 < shown["b"]["estimated_time"] < shown["c"]["estimated_time"]
    await client.ask(action="cancel", task_id="b")
    await client.has(lambda message: any(place["position"] == 1 for place in places_of([message], "c")))
    engine.thaw()
    await client.ends("a", "b", "c")
    places = [place["position"] for place in places_of(client.seen, "c")]
    assert places == sorted(places, reverse=True)
    assert places[-1] == 1
    assert all("step" not in place for place in places_of(client.seen, "c"))


def places_of(messages: list[dict[str, Any]], task_id: str) -> list[dict[str, Any]]:
    """Return what `queue` snapshots told of a task."""
    queues = [message for message in messages if message["type"] == "queue"]
    return [output for queue in queues for output in queue.get("outputs", []) if output["task_id"] == task_id]


async def first_wait(client: WireClient, task_id: str) -> dict[str, Any]:
    """Return the first place of one that waits with a waiting time."""

    def wanted(message: dict[str, Any]) -> bool:
        return any("estimated_time" in place for place in places_of([message], task_id))

    message = next(filter(wanted, client.seen), None) or await client.until(wanted)
    return places_of([message], task_id)[0]


class Stub:
    """One in a queue."""

    owner, weight, priority, rank = "ann", 1.0, 0, 0.0

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence


def make_scheduler() -> Scheduler[Stub]:
    return Scheduler(FakeClock(), lambda _: 1.0)


async def started(scheduler: Scheduler[Stub], count: int) -> list[int]:
    """Take so many from the scheduler that can start now, and hold that no further one can."""
    sequences = []
    for _ in range(count):
        async with asyncio.timeout(LONG):
            stub, _ = await scheduler.next()
        sequences.append(stub.sequence)
    waiting = asyncio.create_task(scheduler.next())
    await turns()
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return sequences


async def test_slots_go_away_and_come_back() -> None:
    """With fewer slots nothing is taken away that runs; nothing starts until there is room again."""
    scheduler = make_scheduler()
    scheduler.set_slots({"m": 2})
    stubs = [Stub(sequence) for sequence in range(4)]
    for stub in stubs:
        scheduler.add(stub)
    assert await started(scheduler, 2) == [0, 1]
    scheduler.set_slots({"m": 1})
    scheduler.release(stubs[0], "m", 1.0)
    assert await started(scheduler, 0) == []
    scheduler.release(stubs[1], "m", 1.0)
    assert await started(scheduler, 1) == [2]
    scheduler.set_slots({})
    scheduler.release(stubs[2], "m", 1.0)
    assert await started(scheduler, 0) == []
    assert not scheduler.remove(stubs[0])
    assert scheduler.remove(stubs[3])
    assert list(scheduler.order()) == []
    assert scheduler.busy("m") == 0


@pytest.mark.parametrize("pause", range(4))
async def test_who_stops_waiting_for_the_next_one_takes_neither_it_nor_a_slot(pause: int) -> None:
    """However a cancel of `next` meets what it waits for: one that was not returned is still in the queue."""
    scheduler = make_scheduler()
    scheduler.set_slots({"m": 1})
    waiting = asyncio.create_task(scheduler.next())
    await turns()
    scheduler.add(Stub(0))
    await turns(pause)
    waiting.cancel()
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    if isinstance(outcome, asyncio.CancelledError):
        assert scheduler.busy("m") == 0
        assert await started(scheduler, 1) == [0]
    else:
        assert list(scheduler.order()) == []
    assert scheduler.busy("m") == 1
