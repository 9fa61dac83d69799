"""Real clients of every transport: curl, `websockets`, the `openai` package, a browser's EventSource."""

import asyncio
import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from openai import AsyncOpenAI, OpenAI
from PIL import Image
from playwright.async_api import Browser, Error, Page
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from clients import LONG, PAINTER, FakeClock, Json, Recorder, WireClient, eventually, is_end, painter
from conftest import Front, Serve
from streams import Proxy, shared_server
from xinflight.demo import Emulator, Faults

pytest_plugins = ["page_fixtures"]

JPEG = b"\xff\xd8\xff"


# curl


async def curl(*arguments: str) -> AsyncIterator[str]:
    """Run curl and yield the lines that it writes, as it writes them."""
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--show-error", "--max-time", str(LONG), *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            yield line.decode().rstrip("\n")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def told_by_curl(*arguments: str) -> str:
    return "\n".join([line async for line in curl(*arguments)])


class Paced(Recorder):
    """Makes some steps for each question about progress, so none is missed on a slow machine; half of them if `held`.

    Its clock stands otherwise.
    """

    def __init__(self) -> None:
        self.time = FakeClock()
        super().__init__([PAINTER], clock=self.time)
        self.held = True
        self._moves: list[asyncio.Task[None]] = []

    def progress(self, request_id: str) -> dict[str, float | None]:
        if not self.held or len(self._moves) < 8:
            move = self.time.advance(3 * PAINTER.step_seconds)
            self._moves.append(asyncio.create_task(move, name="steps"))
        return super().progress(request_id)

    async def settle(self) -> None:
        """Wait for the steps that are being made."""
        await asyncio.gather(*self._moves)


JSON_BODY = ("-H", "Content-Type: application/json", "-d")


@pytest.mark.process
@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_curl_shows_live_progress(serve: Serve, emulate: Serve, stack: AsyncExitStack, accept: str) -> None:
    """`curl -N` shows a percentage while the image is being made, and ends with it."""
    engine = Paced()
    stack.push_async_callback(engine.settle)
    server = await serve(xinference_url=await emulate(engine), default_size="64x64")
    body = '{"prompt":"a red boat","task_id":"a","steps":50}'
    shown: list[Json] = []
    live = False
    async for line in curl("-N", "-H", f"Accept: {accept}", *JSON_BODY, body, f"{server}api/v1/tasks"):
        if line.startswith(("data: ", "{")):
            shown.append(json.loads(line.removeprefix("data: ")))
            if shown[-1].get("state") == "running" and not live:
                state = json.loads(await told_by_curl(f"{server}api/v1/tasks/a"))["state"]
                live = state == "running"
                engine.held = not live
    assert live
    assert shown[0]["type"] == "accepted"
    percentages = [message["progress"] for message in shown if message["type"] == "progress"]
    assert percentages == sorted(percentages)
    assert len(set(percentages)) > 5
    assert (shown[-1]["type"], shown[-1]["progress"]) == ("result", 100)


@pytest.mark.process
async def test_curl_does_without_streams(server: str, engine: Recorder) -> None:
    """Start, look, cancel, list, delete: one command each."""
    url = f"{server}api/v1/tasks"
    engine.faults = Faults(freeze=1, requests=1)
    answer = await told_by_curl("-i", *JSON_BODY, '{"prompt":"a boat","task_id":"a"}', url)
    assert answer.startswith("HTTP/1.1 202 ")
    assert f"Location: {url}/a" in answer
    assert json.loads(await told_by_curl(f"{url}/a"))["task_id"] == "a"
    await eventually(lambda: engine.in_flight["painter"] == 1)
    assert json.loads(await told_by_curl("-X", "POST", f"{url}/a/cancel"))["task_id"] == "a"
    await eventually(lambda: engine.aborts)
    engine.thaw()
    assert (await told_by_curl("-N", f"{url}/a/events")).count('"type":"cancelled"') == 1
    assert [json.loads(line)["state"] async for line in curl("-H", "Accept: application/x-ndjson", url)] == [
        "cancelled"
    ]
    assert "HTTP/1.1 204 " in await told_by_curl("-i", "-X", "DELETE", f"{url}/a")
    assert "HTTP/1.1 404 " in await told_by_curl("-i", f"{url}/a")
    # The mistake that everybody makes once is told as it is.
    problem = json.loads(await told_by_curl("-d", '{"prompt":"a boat"}', url))
    assert (problem["code"], problem["limit"]) == ("unsupported_type", "application/json")


# websockets


async def test_websockets_speaks_messagepack(server: str) -> None:
    """Images come inline as bytes, when they are asked for, once each, and are those that the URL gives."""
    url = f"{server.replace('http', 'ws', 1)}ws/generate"
    async with connect(url, subprotocols=[Subprotocol("xinflight.v1.msgpack")]) as ws:
        assert ws.subprotocol == "xinflight.v1.msgpack"
        assert msgspec.msgpack.decode(await ws.recv(decode=False))["type"] == "welcome"
        ask = {"action": "generate", "prompt": "boat", "n": 2, "steps": 2, "response_format": "b64_json"}
        await ws.send(msgspec.msgpack.encode(ask))
        seen: list[Json] = []
        while not seen or seen[-1]["type"] != "result":
            seen.append(msgspec.msgpack.decode(await ws.recv(decode=False)))
    images = [message for message in seen if message["type"] == "output"]
    async with aiohttp.ClientSession() as http:
        for image in images:
            assert isinstance(image["b64_json"], bytes)
            async with http.get(image["url"]) as response:
                assert await response.read() == image["b64_json"]
            assert len(image["b64_json"]) == image["bytes"]
    assert [image["url"] for image in seen[-1]["data"]["data"]] == [image["url"] for image in images]
    assert not any("b64_json" in image for image in seen[-1]["data"]["data"])


async def test_websockets_asks_for_an_unknown_sub_protocol(server: str) -> None:
    url = f"{server.replace('http', 'ws', 1)}ws/generate"
    async with connect(url, subprotocols=[Subprotocol("xinflight.v9.json")]) as ws:
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4406


# The openai package


@pytest.fixture
async def ai(server: str) -> AsyncIterator[AsyncOpenAI]:
    """Give OpenAI's client as people make it: its retries are on."""
    async with AsyncOpenAI(base_url=f"{server}v1", api_key="none") as ai:
        yield ai


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).tobytes()


def options(**fields: Any) -> dict[str, Any]:
    """Return what OpenAI's API does not know, as its client sends it."""
    return {"extra_body": {"steps": 2, **fields}}


async def test_openai_images(ai: AsyncOpenAI, engine: Recorder) -> None:
    """Base64 and URL, several images, a size; the model is the default one, or one of the list."""
    made = await ai.images.generate(prompt="boat", response_format="b64_json", n=2, size="256x256", **options())
    assert made.data is not None
    assert [base64.b64decode(image.b64_json or "")[:3] for image in made.data] == [JPEG] * 2
    assert {image.url for image in made.data} == {None}
    assert engine.prompts == ["boat", "boat"]
    model = (await ai.models.list()).data[0]
    assert (model.id, model.object) == ("painter", "model")
    made = await ai.images.generate(prompt="ship", model=model.id, quality="high", user="x", **options(seed=7))
    assert made.data is not None
    assert made.data[0].b64_json is None
    async with aiohttp.ClientSession() as http, http.get(made.data[0].url or "") as response:
        assert response.content_type == "image/jpeg"
        by_url = await response.read()
    again = await ai.images.generate(prompt="ship", response_format="b64_json", **options(seed=7))
    assert again.data is not None
    assert pixels(base64.b64decode(again.data[0].b64_json or "")) == pixels(by_url)


async def test_openai_stream(ai: AsyncOpenAI) -> None:
    """Each of several images is told when it is ready."""
    stream = await ai.images.generate(prompt="boat", n=3, size="256x256", stream=True, **options())
    events = [event async for event in stream]
    assert [event.type for event in events] == ["image_generation.completed"] * 3
    for event in events:
        assert event.type == "image_generation.completed"
        assert base64.b64decode(event.b64_json)[:3] == JPEG
        assert (event.size, event.output_format, event.usage.total_tokens) == ("256x256", "jpeg", 0)


async def test_openai_without_asyncio(server: str) -> None:
    """The same client without asyncio, in a thread."""

    def work() -> tuple[bytes, list[str], str]:
        with OpenAI(base_url=f"{server}v1", api_key="none") as ai:
            made = ai.images.generate(prompt="boat", response_format="b64_json", **options())
            assert made.data is not None
            stream = ai.images.generate(prompt="boat", stream=True, **options())
            kinds = [event.type for event in stream]
            with pytest.raises(openai.NotFoundError) as unknown:
                ai.images.generate(prompt="boat", model="dall-e-3")
            return base64.b64decode(made.data[0].b64_json or ""), kinds, unknown.value.code or ""

    image, kinds, code = await asyncio.to_thread(work)
    assert image.startswith(JPEG)
    assert kinds == ["image_generation.completed"]
    assert code == "model_not_found"


async def test_openai_errors_have_their_classes(ai: AsyncOpenAI, engine: Recorder) -> None:
    """Codes become its exceptions, with the field and, in the message, the limit; nothing is tried in vain."""
    with pytest.raises(openai.UnprocessableEntityError) as bad:
        await ai.images.generate(prompt="boat", size="65x64")
    assert (bad.value.code, bad.value.param) == ("out_of_bounds", "size")
    assert "64 to 2048, multiples of 16" in str(bad.value)
    with pytest.raises(openai.NotFoundError) as unknown:
        await ai.images.generate(prompt="boat", model="gpt-image-1")
    assert "painter" in str(unknown.value)
    with pytest.raises(openai.UnprocessableEntityError):
        await ai.images.generate(prompt=" ")
    assert engine.posts == []
    engine.faults = Faults(error="CUDA out of memory at /srv/models")
    with pytest.raises(openai.InternalServerError) as failed:
        await ai.images.generate(prompt="boat")
    assert (failed.value.status_code, failed.value.code) == (502, "upstream_out_of_memory")
    assert "CUDA" not in str(failed.value)
    with pytest.raises(openai.APIError) as streamed:
        async for _ in await ai.images.generate(prompt="boat", stream=True):
            pass
    assert streamed.value.code == "upstream_out_of_memory"
    # Its client would have sent the failed one again, twice.
    assert len(engine.posts) == 2


async def test_openai_is_told_of_a_cancel(ai: AsyncOpenAI, client: WireClient, engine: Recorder) -> None:
    """Cancelled from elsewhere it is a conflict, and is not sent again."""
    for stream in (False, True):
        making = asyncio.create_task(drained(ai, stream=stream))
        await eventually(lambda: engine.in_flight["painter"] == 1)
        await client.ask(action="cancel", scope="all")
        with pytest.raises(openai.APIError if stream else openai.ConflictError) as cancelled:
            await making
        assert cancelled.value.code == "cancelled"
    assert len(engine.posts) == 2


async def drained(ai: AsyncOpenAI, *, stream: bool) -> None:
    """Ask for an image that takes long, and wait for it."""
    if stream:
        async for _ in await ai.images.generate(prompt="boat", stream=True, **options(steps=200)):
            pass
    else:
        await ai.images.generate(prompt="boat", **options(steps=200))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_closing_a_request_of_openai_cancels_it(
    ai: AsyncOpenAI, client: WireClient, engine: Recorder, *, stream: bool
) -> None:
    """Upstream it stops at once, without the grace of a lost WebSocket; the model is free for the next one."""
    engine.faults = Faults(freeze=1, requests=1)
    making = asyncio.create_task(drained(ai, stream=stream))
    await eventually(lambda: engine.in_flight["painter"] == 1)
    making.cancel()
    async with asyncio.timeout(LONG):
        with contextlib.suppress(asyncio.CancelledError):
            await making
        await eventually(lambda: len(engine.aborts) == 1)
        engine.thaw()
        await eventually(lambda: engine.in_flight["painter"] == 0)
    (task,) = (await client.ask(action="list"))["tasks"]
    # The model is free a moment before the answer of its request has come back.
    assert task["state"] in ("cancelling", "cancelled")
    await client.ask(action="generate", prompt="next", task_id="next", steps=1)
    assert (await client.ends("next"))["next"]["type"] == "result"
    assert [task["state"] for task in (await client.ask(action="list", state="cancelled"))["tasks"]] == ["cancelled"]


async def test_a_timeout_of_openai_cancels_too(server: str, engine: Recorder) -> None:
    """Its client gives up by closing the request."""
    async with AsyncOpenAI(base_url=f"{server}v1", api_key="none", timeout=2.0, max_retries=0) as ai:
        engine.faults = Faults(freeze=1)
        with pytest.raises(openai.APITimeoutError):
            await drained(ai, stream=False)
        await eventually(lambda: engine.aborts)
        engine.thaw()
        await eventually(lambda: engine.in_flight["painter"] == 0)
    assert len(engine.posts) == 1


async def test_what_openai_gave_up_in_the_queue_is_never_started(
    server: str, client: WireClient, engine: Recorder
) -> None:
    async with AsyncOpenAI(base_url=f"{server}v1", api_key="none", timeout=2.0, max_retries=0) as ai:
        engine.faults = Faults(freeze=1)
        await client.ask(action="follow", scope="all")
        await client.ask(action="generate", prompt="first", task_id="first")
        both = await asyncio.gather(*(drained(ai, stream=stream) for stream in (False, True)), return_exceptions=True)
        assert [type(error) for error in both] == [openai.APITimeoutError] * 2
        for _ in both:
            assert (await client.until(is_end))["type"] == "cancelled"
        engine.thaw()
        await client.ends("first")
    assert engine.prompts == ["first"]


async def test_openai_shows_its_key(emulate: Serve) -> None:
    """The key of OpenAI's client is the bearer of whoever logs people in; a wrong one is its own exception."""
    async with shared_server(xinference_url=await emulate(Emulator([PAINTER]))) as (url, _):
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x") as ai:
            with pytest.raises(openai.AuthenticationError) as nobody:
                await ai.images.generate(prompt="boat")
            assert nobody.value.code == "unauthorised"
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="x", default_headers={"X-User": "ann"}) as ai:
            assert (await ai.images.generate(prompt="boat", **options())).data


async def test_openai_may_name_its_task(ai: AsyncOpenAI, client: WireClient, engine: Recorder) -> None:
    """The same `task_id` again gets what is there already; leaving then does not cancel what others began."""
    engine.faults = Faults(freeze=1, requests=1)
    await client.ask(action="generate", prompt="boat", task_id="a", steps=60)
    with pytest.raises(openai.APITimeoutError):
        await ai.with_options(max_retries=0).images.generate(
            prompt="boat", **options(task_id="a", steps=60), timeout=1.0
        )
    engine.thaw()
    made = await ai.images.generate(prompt="boat", **options(task_id="a", steps=60))
    end = (await client.ends("a"))["a"]
    assert end["type"] == "result"
    assert made.data is not None
    assert made.data[0].url is not None
    assert made.data[0].url.startswith(end["data"]["data"][0]["url"] + "?expires=")
    assert len(engine.posts) == 1


async def test_openai_when_there_is_no_room(front: Front) -> None:
    """Too many tasks are its RateLimitError, with the seconds to wait."""
    _, client = await front(painter(), tasks=1)
    await client.ask(action="generate", prompt="boat", steps=200)
    url = str(client.ws._response.url.origin())
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as ai:
        with pytest.raises(openai.RateLimitError) as full:
            await ai.images.generate(prompt="boat")
    assert full.value.code == "too_many_tasks"
    assert full.value.response.headers["Retry-After"] == "60"
    await client.ask(action="cancel", scope="all")


# EventSource


LISTEN = """
(url) => {
  window.heard = [];
  window.states = [];
  window.source = new EventSource(url);
  source.onmessage = (event) => heard.push({ id: event.lastEventId, data: JSON.parse(event.data) });
  source.onopen = () => states.push("open");
  source.onerror = () => states.push(source.readyState === EventSource.CLOSED ? "closed" : "again");
}
"""


async def heard(page: Page) -> list[Json]:
    found: list[Json] = await page.evaluate("heard.map(({ data }) => data)")
    return found


async def wait_for(page: Page, expression: str) -> None:
    await page.wait_for_function(expression, timeout=1000 * LONG)


@pytest.fixture
async def tab(browser: Browser, server: str) -> Page:
    """Open a page of the server's origin, whose policy allows no script."""
    page = await browser.new_page(bypass_csp=True)
    await page.goto(f"{server}healthz")
    return page


async def test_an_event_source_hears_everything(tab: Page, server: str, client: WireClient, engine: Recorder) -> None:
    """`onmessage` hears each event to the last; then the browser comes back by itself, is told 204, and stops."""
    engine.faults = Faults(freeze=1, requests=1)
    await client.ask(action="generate", prompt="boat", task_id="a", n=2)
    await tab.evaluate(LISTEN, f"{server}api/v1/tasks/a/events")
    await wait_for(tab, "heard.length > 0")
    engine.thaw()
    await wait_for(tab, 'states.includes("closed")')
    ends = await client.ends("a")
    messages = await heard(tab)
    kinds = [message["type"] for message in messages if message["type"] not in ("progress", "queue")]
    assert kinds == ["accepted", "output", "output", "result"]
    assert "progress" in {message["type"] for message in messages}
    assert messages[-1]["seq"] == ends["a"]["seq"]
    assert await tab.evaluate("states") == ["open", "again", "closed"]
    assert await tab.evaluate("heard.at(-1).id") == f"{client.seen[0]['epoch']}:{ends['a']['seq']}"


async def test_an_event_source_comes_back(tab: Page, server: str, client: WireClient) -> None:
    """Cut off twice it comes back by itself and hears each stored event once, though its URL has an old cursor."""
    async with Proxy.before(server) as (proxy, through):
        await client.ask(action="generate", prompt="boat", task_id="a", n=4, steps=60)
        # Within the stored events, which are some 3000 bytes with the head; whatever comes of progress is more.
        cuts = [1500, 1200]
        proxy.cuts = [*cuts]
        await tab.goto(f"{through}healthz")
        # The page itself came through the proxy on a connection that the browser may use again.
        proxy.cuts = [*cuts]
        await tab.evaluate(LISTEN, f"{through}api/v1/tasks/a/events?after={client.seen[0]['epoch']}:0")
        await wait_for(tab, 'states.includes("closed")')
        assert proxy.cut >= 2
    messages = await heard(tab)
    seqs = [message["seq"] for message in messages if "seq" in message]
    await client.ends("a")
    assert seqs[1:] == [message["seq"] for message in client.of("a", "output", "result")]
    assert messages[0]["type"] == "accepted"
    assert seqs == sorted(seqs)
    assert (await tab.evaluate("states")).count("again") >= 3


USE = """
async (url) => {
  const body = JSON.stringify({ prompt: "boat", steps: 3 });
  const headers = { "Content-Type": "application/json", "Idempotency-Key": "mine", Authorization: "Bearer none" };
  const posted = await fetch(`${url}api/v1/tasks`, { method: "POST", headers, body });
  const seen = [posted.status, posted.headers.get("Location")];
  const source = new EventSource(`${url}api/v1/tasks/mine/events`, { withCredentials: true });
  await new Promise((done) => {
    source.onmessage = (event) => JSON.parse(event.data).type === "result" && done();
  });
  source.close();
  const streamed = await fetch(`${url}api/v1/tasks/mine/events`, { headers: { "Last-Event-ID": "x:1" } });
  seen.push(streamed.status, (await streamed.text()).includes('"recovered":false'));
  const task = await (await fetch(`${url}api/v1/tasks/mine`)).json();
  seen.push((await fetch(task.data[0].url)).status);
  seen.push((await fetch(`${url}api/v1/tasks/mine/cancel`, { method: "POST" })).status);
  seen.push((await fetch(`${url}api/v1/tasks/mine`, { method: "DELETE" })).status);
  seen.push((await fetch(`${url}api/v1/tasks/mine`)).status);
  return seen;
}
"""


async def test_a_page_of_another_website(browser: Browser, emulate: Serve, serve: Serve) -> None:
    """In a real browser a page of `allow_origins` uses REST and SSE; the same page from elsewhere can't."""

    async def blank(request: web.Request) -> web.Response:
        return web.Response(text="<title>x</title>", content_type="text/html")

    site = web.Application()
    site.router.add_get("/", blank)
    async with TestServer(site) as friend, TestServer(site) as foe:
        upstream = await emulate(Emulator([PAINTER]))
        friends = str(friend.make_url("")).rstrip("/")
        url = await serve(xinference_url=upstream, default_size="64x64", allow_origins=(friends,))
        page = await browser.new_page()
        await page.goto(str(friend.make_url("/")))
        seen = await page.evaluate(USE, url)
        assert seen == [202, f"{url}api/v1/tasks/mine", 200, True, 200, 200, 204, 404]
        await page.goto(str(foe.make_url("/")))
        with pytest.raises(Error, match="Failed to fetch"):
            await page.evaluate(USE, url)
        async with aiohttp.ClientSession(url) as http, http.get("/api/v1/tasks") as response:
            assert (await response.json())["tasks"] == []
