"""Sockets that ask faster than they read, or than anybody could: all of it is answered, and nobody else waits."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from clients import FakeClock, Json, WireClient, eventually
from streams import shared_server
from xinflight import refusals
from xinflight.connection import Session, outbox
from xinflight.errors import NotJson
from xinflight.refusals import RefusalLog
from xinflight.storage import Retention
from xinflight.storage.retention import PAGE_BYTES

pytestmark = pytest.mark.slow

FRAMES = 3000


def frames(*messages: Json) -> bytes:
    """Return messages as the frames of a client, with masks of zeros (RFC 6455 section 5.2)."""
    return b"".join(_frame(json.dumps(message, ensure_ascii=False).encode()) for message in messages)


def _frame(payload: bytes) -> bytes:
    short = len(payload) < 126
    size = bytes([0x80 | len(payload)]) if short else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + payload


def send_at_once(client: WireClient, *messages: Json) -> None:
    """Write many messages without a turn of the loop between them."""
    transport: Any = client.ws._writer.transport
    transport.write(frames(*messages))


class Turns:
    """How often the loop turned, and how many frames were acted on in each turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.frames: Counter[int] = Counter()
        receive = Session.receive

        async def counted(session: Session, frame: str | bytes) -> None:
            self.frames[self.now] += 1
            await receive(session, frame)

        monkeypatch.setattr(Session, "receive", counted)

    async def turn(self) -> None:
        while True:
            self.now += 1
            await asyncio.sleep(0)


@pytest.fixture
async def turns(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Turns]:
    turns = Turns(monkeypatch)
    turning = asyncio.create_task(turns.turn(), name="turns")
    yield turns
    turning.cancel()
    await asyncio.gather(turning, return_exceptions=True)


async def test_a_neighbour_is_answered_before_the_frames_of_a_flood(server: str, turns: Turns) -> None:
    """Between two frames of one socket everybody else has a turn."""
    async with WireClient.connect(server) as flood, WireClient.connect(server) as neighbour:
        send_at_once(flood, *[{}] * FRAMES)
        await eventually(lambda: turns.frames)
        assert (await neighbour.ask(action="ping"))["type"] == "pong"
        assert turns.frames.total() < FRAMES
    assert max(turns.frames.values()) <= 2


@pytest.mark.parametrize(
    ("message", "count"),
    [
        ({"action": "ping"}, outbox.WAITING_ANSWERS + 1),
        ({"action": "cancel", "task_id": "a"}, 600),
        ({}, FRAMES),
    ],
)
async def test_all_that_is_sent_at_once_is_answered(server: str, message: Json, count: int) -> None:
    """A client that reads is never dropped for asking much."""
    async with WireClient.connect(server) as client:
        send_at_once(client, *({**message, "ref": str(number)} for number in range(count)))
        answers = [await client.receive() for _ in range(count)]
    assert [answer["ref"] for answer in answers] == [str(number) for number in range(count)]


PAGES = 250


async def fill(client: WireClient, tasks: int) -> None:
    """Have tasks with prompts as long as they may be."""
    prompt = "\N{GRINNING FACE}" * 5000
    for number in range(tasks):
        fields = {"prompt": prompt, "negative_prompt": prompt, "task_id": f"t{number}"}
        send_at_once(client, {"action": "generate", "ref": "g", **fields})
        await client.until(lambda answer: answer.get("ref") == "g")
    await client.ask(action="cancel", scope="all")
    await client.ends(*(f"t{number}" for number in range(tasks)))


async def test_pages_are_not_even_made_for_who_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for one peer is bounded in bytes: further questions wait with it, until it is dropped."""
    pages = 0
    page = Retention.page

    async def counted(history: Retention, *args: Any, **options: Any) -> Any:
        nonlocal pages
        pages += 1
        return await page(history, *args, **options)

    monkeypatch.setattr(Retention, "page", counted)
    headers = {"X-User": "ann"}
    async with (
        shared_server(xinference_url="http://127.0.0.1:9", heartbeat=1.0) as (url, gateway),
        WireClient.connect(url, headers=headers) as neighbour,
        WireClient.connect(url, headers=headers) as deaf,
    ):
        await fill(neighbour, 20)
        transport: Any = deaf.ws._writer.transport
        transport.pause_reading()
        send_at_once(deaf, *[{"action": "list", "limit": 200}] * PAGES)
        # Nobody reads, so all pages that are ever made are made before the drop.
        while gateway.connections.count == 2:
            assert (await neighbour.ask(action="ping"))["type"] == "pong"
            await asyncio.sleep(0.01)
    # What the buffers of the two sockets took, and what one peer may have waiting.
    assert 1 < pages < PAGES / 2


async def test_a_page_is_bounded_in_bytes(client: WireClient) -> None:
    """Long prompts make short pages; `next` leads through all of them."""
    await fill(client, 20)
    seen: list[str] = []
    cursor = None
    while True:
        asked = {"action": "list", "limit": 200} | ({} if cursor is None else {"cursor": cursor})
        answer = await client.ask(**asked)
        assert 0 < len(json.dumps(answer["tasks"], ensure_ascii=False).encode()) < PAGE_BYTES * 1.1
        seen += [task["task_id"] for task in answer["tasks"]]
        if "next" not in answer:
            break
        cursor = answer["next"]
    assert seen == [f"t{number}" for number in reversed(range(20))]


async def test_refusals_do_not_fill_the_log(server: str) -> None:
    """A thousand refusals a second, over the socket and over HTTP, are a few lines a minute."""
    with capture_logs() as lines:
        async with WireClient.connect(server) as client, aiohttp.ClientSession(server) as http:
            send_at_once(client, *[{}] * 500)
            for _ in range(100):
                async with http.get("/api/v1/tasks/none") as response:
                    assert response.status == 404
            for _ in range(500):
                await client.receive()
    assert 0 < len([line for line in lines if "refused" in line["event"]]) <= refusals.LINES


async def test_refusals_that_are_not_logged_are_counted() -> None:
    """After a minute the log says how many there were, and takes lines again."""
    clock = FakeClock()
    written = RefusalLog(clock)
    with capture_logs() as lines:
        for _ in range(refusals.LINES + 7):
            written.write("message refused", NotJson())
        assert [line["event"] for line in lines] == ["message refused"] * refusals.LINES
        await clock.advance(refusals.PERIOD)
        assert lines[-1]["event"] == "refusals not logged"
        assert lines[-1]["count"] == 7
        written.write("message refused", NotJson())
        assert lines[-1]["event"] == "message refused"
