"""The same life for every kind of task: from the request to the end, cancels, retries, lost lines, other owners."""

import json

import pytest

from clients import Json, ShiftedClock, WireClient, eventually, is_end
from kind_table import (
    ANN,
    BOB,
    BOSS,
    HOLD,
    ROWS,
    TABLE,
    Home,
    Life,
    assert_in_order,
    assert_whole,
    events_of,
    lives,
    outputs_of,
    text_of,
)
from streams import NDJSON, STREAMS, lines
from xinflight.demo import Faults
from xinflight.upstream import KINDS

pytest_plugins = ["kind_fixtures"]


def test_every_kind_has_its_row() -> None:
    assert {row.kind for row in TABLE} == {row.kind for row in ROWS} == set(KINDS)


# From the request to the end


async def test_from_the_request_to_the_result(place: Home, life: Life) -> None:
    """One request upstream; `ack`, `accepted`, the output and the result say the same of it, and it is whole."""
    row = place.row
    async with life.client() as client:
        request = await life.request("a", metadata={"note": [1, "due"]}, group="g")
        ack = await client.ask(**request)
        assert (ack["type"], ack["params"].get("kind", "text2image")) == ("ack", row.kind)
        assert (ack["params"]["model"], ack["params"]["group"]) == (row.model.uid, "g")
        end = (await client.ends("a"))["a"]
        await client.ask(action="ping")
        assert_in_order(client, "a")
        (accepted,) = client.of("a", "accepted")
        assert accepted["params"] == ack["params"]
        assert [m["metadata"] for m in (ack, accepted, end)] == [{"note": [1, "due"]}] * 3
        (output,) = client.of("a", "output")
        (told,) = outputs_of(end)
        assert (end["type"], end["progress"]) == ("result", 100)
        assert told.items() <= output.items()
        await assert_whole(life, row, output)
        assert text_of(client.of("a")) == output.get("text", "")
        assert [(route, model) for route, model, _ in place.engine.posts] == [(row.post, row.model.uid)]
        assert place.engine.aborts == []


async def test_what_is_shown_while_it_runs_is_true(place: Home, life: Life) -> None:
    """Not more than the upstream has done: so many steps, or this text; a list says the same."""
    row = place.row
    place.freeze()
    async with life.client() as client:
        await life.start(client, "a")
        await life.until_running(client, "a")
        if row.text:
            while len(text_of(client.of("a")).split()) < HOLD:
                await client.receive()
            (task,) = (await client.ask(action="list"))["tasks"]
            (told,) = task["data"]
            assert (told["text"], told["incomplete"]) == (text_of(client.of("a")), True)
        else:
            while (shown := client.of("a", "progress")[-1]).get("step_index") != HOLD:
                await client.receive()
            assert (shown["step_count"], shown["source"], shown["state"]) == (row.steps, "upstream", "running")
            assert shown["progress"] <= 100 * HOLD / row.steps
            (task,) = (await client.ask(action="list"))["tasks"]
        assert (task["task_id"], task["state"]) == ("a", "running")
        place.thaw()
        assert (await client.ends("a"))["a"]["type"] == "result"
        assert_in_order(client, "a")


async def test_several_run_beside_each_other_and_no_model_gets_more_than_its_slots(place: Home, life: Life) -> None:
    async with life.client() as client:
        names = [f"t{number}" for number in range(4)]
        await life.start(client, *names)
        ends = await client.ends(*names)
        assert {end["type"] for end in ends.values()} == {"result"}
        for name in names:
            assert_in_order(client, name)
    slots = 8 if place.row.text else 1
    assert place.engine.peak[place.row.model.uid] <= slots


@pytest.mark.parametrize("place", lives(row for row in ROWS if row.seeded), indirect=True)
async def test_the_same_seed_and_input_give_the_same_bytes(place: Home) -> None:
    """But for what files say of themselves: when they were made, for one."""
    async with place.life(file_metadata="none") as life, life.client() as client:
        await life.start(client, "a", "b")
        await life.start(client, "c", **place.row.other)
        await client.ends("a", "b", "c")
        made = [await assert_whole(life, place.row, client.of(name, "output")[0]) for name in ("a", "b", "c")]
    assert made[0] == made[1]
    assert made[0] != made[2]


# Cancel, pause, expiry


async def test_a_cancelled_one_that_waits_is_never_sent(place: Home, life: Life) -> None:
    async with life.client() as client:
        await client.ask(action="pause", scope="all")
        await life.start(client, "a", group="g")
        assert (await client.ask(action="cancel", group="g"))["tasks"] == [{"task_id": "a", "was": "queued"}]
        end = (await client.ends("a"))["a"]
        assert (end["type"], end["upstream"]) == ("cancelled", "never_started")
        assert_in_order(client, "a")
        await client.ask(action="unpause", scope="all")
        await life.start(client, "after")
        await client.ends("after")
    assert len(place.engine.posts) == 1


async def test_a_cancelled_one_that_runs_frees_the_model_or_says_that_it_runs_on(place: Home, life: Life) -> None:
    """It is aborted where that stops the compute, and only there; what comes next is whole, and not sent before."""
    row = place.row
    place.freeze(requests=1)
    async with life.client() as client:
        await life.start(client, "a")
        await life.until_running(client, "a")
        (was,) = (await client.ask(action="cancel", task_id="a"))["tasks"]
        assert was == {"task_id": "a", "was": "running"}
        await life.start(client, "after")
        if row.true_cancel:
            await eventually(lambda: place.engine.aborts)
            place.thaw()
            assert (await client.ends("a"))["a"]["upstream"] == "stopped"
        else:
            assert (await client.ends("a"))["a"]["upstream"] == "running_on"
            assert len(place.engine.posts) == 1, "the model is busy until the last step"
            place.thaw()
        assert (await client.ends("after"))["after"]["type"] == "result"
        await assert_whole(life, row, client.of("after", "output")[0])
        assert_in_order(client, "a")
        assert len(place.engine.aborts) == row.true_cancel
        if row.text:
            (told,) = outputs_of(client.of("a", "cancelled")[0])
            assert (told["text"], told["incomplete"]) == (text_of(client.of("a")), True)
        else:
            assert outputs_of(client.of("a", "cancelled")[0]) == []
        assert place.engine.peak[row.model.uid] <= (2 if row.text else 1)


async def test_a_paused_one_waits_and_goes_on(place: Home, life: Life) -> None:
    async with life.client() as client:
        await client.ask(action="pause", scope="all")
        await life.start(client, "a", "b")
        await client.ask(action="unpause", task_id="zzz")
        assert (await client.ask(action="move", task_id="b", to="first"))["tasks"] == [
            {"task_id": "b", "was": "queued"}
        ]
        assert place.engine.posts == []
        await client.ask(action="unpause", scope="all")
        assert {end["type"] for end in (await client.ends("a", "b")).values()} == {"result"}


async def test_one_that_is_not_over_in_time_expires(place: Home, life: Life) -> None:
    """It is aborted where that is true, else left to run out; the next one is whole."""
    place.freeze(requests=1)
    async with life.client() as client:
        await life.start(client, "a", timeout=0.2)
        end = client.ends("a")
        if place.row.true_cancel:
            await eventually(lambda: place.engine.aborts)
            place.thaw()
        told = (await end)["a"]
        place.thaw()
        assert (told["type"], told["code"], told["state"]) == ("error", "timeout", "expired")
        await life.start(client, "after")
        assert (await client.ends("after"))["after"]["type"] == "result"


# Trouble upstream


async def test_one_that_is_refused_for_now_is_tried_again(clock: ShiftedClock, place: Home, life: Life) -> None:
    place.engine.faults = Faults(refuse=0, requests=1)
    async with life.client() as client:
        await life.start(client, "a")
        await client.until(lambda m: m.get("details", {}).get("retry_reason") == "upstream_busy")
        clock.advance(30.0)
        assert (await client.ends("a"))["a"]["type"] == "result"
        assert_in_order(client, "a")
        await assert_whole(life, place.row, client.of("a", "output")[0])
    assert len(place.engine.posts) == 2


async def test_one_whose_line_is_lost_upstream_is_not_lost(place: Home, life: Life) -> None:
    """It is made again once the first request is known to have ended; a text that had begun ends as it is."""
    row = place.row
    place.engine.faults = Faults(drop=HOLD, requests=1)
    async with life.client() as client:
        await life.start(client, "a")
        end = (await client.ends("a"))["a"]
        assert_in_order(client, "a")
        if row.text:
            assert (end["type"], end["code"], end["state"], end["retryable"]) == (
                *("error", "interrupted", "failed"),
                True,
            )
            (told,) = outputs_of(end)
            assert (told["text"], told["incomplete"]) == (text_of(client.of("a")), True)
            assert len(place.engine.posts) == 1
        else:
            assert end["type"] == "result"
            assert len(place.engine.posts) == 2
        assert place.engine.peak[row.model.uid] == 1


async def test_an_error_of_the_model_ends_it_with_a_code(clock: ShiftedClock, place: Home, life: Life) -> None:
    """Of a chat the cause can't be told: it is asked again once, as after the death of the model."""
    place.engine.faults = Faults(error="CUDA out of memory. Tried to allocate 2.00 GiB.")
    async with life.client() as client:
        await life.start(client, "a")
        if place.row.text:
            await client.until(lambda m: m.get("details", {}).get("retry_reason") == "upstream_died")
            clock.advance(30.0)
        end = (await client.ends("a"))["a"]
        place.thaw()
        assert (end["type"], end["state"], outputs_of(end)) == ("error", "failed", [])
        assert end["code"].startswith("upstream_")
        assert "address=" not in json.dumps(client.seen)
        await life.start(client, "after")
        assert (await client.ends("after"))["after"]["type"] == "result"


# Lines that drop


async def read_until_running(life: Life, client: WireClient) -> Json:
    """Receive to the middle of a task; return the last event that has a seq."""
    await life.start(client, "a")
    await life.until_running(client, "a")
    return [m for m in client.seen if "seq" in m][-1]


async def test_a_line_that_drops_in_the_middle_is_taken_up_again(place: Home, life: Life) -> None:
    """What was seen before and after is what an undisturbed client saw: nothing twice, nothing skipped."""
    place.freeze()
    async with life.client() as calm:
        await calm.ask(action="follow", scope="all")
        async with life.client() as first:
            last = await read_until_running(life, first)
        place.thaw()
        await calm.ends("a")
        async with life.client() as second:
            cursor = f"{second.seen[0]['epoch']}:{last['seq']}"
            recovered = await second.ask(action="resume", after=cursor, tasks=["a"])
            assert recovered["recovered"]
            await second.ends("a")
        seqs = [m["seq"] for m in second.of("a") if "seq" in m]
        assert min(seqs) > last["seq"]
        assert events_of(first, "a") + events_of(second, "a") == events_of(calm, "a")
        assert text_of(first.of("a") + second.of("a")) == text_of(calm.of("a"))


@pytest.mark.parametrize("media_type", STREAMS, ids=["sse", "ndjson"])
async def test_a_stream_tells_what_the_socket_tells(place: Home, life: Life, media_type: str) -> None:
    """From the start, and from the middle."""
    place.freeze()
    async with life.client() as calm:
        last = await read_until_running(life, calm)
        cursor = f"{calm.seen[0]['epoch']}:{last['seq']}"
        place.thaw()
        await calm.ends("a")
        seen = {}
        for after in (None, cursor):
            client = WireClient(calm.ws)
            path = "/api/v1/tasks/a/events" + (f"?after={after}" if after else "")
            async with life.http.get(path, headers={"X-User": ANN, "Accept": media_type}) as response:
                client.seen = [line.data async for line in lines(response)]
            seen[after] = client
    assert events_of(seen[None], "a") == events_of(calm, "a")
    assert text_of(seen[None].of("a")) == text_of(calm.of("a"))
    rest = [m for m in calm.of("a") if m.get("seq", 0) > last["seq"] and m["type"] != "delta"]
    assert [m["seq"] for m in seen[cursor].of("a") if "seq" in m and m["type"] != "delta"] == [m["seq"] for m in rest]


# Ids and owners


async def test_the_same_request_again_is_the_same_task_and_another_one_a_conflict(place: Home, life: Life) -> None:
    async with life.client() as client:
        request = await life.request("a")
        first = await client.ask(**request)
        again = await client.ask(**request)
        assert (again["type"], again["params"]) == ("ack", first["params"])
        await client.ends("a")
        other = await client.ask(**{**request, **place.row.other})
        assert (other["code"], other["field"]) == ("task_id_conflict", "task_id")
        after = await client.ask(**request)
        assert (after["type"], after["state"]) == ("ack", "completed")
    assert len(place.engine.posts) == 1


async def test_nobody_else_sees_follows_cancels_or_deletes_it(place: Home, life: Life) -> None:
    """Nor starts from what it made; an admin may cancel it."""
    place.freeze()
    async with life.client() as ann, life.client(BOB) as bob, life.client(BOSS) as boss:
        await life.start(ann, "a")
        await bob.ask(action="follow", scope="all")
        await life.until_running(ann, "a")
        assert (await bob.ask(action="cancel", task_id="a"))["tasks"][0]["was"] == "unknown"
        assert (await bob.ask(action="list"))["tasks"] == []
        assert (await bob.ask(action="resume", tasks=["a"], after=f"{bob.seen[0]['epoch']}:0"))["unknown"] == ["a"]
        for path in ("", "/events", "/outputs/0"):
            assert (await life.ask("GET", f"/api/v1/tasks/a{path}", BOB))[0] == 404, path
        await life.start(bob, "a")
        place.thaw()
        await ann.ends("a")
        await bob.ends("a")
        outputs = [client.of("a", "output")[0] for client in (ann, bob)]
        if not place.row.text:
            assert (await life.ask("GET", outputs[0]["url"], BOB))[0] == 404
            assert (await life.ask("GET", outputs[1]["url"], BOB))[0] == 200
        assert (await life.ask("DELETE", "/api/v1/tasks/zzz", BOB))[0] == 404
        place.freeze(requests=1)
        await life.start(ann, "b")
        await life.until_running(ann, "b")
        (was,) = (await boss.ask(action="cancel", task_id="b", owner=ANN))["tasks"]
        assert was["was"] == "running"
        place.thaw()
        assert (await ann.ends("b"))["b"]["type"] in ("cancelled", "result")
        assert bob.of("b") == []


async def test_it_can_be_started_and_followed_over_rest(place: Home, life: Life) -> None:
    """Submitted by one request that returns its events; fetched by others."""
    request = await life.request("a")
    path = "/api/v1/chats" if request.pop("action") == "chat" else "/api/v1/tasks"
    async with life.http.post(path, json=request, headers={"X-User": ANN, "Accept": NDJSON}) as response:
        assert response.status == 200, await response.text()
        told = [line.data async for line in lines(response)]
    assert is_end(told[-1])
    status, body = await life.ask("GET", "/api/v1/tasks/a")
    task = json.loads(body)
    assert (status, task["state"], task["params"].get("kind", "text2image")) == (200, "completed", place.row.kind)
    assert outputs_of(told[-1]) == task["data"]
    again = await life.ask("POST", path, json=request)
    assert again[0] == 200
    assert len(place.engine.posts) == 1
