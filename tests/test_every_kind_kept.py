"""What is kept of every kind of task, and how long: restarts, history, deletion, `store: false`, export, erasure."""

import asyncio
import io
import json
import zipfile

from clients import WireClient, eventually
from kind_table import ANN, BOB, SECRET, Home, Life, assert_in_order, assert_whole, outputs_of, text_of, without_urls

pytest_plugins = ["kind_fixtures"]


async def until_deleted(client: WireClient, task_id: str) -> None:
    await client.until(lambda m: m["type"] == "notice" and m["kind"] == "deleted" and m["task_id"] == task_id)


async def followed(client: WireClient) -> None:
    """Follow everything from the beginning."""
    answer = await client.ask(action="resume", scope="all", after=f"{client.seen[0]['epoch']}:0")
    assert answer["recovered"]


# Restarts


async def test_what_waits_outlives_a_restart(place: Home) -> None:
    async with place.life() as life, life.client() as client:
        await client.ask(action="pause", scope="all")
        await life.start(client, "a")
    assert place.engine.posts == []
    async with place.life() as life, life.client() as client:
        await followed(client)
        await client.ask(action="unpause", scope="all")
        assert (await client.ends("a"))["a"]["type"] == "result"
        assert_in_order(client, "a")
        await assert_whole(life, place.row, client.of("a", "output")[0])


async def test_what_runs_outlives_a_restart_or_says_that_it_broke_off(place: Home) -> None:
    """An image or video is made again, once the first request is known to have ended; a text ends as it is."""
    row = place.row
    place.freeze()
    async with place.life() as life, life.client() as client:
        await life.start(client, "a")
        await life.until_running(client, "a")
    assert len(place.engine.posts) == 1
    async with place.life() as life, life.client() as client:
        await followed(client)
        end = (await client.ends("a"))["a"]
        assert_in_order(client, "a")
        if row.text:
            assert (end["code"], end["state"], end["retryable"]) == ("interrupted", "failed", True)
            (told,) = outputs_of(end)
            assert told["text"] != ""
            assert (told["text"], told["incomplete"]) == (text_of(client.of("a")), True)
            assert len(place.engine.posts) == 1
        else:
            assert end["type"] == "result"
            await assert_whole(life, row, client.of("a", "output")[0])
            # What is not aborted ends while the server stops.
            assert len(place.engine.posts) == (2 if row.true_cancel else 1)
        assert place.engine.peak[row.model.uid] == 1
        await life.start(client, "after")
        assert (await client.ends("after"))["after"]["type"] == "result"


async def test_what_ended_is_the_same_after_a_restart(place: Home) -> None:
    """List, events and files; the same request is still the same task."""
    told = []
    async with place.life() as life, life.client() as client:
        request = await life.request("a", metadata={"note": 1})
        await client.ask(**request)
        await client.ends("a")
    for _ in range(2):
        async with place.life() as life, life.client() as client:
            await followed(client)
            assert_in_order(client, "a")
            status, body = await life.ask("GET", "/api/v1/tasks/a")
            task = json.loads(body)
            (output,) = task["data"]
            data = await assert_whole(life, place.row, output)
            assert (await client.ask(**request))["state"] == "completed"
            told.append((status, without_urls(task), data))
    assert told[0] == told[1]
    assert len(place.engine.posts) == 1


# History, deletion, `store: false`


async def test_the_history_has_it_by_state_and_group(place: Home, life: Life) -> None:
    async with life.client() as client:
        await life.start(client, "a", group="g")
        await client.ends("a")
        await client.ask(action="pause", scope="all")
        await life.start(client, "b")
        await client.ask(action="cancel", task_id="b")
        await client.ends("b")
        pages = {}
        for state in ("completed", "cancelled", "failed", "unfinished"):
            page = await client.ask(action="list", state=state)
            pages[state] = [task["task_id"] for task in page["tasks"]]
        assert pages == {"completed": ["a"], "cancelled": ["b"], "failed": [], "unfinished": []}
        (task,) = (await client.ask(action="list", group="g"))["tasks"]
        (output,) = task["data"]
        assert {key: output[key] for key in output.keys() - {"url"}}.items() <= client.of("a", "output")[0].items()
        if place.row.text:
            status, body = await life.ask("GET", "/api/v1/tasks/a/messages")
            assert (status, SECRET in body.decode()) == (200, True)


async def test_what_is_deleted_is_gone(place: Home, life: Life) -> None:
    """No file of it, and not a byte of what was asked; not while it is unfinished."""
    place.freeze()
    async with life.client() as client:
        await life.start(client, "a")
        await life.until_running(client, "a")
        assert (await client.ask(action="delete", task_id="a"))["code"] == "task_unfinished"
        place.thaw()
        await client.ends("a")
        (output,) = client.of("a", "output")
        (was,) = (await client.ask(action="delete", task_id="a"))["tasks"]
        assert was["was"] == "completed"
        assert [notice["kind"] for notice in client.of("a", "notice")] == ["deleted"]
        assert (await client.ask(action="list"))["tasks"] == []
        assert (await life.ask("GET", "/api/v1/tasks/a"))[0] == 404
        if place.row.text:
            assert (await life.ask("GET", "/api/v1/tasks/a/messages"))[0] == 404
        else:
            assert (await life.ask("GET", output["url"]))[0] == 404
        assert place.made() == []
    assert SECRET.encode() not in place.bytes()


async def test_what_is_not_kept_is_gone_once_it_was_delivered(place: Home, life: Life) -> None:
    """Its end, and its file or its whole text; before that, it is all there."""
    async with life.client() as client:
        await life.start(client, "a", store=False)
        await client.ends("a")
        (output,) = client.of("a", "output")
        if not place.row.text:
            assert [task["task_id"] for task in (await client.ask(action="list"))["tasks"]] == ["a"]
            await assert_whole(life, place.row, output)
        await until_deleted(client, "a")
        assert (await client.ask(action="list"))["tasks"] == []
        assert place.made() == []
    assert SECRET.encode() not in place.bytes()


async def test_what_is_not_kept_waits_for_its_reader(place: Home, life: Life) -> None:
    """The line dropped before the end: it is there for whoever comes back."""
    place.freeze()
    async with life.client() as client:
        await life.start(client, "a", store=False)
        await life.until_running(client, "a")
    place.thaw()
    async with life.client() as client:
        await followed(client)
        end = (await client.ends("a"))["a"]
        (output,) = outputs_of(end)
        await assert_whole(life, place.row, output)
        await until_deleted(client, "a")
    assert place.made() == []


# Export and erasure


async def exported(life: Life, owner: str) -> zipfile.ZipFile:
    status, data = await life.ask("GET", "/api/v1/account/export", owner)
    assert status == 200
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


async def test_the_export_has_it_and_nothing_of_others(place: Home, life: Life) -> None:
    """What was asked, what it started from, and what was made, byte for byte."""
    async with life.client() as ann, life.client(BOB) as bob:
        await life.start(ann, "a")
        await life.start(bob, "theirs")
        await ann.ends("a")
        await bob.ends("theirs")
        made = await assert_whole(life, place.row, ann.of("a", "output")[0])
    archive = await exported(life, ANN)
    contents = {name: archive.read(name) for name in archive.namelist()}
    (task,) = [json.loads(line) for line in contents["tasks.jsonl"].splitlines()]
    assert task["task_id"] == "a"
    assert SECRET.encode() in b"".join(contents.values())
    assert any(made in data for data in contents.values())
    assert b"theirs" not in b"".join(contents.values())


async def test_an_erasure_leaves_nothing(place: Home, life: Life) -> None:
    """Of what ended, what runs and what waits; not of others."""
    async with life.client() as ann, life.client(BOB) as bob:
        await life.start(bob, "theirs")
        await bob.ends("theirs")
        kept = len(place.files())
        await life.start(ann, "done")
        await ann.ends("done")
        place.freeze(requests=1)
        await life.start(ann, "running")
        await life.until_running(ann, "running")
        await life.start(ann, "waiting")
        erasing = asyncio.create_task(life.ask("DELETE", "/api/v1/account"), name="erase")
        if place.row.true_cancel:
            await eventually(lambda: place.engine.aborts)
            place.thaw()
        status, body = await erasing
        place.thaw()
        answer = json.loads(body)
        assert (status, answer["complete"], answer["tasks"]) == (200, True, 3)
        assert answer["running_on"] == ([] if place.row.true_cancel else ["running"])
        assert (await ann.ask(action="list"))["tasks"] == []
        assert len((await bob.ask(action="list"))["tasks"]) == 1
        assert len(place.files()) == kept
        await assert_whole(life, place.row, bob.of("theirs", "output")[0], BOB)
    assert place.bytes().count(SECRET.encode()) > 0, "that of the other owner"
