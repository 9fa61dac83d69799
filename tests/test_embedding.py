"""Inside somebody else's application: prefixes, sub-applications, several gateways, owners, and a clean end."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from clients import PAINTER, Json, Recorder, WireClient, eventually, hosted, is_end
from conftest import Serve
from streams import unfinished
from xinflight import Gateway, Identity, Settings, XinflightError, setup
from xinflight.demo import Faults


@pytest.fixture
async def settings(engine: Recorder, emulate: Serve) -> Settings:
    """Give settings for a gateway on `engine` that keeps everything in memory."""
    return Settings(xinference_url=await emulate(engine), default_size="64x64", drain=0.0)


async def draw(client: WireClient, task_id: str = "a") -> Json:
    """Make an image, load it, and return the result."""
    await client.ask(action="generate", prompt="boat", task_id=task_id)
    end = (await client.ends(task_id))[task_id]
    url = end["data"]["data"][0]["url"]
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        assert (await response.read()).startswith(b"\xff\xd8")
    return end


async def page(url: str) -> str:
    """Load a page and everything that it names."""
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as response:
            assert response.status == 200
            return await response.text()


async def test_below_a_prefix(settings: Settings) -> None:
    """Every route is below the prefix, the URLs of images too; the host's own pages stay its own."""

    async def own(request: web.Request) -> web.Response:
        return web.Response(text="the host's own")

    app = web.Application()
    app.router.add_get("/", own)
    setup(app, settings, prefix="/images", page=True)
    async with hosted(app) as url:
        assert await page(url) == "the host's own"
        html = await page(f"{url}images/")
        assert 'src="assets/' in html, "relative, for any prefix"
        async with WireClient.connect(f"{url}images") as client:
            end = await draw(client)
        assert end["data"]["data"][0]["url"].startswith(f"{url}images/outputs/")
        assert str(app.router["xinflight:ws"].url_for()) == "/images/ws/generate"


async def test_in_a_sub_application(settings: Settings) -> None:
    """Under `add_subapp` the parent's prefix is part of every URL that is handed out."""
    sub, app = web.Application(), web.Application()
    gateway = setup(sub, settings, prefix="/v1", page=True)
    app.add_subapp("/art", sub)
    async with hosted(app) as url:
        html = await page(f"{url}art/v1/")
        module = re.search(r'src="(assets/[^"]+/page/start.js)"', html)
        assert module
        assert "import" in await page(f"{url}art/v1/{module[1]}")
        assert "import" in await page(f"{url}art/v1/assets/page/main.js")
        async with WireClient.connect(f"{url}art/v1") as client:
            end = await draw(client)
            assert end["data"]["data"][0]["url"].startswith(f"{url}art/v1/outputs/")
    assert gateway.draining


async def test_two_gateways_in_one_application(settings: Settings, emulate: Serve) -> None:
    """Each has its own upstream and its own tasks; the same ids do not meet."""
    other_engine = Recorder([PAINTER])
    other = Settings(xinference_url=await emulate(other_engine), default_size="128x64", drain=0.0)
    app = web.Application()
    setup(app, settings, prefix="/one", name="one")
    setup(app, other, prefix="/two", name="two")
    async with (
        hosted(app) as url,
        WireClient.connect(f"{url}one") as first,
        WireClient.connect(f"{url}two") as second,
    ):
        small, wide = await draw(first), await draw(second)
        assert small["data"]["data"][0]["width"] == 64
        assert wide["data"]["data"][0]["width"] == 128
        await second.ask(action="generate", prompt="boat", task_id="b", steps=100)
        assert (await first.ask(action="cancel", task_id="b"))["tasks"][0]["was"] == "unknown"
    assert other_engine.prompts == ["boat", "boat"]


@pytest.mark.parametrize("prefix", ["images", "/images/", "/"])
def test_a_prefix_of_the_wrong_form(prefix: str) -> None:
    """A prefix that would make broken routes is refused at once."""
    with pytest.raises(ValueError, match="prefix"):
        setup(web.Application(), Settings(), prefix=prefix)


def test_a_name_that_is_taken() -> None:
    """Two gateways of one name in one application are a mistake that is told."""
    app = web.Application()
    setup(app, Settings(), prefix="/one")
    with pytest.raises(ValueError, match="xinflight"):
        setup(app, Settings(), prefix="/two")


async def by_name(request: web.Request, token: str | None) -> Identity | None:
    """Say who a request is from by a header of the test."""
    name = request.headers.get("X-User")
    return None if name is None else Identity(id=name)


Mounted = tuple[Gateway, str]


@pytest.fixture
async def owned(settings: Settings, stack: AsyncExitStack) -> Mounted:
    """Give a gateway that knows people by a header, and its URL."""
    app = web.Application()
    gateway = setup(app, settings, authenticate=by_name)
    return gateway, await stack.enter_async_context(hosted(app))


async def user(stack: AsyncExitStack, url: str, name: str) -> WireClient:
    """Connect as somebody."""
    return await stack.enter_async_context(WireClient.connect(url, headers={"X-User": name}))


async def test_nobody_is_closed_out(owned: Mounted) -> None:
    """None from the host's function is 4401."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{owned[1]}ws/generate") as ws:
        await ws.send_json({"action": "ping"})
        await ws.receive()
        assert ws.close_code == 4401


async def test_an_answer_that_the_hosts_function_raises_closes_a_socket(settings: Settings) -> None:
    """Instead of appearing in it as bytes that are no frame: 4401 behind a first message, later a refusal."""

    async def by_token(request: web.Request, token: str | None) -> Identity | None:
        if token == "wrong":
            raise web.HTTPUnauthorized
        return None if token is None else Identity(id=token)

    app = web.Application()
    setup(app, settings, authenticate=by_token)
    wrong = {"action": "authenticate", "token": "wrong"}
    async with hosted(app) as url, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{url}ws/generate?auth=message") as ws:
            await ws.send_json(wrong)
            await ws.receive()
            assert ws.close_code == 4401
        async with http.ws_connect(f"{url}ws/generate?auth=message") as ws:
            await ws.send_json({"action": "authenticate", "token": "ann"})
            assert (await ws.receive_json())["owner"] == "ann"
            await ws.send_json(wrong)
            assert (await ws.receive_json())["code"] == "unauthorised"


async def test_tasks_are_their_owners_only(owned: Mounted, stack: AsyncExitStack, engine: Recorder) -> None:
    """Another's task is unknown; another's `all` is not yours; the same id of two people is two tasks."""
    ann, bob = await user(stack, owned[1], "ann"), await user(stack, owned[1], "bob")
    assert ann.seen[0]["owner"] == "ann"
    await ann.ask(action="generate", prompt="ann's", task_id="a", steps=100)
    assert (await bob.ask(action="cancel", task_id="a"))["tasks"] == [{"task_id": "a", "was": "unknown"}]
    assert (await bob.ask(action="cancel", scope="all"))["tasks"] == []
    ack = await bob.ask(action="generate", prompt="bob's", task_id="a", steps=4)
    assert (ack["type"], ack["params"]["prompt"]) == ("ack", "bob's")
    assert (await ann.ask(action="cancel", task_id="a"))["tasks"][0]["was"] in ("starting", "running")
    assert (await ann.ends("a"))["a"]["type"] == "cancelled"
    assert (await bob.ends("a"))["a"]["type"] == "result"
    assert {m["task_id"] for m in ann.seen if "task_id" in m} == {"a"}
    assert not [m for m in ann.seen if m["type"] == "result"]
    assert not [m for m in bob.seen if m["type"] == "cancelled"]


async def test_word_to_one_owner(owned: Mounted, stack: AsyncExitStack) -> None:
    """A host's notice reaches every connection of its owner and nobody else."""
    gateway, url = owned
    ann, ann_too, bob = [await user(stack, url, name) for name in ("ann", "ann", "bob")]
    await gateway.notify("ann", "credit is low")
    for client in (ann, ann_too):
        notice = await client.receive()
        assert (notice["type"], notice["kind"], notice["message"]) == ("notice", "host", "credit is low")
    assert (await bob.ask(action="ping"))["type"] == "pong"
    assert [m["type"] for m in bob.seen] == ["welcome", "pong"]


async def test_generate_from_the_hosts_code(owned: Mounted, stack: AsyncExitStack) -> None:
    """The iterator yields what a socket would get, the end last; the owner's page sees the same task."""
    gateway, url = owned
    events = [event async for event in gateway.generate(owner="ann", prompt="boat", task_id="a", n=2)]
    kinds = [type(event).__name__ for event in events]
    assert kinds[0] == "Accepted"
    assert kinds[-1] == "Result"
    assert kinds.count("OutputEvent") == 2
    ann = await user(stack, url, "ann")
    again = await ann.ask(action="generate", prompt="boat", task_id="a", n=2)
    assert again["state"] == "completed"
    # And the other way round: the same id again is the same task for the iterator, too.
    replayed = [
        type(event).__name__ async for event in gateway.generate(owner="ann", prompt="boat", task_id="a", n=2)
    ]
    assert replayed == ["Accepted", "OutputEvent", "OutputEvent", "Result"]


async def test_an_iterator_that_is_broken_off(owned: Mounted, engine: Recorder) -> None:
    """The generation goes on without its viewer; nothing of the viewer is left."""
    gateway, _ = owned
    events = gateway.generate(owner="ann", prompt="boat", task_id="a", steps=20)
    async for _event in events:
        break
    assert isinstance(events, AsyncIterator)
    await events.aclose()  # type: ignore[attr-defined]
    assert not gateway.journal.has_subscriber("ann")
    task = await gateway.find("ann", "a")
    assert task is not None
    assert not task.ended
    await eventually(lambda: not unfinished(gateway, "ann"))
    task = await gateway.journal.store.task("ann", "a")
    assert task is not None
    assert task.state == "completed"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"prompt": ""}, "prompt_missing", "prompt"),
        ({}, "prompt_missing", "prompt"),
        ({"prompt": "boat", "n": 0}, "out_of_bounds", "n"),
        ({"prompt": "boat", "n": 9}, "out_of_bounds", "n"),
        ({"prompt": "boat", "size": "huge"}, "out_of_bounds", "size"),
        ({"prompt": "boat", "steps": -1}, "out_of_bounds", "steps"),
        ({"prompt": "boat", "task_id": "a b"}, "bad_task_id", "task_id"),
        ({"prompt": 7}, "wrong_shape", "prompt"),
        ({"prompt": "boat", "model": "nobody"}, "model_not_found", "model"),
    ],
)
async def test_the_hosts_code_is_held_to_the_same_bounds(
    owned: Mounted, fields: dict[str, Any], code: str, field: str
) -> None:
    """What a frame may not say, a call may not either: it raises with code and field, and nothing is accepted."""
    gateway, _ = owned
    with pytest.raises(XinflightError) as refused:
        await asyncio.wait_for(anext(gateway.generate(owner="ann", **fields)), 3)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert unfinished(gateway, "ann") == 0
    assert not gateway.journal.has_subscriber("ann")


async def test_the_end_of_the_application(settings: Settings, engine: Recorder) -> None:
    """Clients hear of it, running and waiting tasks fail, the model is freed, the sockets close with 1012."""
    before = asyncio.all_tasks()
    engine.faults = Faults(slow=20.0)
    app = web.Application()
    gateway = setup(app, settings)
    async with hosted(app) as url, aiohttp.ClientSession() as http:
        ws = await http.ws_connect(f"{url}ws/generate")
        client = WireClient(ws)
        await client.ask(action="generate", prompt="boat", task_id="runs", n=2)
        await client.ask(action="generate", prompt="boat", task_id="waits")
        await client.has(lambda m: m["type"] == "progress" and m["progress"] > 5)
        draining = asyncio.create_task(app.shutdown())
        notice = await client.until(lambda m: m["type"] == "notice")
        assert notice["kind"] == "draining"
        ends = await client.ends("runs", "waits")
        for end in ends.values():
            assert (end["type"], end["code"], end["state"]) == ("error", "shutting_down", "failed")
            assert end["retryable"] is True
        # Nothing comes after the ends but the close.
        while (message := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            assert not is_end(message.json())
        # The frame itself: aiohttp's client has 1006 where it comes too late to answer it.
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
        await draining
        late = await http.ws_connect(f"{url}ws/generate")
        await late.receive()
        assert late.close_code == 1012
        assert gateway.draining
        assert engine.in_flight["painter"] == 0
        assert len(engine.aborts) == 1
    leaked = [task.get_name() for task in asyncio.all_tasks() - before]
    assert not [name for name in leaked if name.startswith(("output", "post", "watch", "journal", "writer", "lease"))]


async def test_a_cancel_that_the_end_overtakes(settings: Settings, engine: Recorder) -> None:
    """An image that is being stopped when the server ends is told as what it came to."""
    engine.faults = Faults(freeze=2, requests=1)
    app = web.Application()
    setup(app, settings)
    async with hosted(app) as url, WireClient.connect(url) as client:
        await client.ask(action="generate", prompt="boat", task_id="a")
        await client.until(lambda m: m["type"] == "progress" and m["progress"] > 5)
        await client.ask(action="cancel", task_id="a")
        draining = asyncio.create_task(app.shutdown())
        await client.until(lambda m: m["type"] == "notice")
        engine.thaw()
        end = (await client.ends("a"))["a"]
        assert (end["type"], end["upstream"]) == ("cancelled", "stopped")
        await draining


async def test_a_drain_lets_what_runs_end(settings: Settings, engine: Recorder) -> None:
    """Within the drain time a running image is finished, and one that waits is not begun."""
    app = web.Application()
    setup(app, msgspec.structs.replace(settings, drain=600.0))
    engine.faults = Faults(freeze=3, requests=1)
    async with hosted(app) as url, WireClient.connect(url) as client:
        await client.ask(action="generate", prompt="boat", task_id="runs", steps=20)
        await client.ask(action="generate", prompt="boat", task_id="waits")
        await client.has(lambda m: m["type"] == "progress" and m["progress"] > 5)
        draining = asyncio.create_task(app.shutdown())
        await client.until(lambda m: m["type"] == "notice")
        refused = await client.ask(action="generate", prompt="late")
        assert refused["code"] == "shutting_down"
        engine.thaw()
        ends = await client.ends("runs", "waits")
        assert ends["runs"]["type"] == "result"
        assert ends["waits"]["code"] == "shutting_down"
        await draining
