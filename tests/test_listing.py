"""A page of one's tasks tells of each what asking for it alone tells."""

import aiohttp

from clients import Recorder, WireClient
from xinflight.demo import Faults


async def test_unfinished_tasks_are_listed_as_they_stand(server: str, client: WireClient, engine: Recorder) -> None:
    """One that runs, one that waits, and one that was cancelled meanwhile have the state that they are in."""
    engine.faults = Faults(freeze=3, requests=1)
    for task_id in ("runs", "waits"):
        await client.ask(action="generate", prompt=task_id, task_id=task_id)
    await client.has(lambda m: m["type"] == "progress" and m["state"] == "running")
    await held_to_the_single_ones(server, client, runs="running", waits="queued")
    await client.ask(action="cancel", task_id="runs")
    await held_to_the_single_ones(server, client, runs="cancelling", waits="queued")
    engine.thaw()
    await client.ends("runs", "waits")
    await held_to_the_single_ones(server, client, runs="cancelled", waits="completed")


async def held_to_the_single_ones(server: str, client: WireClient, **states: str) -> None:
    by_socket = (await client.ask(action="list"))["tasks"]
    async with aiohttp.ClientSession(f"{server.rstrip('/')}/") as http:
        async with http.get("api/v1/tasks") as answer:
            by_rest = (await answer.json())["tasks"]
        for task in by_rest:
            async with http.get(f"api/v1/tasks/{task['task_id']}") as answer:
                assert await answer.json() == task
    assert by_socket == by_rest
    assert {task["task_id"]: task["state"] for task in by_rest} == states
