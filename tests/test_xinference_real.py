"""The main job on a real Xinference 4.1.0, from a client's WebSocket to the model's process and back."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import clients
from clients import Json, WireClient, is_end
from xinference_real import MODEL, PAIR, RealXinference
from xinflight.upstream import Xinference

pytest_plugins = ["xinference_fixtures"]
pytestmark = [pytest.mark.xinference, pytest.mark.timeout(900)]  # the first one also starts the server

SHORT: Json = {"prompt": "a red boat", "size": "64x64", "steps": 4, "guidance_scale": 3.5, "seed": 7}
LONG: Json = SHORT | {"size": "256x256", "steps": 200}
"""From 3 s on a quick machine to a minute: nothing that is to be cancelled ends before it is seen to run."""

Serve = Callable[..., Awaitable[str]]
Connect = Callable[..., Awaitable[WireClient]]


@pytest.fixture
async def connect(serve: Serve, stack: AsyncExitStack) -> Connect:
    """Start xinflight with some settings and connect to it. The same request makes the same bytes."""

    async def start(**settings: Any) -> WireClient:
        url = await serve(**{"model": MODEL, "file_metadata": "none"} | settings)
        return await stack.enter_async_context(WireClient.connect(url))

    return start


@pytest.fixture
async def client(connect: Connect, real_xinference: RealXinference) -> WireClient:
    """Give a client of a xinflight in front of the real server."""
    return await connect(xinference_url=real_xinference.url)


async def _image(url: str) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        return await response.read()


async def _generate(client: WireClient, task_id: str, fields: Json, **more: Any) -> None:
    ack = await client.ask(action="generate", task_id=task_id, **fields | more)
    assert ack["type"] == "ack", ack


async def _images(client: WireClient, task_id: str, timeout: float = clients.LONG) -> list[bytes]:
    """Wait for a result and load its images."""
    end = (await client.ends(task_id, timeout=timeout))[task_id]
    assert end["type"] == "result", end
    return [await _image(image["url"]) for image in end["data"]["data"]]


async def _draw(client: WireClient, task_id: str, fields: Json = SHORT, **more: Any) -> bytes:
    await _generate(client, task_id, fields, **more)
    [image] = await _images(client, task_id)
    return image


async def _until_it_runs(client: WireClient, task_id: str, index: int = 0) -> Json:
    return await client.until(
        lambda m: (
            (m["type"], m.get("task_id"), m.get("state"), m.get("index")) == ("progress", task_id, "running", index)
        )
    )


# Several at once


async def test_three_generations_on_one_connection(client: WireClient) -> None:
    """Each comes whole, with its own true progress, and one end."""
    welcome = client.seen[0]
    assert welcome["upstream"]["state"] == "ready"
    [model] = [model for model in welcome["models"] if model["default"]]
    assert (model["id"], model["true_cancel"]) == (MODEL, True)
    seeds = {"a": 7, "b": 8, "c": 7}
    for name, seed in seeds.items():
        await _generate(client, name, SHORT, size="128x128", steps=40, seed=seed)
    drawn = {name: await _images(client, name) for name in seeds}
    assert drawn["a"] == drawn["c"], "the same seed"
    assert drawn["a"] != drawn["b"]
    for name in seeds:
        running = [m for m in client.of(name, "progress") if m["state"] == "running"]
        shown = [m["progress"] for m in running]
        assert shown == sorted(shown)
        # Polls are 0.3 s apart at least, and these images take little longer.
        assert max(shown) > 0
        assert {m["source"] for m in running} == {"upstream"}
        assert {m["step_count"] for m in running} == {40}
    assert sum(is_end(m) for m in client.seen) == 3
    assert any(m.get("position") == 2 for m in client.of("c", "progress"))


async def test_one_of_three_images_is_cancelled_alone(client: WireClient) -> None:
    """The others come, drawn from their own seeds."""
    await _generate(client, "three", LONG, steps=12, n=3)
    await _until_it_runs(client, "three")
    answer = await client.ask(action="cancel", task_id="three", index=0)
    assert answer["tasks"] == [{"task_id": "three", "was": "running", "index": 0}]
    two = await _images(client, "three")
    end = client.of("three", "result")[0]
    assert end["cancelled"] == [0]
    assert [(p["index"], p["seed"]) for p in end["data"]["data"]] == [(1, 8), (2, 9)]
    assert [await _image(m["url"]) for m in client.of("three", "output")] == two
    assert await _draw(client, "alone", LONG, steps=12, seed=8) == two[0]


async def test_two_replicas_work_in_parallel(connect: Connect, real_xinference_pair: RealXinference) -> None:
    """Two run at the same time while a third waits for a free one; the model's own defaults are in effect."""
    client = await connect(xinference_url=real_xinference_pair.url, model=PAIR)
    fields = {"prompt": "a red boat", "size": "256x256", "seed": 7}
    for name in ("a", "b", "c"):
        await _generate(client, name, fields)
    ack = client.of("a", "ack")[0]
    assert (ack["params"]["steps"], ack["params"]["guidance_scale"]) == (6, 2.5)
    images = [await _images(client, name) for name in ("a", "b", "c")]
    assert images[0] == images[1] == images[2], "any replica draws the same"
    kinds = [(m["type"], m.get("state"), m["task_id"]) for m in client.seen if "task_id" in m]
    ends = [kinds.index(("result", None, name)) for name in ("a", "b", "c")]
    starts = [kinds.index(("progress", "running", name)) for name in ("a", "b", "c")]
    assert max(starts[:2]) < min(ends[:2]), "both ran before one was ready"
    assert starts[2] > min(ends[:2]), "never more than there are replicas"


# Cancelling


async def test_cancelling_the_running_one_stops_its_compute(
    client: WireClient, real_xinference: RealXinference
) -> None:
    """Steps and CPU stop, and the next image is as if nothing had been."""
    undisturbed = await _draw(client, "before")
    mark = await asyncio.to_thread(real_xinference.log_size)
    await _generate(client, "a", LONG)
    await _until_it_runs(client, "a")
    await asyncio.to_thread(real_xinference.wait_busy)
    answer = await client.ask(action="cancel", task_id="a")
    assert answer["tasks"] == [{"task_id": "a", "was": "running"}]
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "stopped")
    assert await asyncio.to_thread(real_xinference.cpu_share, 1.0) < 0.15, "idle after"
    steps = [done for done, of in await asyncio.to_thread(real_xinference.steps, mark) if of == LONG["steps"]]
    assert 0 < max(steps) < LONG["steps"]
    assert await _draw(client, "after") == undisturbed


async def test_an_image_sent_right_after_a_cancel_is_whole(client: WireClient) -> None:
    """Its slot is taken only when the cancelled one has ended."""
    undisturbed = await _draw(client, "before")
    await _generate(client, "a", LONG)
    await _until_it_runs(client, "a")
    await client.send(action="cancel", task_id="a")
    assert await _draw(client, "b") == undisturbed
    assert (await client.ends("a"))["a"]["upstream"] == "stopped"


async def test_cancelling_the_waiting_one_keeps_it_from_starting(
    client: WireClient, real_xinference: RealXinference
) -> None:
    """Not one of its steps is made."""
    mark = await asyncio.to_thread(real_xinference.log_size)
    await _generate(client, "a", LONG, steps=21)
    await _until_it_runs(client, "a")
    await _generate(client, "b", LONG, steps=17)
    answer = await client.ask(action="cancel", task_id="b")
    assert answer["tasks"] == [{"task_id": "b", "was": "queued"}]
    assert (await client.ends("b"))["b"]["upstream"] == "never_started"
    await _images(client, "a")
    await _draw(client, "c")
    made = {of for _, of in await asyncio.to_thread(real_xinference.steps, mark)}
    assert made == {21, SHORT["steps"]}


async def test_cancel_on_the_other_route_spoils_nothing(
    connect: Connect, real_xinference: RealXinference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end says that the model works on; the next image waits for that and is whole."""
    start = Xinference.start

    async def start_without_txt2img(upstream: Xinference) -> None:
        await start(upstream)
        upstream.disable_true_cancel(MODEL)

    monkeypatch.setattr(Xinference, "start", start_without_txt2img)
    client = await connect(xinference_url=real_xinference.url)
    [model] = [model for model in client.seen[0]["models"] if model["default"]]
    assert model["true_cancel"] is False
    undisturbed = await _draw(client, "before")
    mark = await asyncio.to_thread(real_xinference.log_size)
    await _generate(client, "a", LONG, steps=23)
    await _until_it_runs(client, "a")
    await client.ask(action="cancel", task_id="a")
    end = (await client.ends("a"))["a"]
    assert (end["type"], end["upstream"]) == ("cancelled", "running_on")
    assert (23, 23) not in await asyncio.to_thread(real_xinference.steps, mark), "told before its end"
    assert await _draw(client, "b") == undisturbed
    steps = await asyncio.to_thread(real_xinference.steps, mark)
    assert (23, 23) in steps, "it ran to its last step"
    assert [of for _, of in steps] == sorted((of for _, of in steps), reverse=True), "and the next one after it"


# Death


async def test_a_killed_model_loses_no_task(client: WireClient, real_xinference: RealXinference) -> None:
    """The one that ran is made by the successor, the one that waited comes after it, and the slot is free."""
    undisturbed = await _draw(client, "before")
    await _generate(client, "a", LONG, steps=20)
    await _generate(client, "b", SHORT)
    await _until_it_runs(client, "a")
    await asyncio.to_thread(real_xinference.kill_model)
    again = await client.until(lambda m: m.get("task_id") == "a" and m.get("details", {}).get("attempt") == 2)
    assert again["details"]["retry_reason"] in ("upstream_died", "upstream_busy", "upstream_unreachable")
    assert any(m["step"] == "waiting_for_model" for m in client.of("a", "progress"))
    assert len(await _images(client, "a", timeout=90)) == 1
    assert await _images(client, "b") == [undisturbed]
    assert await _draw(client, "after") == undisturbed
    await asyncio.to_thread(real_xinference.wait_model)


# Keys


@asynccontextmanager
async def _counting(upstream: str) -> AsyncIterator[tuple[str, list[int]]]:
    """Stand in front of a server; give a base URL and the statuses of all that was answered so far."""
    statuses: list[int] = []

    async def forward(request: web.Request) -> web.Response:
        headers = {k: v for k, v in request.headers.items() if k in ("Authorization", "Content-Type")}
        body = await request.read()
        async with http.request(request.method, upstream + request.path_qs, data=body, headers=headers) as answer:
            statuses.append(answer.status)
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app)
    async with aiohttp.ClientSession() as http:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", statuses
        finally:
            await runner.cleanup()


async def test_an_api_key_is_all_it_needs(connect: Connect, real_xinference_auth: RealXinference) -> None:
    """Images, progress and cancel, with the key in the settings."""
    client = await connect(xinference_url=real_xinference_auth.url, api_key=real_xinference_auth.api_key)
    assert client.seen[0]["upstream"]["state"] == "ready"
    undisturbed = await _draw(client, "a")
    await _generate(client, "b", LONG)
    await _until_it_runs(client, "b")
    await client.ask(action="cancel", task_id="b")
    assert (await client.ends("b"))["b"]["upstream"] == "stopped"
    assert await _draw(client, "c") == undisturbed


async def test_a_wrong_key_stops_the_calls(
    connect: Connect, stack: AsyncExitStack, real_xinference_auth: RealXinference
) -> None:
    """It is tried once, told with its cure, and not tried again for anybody; the good key is not banned."""
    url, statuses = await stack.enter_async_context(_counting(real_xinference_auth.url))
    client = await connect(xinference_url=url, api_key="xf-wrong")
    upstream = client.seen[0]["upstream"]
    assert upstream["state"] == "unauthorised"
    assert "XINFLIGHT_API_KEY" in upstream["cure"]
    for _ in range(15):
        refusal = await client.ask(action="generate", **SHORT)
        assert (refusal["type"], refusal["code"]) == ("error", "upstream_auth")
    await asyncio.sleep(5)
    assert statuses == [401]
    good = await connect(xinference_url=real_xinference_auth.url, api_key=real_xinference_auth.api_key)
    await _draw(good, "a")


async def test_a_key_that_is_revoked_stops_the_calls(
    connect: Connect, stack: AsyncExitStack, real_xinference_auth: RealXinference
) -> None:
    """What runs comes whole, what waits fails, and polls with the bad key do not get the address banned."""
    url, statuses = await stack.enter_async_context(_counting(real_xinference_auth.url))
    key_id, key = await asyncio.to_thread(real_xinference_auth.add_key, "to be revoked")
    client = await connect(xinference_url=url, api_key=key)
    await _generate(client, "runs", LONG, steps=28)
    await _generate(client, "waits", SHORT)
    await _until_it_runs(client, "runs")
    await asyncio.to_thread(real_xinference_auth.revoke_key, key_id)
    ends = await client.ends("runs", "waits")
    assert ends["runs"]["type"] == "result"
    assert (ends["waits"]["type"], ends["waits"]["code"]) == ("error", "upstream_auth")
    assert 1 <= statuses.count(401) <= 3
    assert 429 not in statuses
    good = await connect(xinference_url=real_xinference_auth.url, api_key=real_xinference_auth.api_key)
    await _draw(good, "a")


# The doctor


async def _doctor(url: str, api_key: str | None = None) -> tuple[int | None, str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("XINFLIGHT_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from xinflight.cli import main; main()",
        "doctor",
        "--xinference",
        url,
        env=environ | ({"XINFLIGHT_API_KEY": api_key} if api_key else {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), clients.LONG)
    return process.returncode, output.decode()


async def test_the_doctor_finds_all_well(real_xinference: RealXinference) -> None:
    """A server that is ready: its models, what a cancel does, and what to set."""
    code, said = await _doctor(real_xinference.url)
    assert code == 0, said
    assert "State        ready" in said
    assert f"Model        {MODEL}" in said
    assert "frees the model" in said
    assert f"[models.{MODEL}] steps =" in said, "its defaults are not known"


async def test_the_doctor_finds_a_wrong_key(real_xinference_auth: RealXinference) -> None:
    """With a good one all is well."""
    for key in ("xf-wrong", None):
        code, said = await _doctor(real_xinference_auth.url, key)
        assert code == 1
        assert "State        unauthorised" in said
        assert "XINFLIGHT_API_KEY" in said
    assert (await _doctor(real_xinference_auth.url, real_xinference_auth.api_key))[0] == 0


async def test_the_doctor_finds_nobody() -> None:
    """Nobody answers on a port that is closed."""
    code, said = await _doctor("http://127.0.0.1:9")
    assert code == 1
    assert "State        unreachable" in said
    assert "xinflight serve --demo" in said
