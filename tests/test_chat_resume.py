"""A chat whose line drops in the middle of a sentence: over every transport no character is lost or comes twice."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec
import pytest
from aiohttp import WSMsgType

from clients import LONG, Json, Recorder, WireClient, is_end
from streams import EVENT_STREAM, NDJSON, Proxy, lines
from test_chats import WRITER
from xinflight.demo import Faults

CUTS = (1400, 1900, 2100, 2300, 2500, 2700)
"""Bytes of each of the first connections: the head of a response or a welcome, and not many events."""
QUESTION = "300个字，关于🚣和👩‍🚀"


@pytest.fixture
async def engine() -> Recorder:
    return Recorder([WRITER])


class Text:
    """What a client keeps: the text, where its events have come to, and how it ended."""

    def __init__(self) -> None:
        self.text = ""
        self.after = 0
        self.end: Json | None = None
        self.deltas = 0

    def take(self, message: Json) -> None:
        if "seq" in message:
            assert message["seq"] > self.after, "an event came twice"
            self.after = message["seq"]
        if message["type"] == "delta":
            self.deltas += 1
            offset, new = message["offset"], message["text"]
            assert offset <= len(self.text), "a character is missing"
            if offset + len(new) > len(self.text):
                self.text = self.text[:offset] + new
        elif message["type"] == "output":
            assert message["text"].startswith(self.text)
            self.text = message["text"]
        elif is_end(message):
            self.end = message


Read = Callable[[aiohttp.ClientSession, str, Text], Awaitable[None]]


def by_lines(accept: str) -> Read:
    async def read(http: aiohttp.ClientSession, epoch: str, text: Text) -> None:
        """Follow the task over one streaming response; SSE resumes by its header, NDJSON by the query."""
        cursor = f"{epoch}:{text.after}"
        headers = {"Accept": accept} | ({"Last-Event-ID": cursor} if accept == EVENT_STREAM else {})
        params = {} if accept == EVENT_STREAM else {"after": cursor}
        async with http.get("api/v1/tasks/a/events", headers=headers, params=params) as response:
            async for line in lines(response):
                text.take(line.data)

    return read


def by_socket(protocol: str) -> Read:
    packed = protocol.endswith("msgpack")

    async def read(http: aiohttp.ClientSession, epoch: str, text: Text) -> None:
        """Resume the task over one WebSocket."""
        async with http.ws_connect("ws/generate", protocols=[protocol]) as ws:
            resume = {"action": "resume", "tasks": ["a"], "after": f"{epoch}:{text.after}"}
            await (ws.send_bytes(msgspec.msgpack.encode(resume)) if packed else ws.send_json(resume))
            async for frame in ws:
                assert frame.type is (WSMsgType.BINARY if packed else WSMsgType.TEXT)
                message: Json = msgspec.msgpack.decode(frame.data) if packed else json.loads(frame.data)
                if "task_id" in message:
                    text.take(message)
                if text.end is not None:
                    return

    return read


TRANSPORTS: dict[str, Read] = {
    "sse": by_lines(EVENT_STREAM),
    "ndjson": by_lines(NDJSON),
    "json": by_socket("xinflight.v1.json"),
    "msgpack": by_socket("xinflight.v1.msgpack"),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_line_that_is_cut_within_a_sentence(
    server: str, client: WireClient, engine: Recorder, transport: str
) -> None:
    engine.faults = Faults(freeze=200, requests=1)
    messages = [{"role": "user", "content": QUESTION}]
    await client.ask(action="chat", task_id="a", messages=messages, temperature=0)
    epoch = client.seen[0]["epoch"]
    text = Text()
    async with Proxy.before(server) as (proxy, url), asyncio.timeout(LONG):
        proxy.cuts = list(CUTS)
        while text.end is None:
            # A connection of its own each time, as after a real loss.
            connector = aiohttp.TCPConnector(force_close=True)
            async with aiohttp.ClientSession(url, connector=connector) as http:
                try:
                    await TRANSPORTS[transport](http, epoch, text)
                except (aiohttp.ClientError, ConnectionError):
                    pass
            if proxy.cut:
                engine.thaw()
    ended = (await client.ends("a"))["a"]
    whole = ended["data"]["data"][0]["text"]
    assert (text.text, text.end["type"]) == (whole, "result")
    assert all(part in whole for part in ("🚣", "👩‍🚀", "只"))
    assert proxy.cut > 1
    assert text.deltas, "it was cut while the text grew"
