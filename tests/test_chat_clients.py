"""Real clients chat: curl, `websockets`, a browser's EventSource and the JavaScript client, over lines that drop."""

import json

import msgspec
import pytest
from playwright.async_api import Browser, Page
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from clients import LONG, Json, Recorder, WireClient
from streams import Proxy
from test_chats import WRITER, text_of
from test_transports_clients import JSON_BODY, curl
from xinflight.demo import Faults

pytest_plugins = ["page_fixtures"]

MESSAGES = [{"role": "user", "content": "200个字，关于🚣和👩‍🚀"}]
CHAT: Json = {"messages": MESSAGES, "temperature": 0}


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([WRITER])


@pytest.mark.process
async def test_curl(server: str) -> None:
    """`curl -N` shows the text while it is written, in OpenAI's form and as events."""
    body = json.dumps({**CHAT, "stream": True, "task_id": "a"})
    told = [line async for line in curl("-N", *JSON_BODY, body, f"{server}v1/chat/completions") if line]
    chunks: list[Json] = [json.loads(line.removeprefix("data: ")) for line in told[:-1]]
    assert told[-1] == "data: [DONE]"
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert len(chunks) > 10
    body = json.dumps({**CHAT, "task_id": "b"})
    lines = curl("-N", "-H", "Accept: application/x-ndjson", *JSON_BODY, body, f"{server}api/v1/chats")
    events: list[Json] = [json.loads(line) async for line in lines if line]
    assert text_of([event for event in events if event["type"] == "delta"]) == text
    assert events[-1]["data"]["data"][0]["text"] == text


@pytest.mark.parametrize("packed", [False, True], ids=["json", "msgpack"])
async def test_websockets(server: str, *, packed: bool) -> None:
    """The package `websockets` needs nothing but the protocol."""
    url = f"{server.replace('http', 'ws', 1)}ws/generate"
    codec = msgspec.msgpack if packed else msgspec.json
    async with connect(url, subprotocols=[Subprotocol(f"xinflight.v1.{'msgpack' if packed else 'json'}")]) as ws:
        await ws.send(codec.encode({"action": "chat", **CHAT}), text=not packed)
        seen: list[Json] = []
        while not seen or seen[-1]["type"] != "result":
            seen.append(codec.decode(await ws.recv(decode=False)))
    assert text_of([message for message in seen if message["type"] == "delta"]) == seen[-1]["data"]["data"][0]["text"]


FOLLOW = """
(url) => {
  globalThis.text = [];
  globalThis.ended = null;
  const source = new EventSource(url);
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    // An offset counts code points, as the iterator of a string does.
    if (event.type === "delta" && event.offset + [...event.text].length > text.length) {
      text.splice(event.offset, Infinity, ...event.text);
    }
    if (event.type === "result") ended = event.data.data[0].text;
  };
}
"""


async def test_an_event_source(browser: Browser, server: str, client: WireClient, engine: Recorder) -> None:
    """It comes back by itself after a cut, and goes on within the sentence."""
    engine.faults = Faults(freeze=100, requests=1)
    async with Proxy.before(server) as (proxy, url):
        page = await browser.new_page(bypass_csp=True)
        # That of the page itself, which the browser may use again, and another one.
        proxy.cuts = [1500, 1500]
        await page.goto(f"{url}healthz")
        await client.ask(action="chat", task_id="a", **CHAT)
        await page.evaluate(FOLLOW, f"{url}api/v1/tasks/a/events")
        await page.wait_for_function("text.length > 50", timeout=1000 * LONG)
        engine.thaw()
        await page.wait_for_function("ended !== null", timeout=1000 * LONG)
        assert proxy.cut
    whole = (await client.ends("a"))["a"]["data"]["data"][0]["text"]
    assert await page.evaluate("ended") == whole
    assert whole.startswith(await page.evaluate("text.join('')"))


USE = """
async (url) => {
  const { Xinflight } = await import(`${url}assets/client/xinflight.js`);
  globalThis.client = new Xinflight(`${url}ws/generate`);
}
"""


async def test_the_javascript_client(browser: Browser, server: str, engine: Recorder) -> None:
    """One page's line drops in the middle of a sentence, another page comes late: both have every character once."""

    async def opened(url: str) -> Page:
        page = await browser.new_page(bypass_csp=True)
        await page.goto(f"{url}healthz")
        await page.evaluate(USE, url)
        return page

    engine.faults = Faults(freeze=100, requests=1)
    async with Proxy.before(server) as (proxy, url):
        page = await opened(url)
        proxy.cuts = [3000]
        await page.evaluate("client.connect()")
        await page.evaluate("(messages) => { globalThis.task = client.chat({ messages, temperature: 0 }) }", MESSAGES)
        await page.wait_for_function("task.text.length > 50", timeout=1000 * LONG)
        late = await opened(url)
        await late.evaluate("client.connect()")
        await late.wait_for_function("client.unfinished[0]?.text.length > 50", timeout=1000 * LONG)
        await late.evaluate("() => { globalThis.task = client.unfinished[0] }")
        engine.thaw()
        texts = []
        for each in (page, late):
            end: Json = await each.evaluate("async () => task.finished")
            assert await each.evaluate("task.text") == end["data"]["data"][0]["text"]
            texts.append(end["data"]["data"][0]["text"])
        assert proxy.cut == 1
        assert texts[0] == texts[1]
        assert "👩‍🚀" in texts[0]
