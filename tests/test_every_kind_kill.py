"""SIGKILL while tasks of each kind wait, run and end: what was acknowledged ends once, and no seen text is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from clients import WireClient
from kind_table import Home, Life, assert_in_order, assert_whole, outputs_of, text_of
from server_process import Server, running

pytest_plugins = ["kind_fixtures"]
pytestmark = pytest.mark.process


@asynccontextmanager
async def process(place: Home) -> AsyncIterator[tuple[Server, Life, WireClient]]:
    """Run a server on the home, with a client that follows everything from the beginning."""
    async with (
        running(place.folder, place.xinference) as server,
        aiohttp.ClientSession(server.url) as http,
        WireClient.connect(server.url) as client,
    ):
        await client.ask(action="resume", scope="all", after=f"{client.seen[0]['epoch']}:0")
        yield server, Life(place.row, server.url.rstrip("/"), http), client


async def test_killed_while_some_wait_one_runs_and_one_has_ended(place: Home) -> None:
    row = place.row
    async with process(place) as (server, life, client):
        await life.start(client, "ended")
        await client.ends("ended")
        made = await assert_whole(life, row, client.of("ended", "output")[0])
        place.freeze(requests=1)
        await life.start(client, "running")
        await life.until_running(client, "running")
        await client.ask(action="pause", scope="all")
        await life.start(client, "waiting", "dropped")
        await client.ask(action="cancel", task_id="dropped")
        await client.ends("dropped")
        seen = text_of(client.of("running"))
        await server.kill()
    place.thaw()
    async with process(place) as (server, life, client):
        assert [m["type"] for m in client.of("ended", "accepted", "output", "result")] == [
            *("accepted", "output", "result")
        ]
        assert await assert_whole(life, row, client.of("ended", "output")[0]) == made
        await client.ask(action="unpause", scope="all")
        ends = await client.ends("ended", "running", "waiting", "dropped")
        for task_id in ends:
            assert_in_order(client, task_id)
        told = {task_id: end["type"] for task_id, end in ends.items()}
        broken = "error" if row.text else "result"
        assert told == {"ended": "result", "running": broken, "waiting": "result", "dropped": "cancelled"}
        if row.text:
            (output,) = outputs_of(ends["running"])
            assert (ends["running"]["code"], output["text"]) == ("interrupted", text_of(client.of("running")))
            assert output["text"].startswith(seen)
            assert seen != ""
        else:
            await assert_whole(life, row, client.of("running", "output")[0])
        await assert_whole(life, row, client.of("waiting", "output")[0])
    assert len(place.engine.posts) == (3 if row.text else 4)
    assert place.engine.peak[row.model.uid] == 1
    assert not [line for line in server.log if "Traceback" in line]


async def test_killed_right_after_a_cancel_was_asked(place: Home) -> None:
    """What was meant is stored with it: the next life does not make it after all."""
    place.freeze(requests=1)
    async with process(place) as (server, life, client):
        await life.start(client, "a")
        await life.until_running(client, "a")
        assert (await client.ask(action="cancel", task_id="a"))["tasks"][0]["was"] == "running"
        # An answer that must come after it, so that it is on the disk.
        await client.ask(action="pause", scope="all")
        await server.kill()
    place.thaw()
    async with process(place) as (server, life, client):
        end = (await client.ends("a"))["a"]
        assert end["type"] == "cancelled"
        assert_in_order(client, "a")
        await client.ask(action="unpause", scope="all")
        await life.start(client, "after")
        assert (await client.ends("after"))["after"]["type"] == "result"
    assert len(place.engine.posts) == 2
