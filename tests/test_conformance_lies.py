"""The conformance kit finds out a server that does something else, whatever it is."""

import copy
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from conformance_kit import KIT, on_one_server, serving_kit
from xinflight.testing import Connection, Exchange, ExchangeFailed, Message, run_exchange
from xinflight.testing.__main__ import connector

Said = Message | None
"""What a server said to one client, in its order; None where the client sent something."""


class Notes:
    """A line that notes what is said on it."""

    def __init__(self, line: Connection, said: list[Said]) -> None:
        self._line = line
        self._said = said

    async def send(self, message: Message) -> None:
        self._said.append(None)
        await self._line.send(message)

    async def send_frame(self, frame: str | bytes) -> None:
        self._said.append(None)
        await self._line.send_frame(frame)

    async def receive(self) -> Message:
        message = await self._line.receive()
        self._said.append(message)
        return message


class Replay:
    """A line on which the same is said again, and nothing else ever comes: nobody has to wait for that."""

    def __init__(self, said: list[Said]) -> None:
        self._said = deque(said)

    async def send(self, message: Message) -> None:
        self._said.remove(None)

    async def send_frame(self, frame: str | bytes) -> None:
        self._said.remove(None)

    async def receive(self) -> Message:
        message = self._said[0] if self._said else None
        if message is None:
            raise TimeoutError
        self._said.popleft()
        return message


Note = Callable[[str], Awaitable[tuple[Exchange, list[list[Said]]]]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def noted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Note]:
    """Run the exchange of a title once; return it as it was run, and what was said on each of its lines."""
    known: dict[str, tuple[Exchange, list[list[Said]]]] = {}

    async with serving_kit(tmp_path_factory.mktemp("server")) as server, aiohttp.ClientSession() as http:
        honest = connector(http, f"{server}ws/generate")

        async def note(title: str) -> tuple[Exchange, list[list[Said]]]:
            if title not in known:
                (exchange,) = [exchange for exchange in KIT.exchanges if exchange.title == title]
                exchange = msgspec.structs.replace(exchange, given={"run": secrets.token_hex(4), **exchange.given})
                lines: list[list[Said]] = []

                @asynccontextmanager
                async def connect(offer: Sequence[str] | None) -> AsyncIterator[Connection]:
                    lines.append([])
                    said = lines[-1]
                    async with honest(offer) as line:
                        yield Notes(line, said)

                await run_exchange(exchange, connect, always=KIT.always)
                known[title] = exchange, lines
            return known[title]

        yield note


class Liar:
    """A line that changes what the server says."""

    def __init__(self, line: Connection, lie: "Lie") -> None:
        self._line = line
        self._lie = lie
        self._waiting: list[Message] = []

    async def send(self, message: Message) -> None:
        await self._line.send(message)

    async def send_frame(self, frame: str | bytes) -> None:
        await self._line.send_frame(frame)

    async def receive(self) -> Message:
        while not self._waiting:
            self._waiting = self._lie.told(await self._line.receive())
        return self._waiting.pop(0)


class Lie:
    """Tell messages of some types otherwise: with other fields, without some, twice, late, or never."""

    def __init__(self, *types: str, without: Sequence[str] = (), times: int = 1, late: bool = False, **fields: Any):
        self.types = types
        self.without = without
        self.times = times
        self.late = late
        self.fields = fields
        self._held: list[Message] = []

    def told(self, message: Message) -> list[Message]:
        if message["type"] not in self.types:
            held, self._held = self._held, []
            return [message, *held]
        changed = {**copy.deepcopy(message), **self.fields}
        for name in self.without:
            changed.pop(name, None)
        if self.late:
            self._held.append(changed)
            return []
        return [changed] * self.times


LIES: list[tuple[str, Lie, str]] = [
    ("The welcome is the first frame", Lie("welcome", late=True), "did not come"),
    ("The welcome is the first frame", Lie("welcome", heartbeat="25"), "heartbeat is '25'"),
    ("A ping is answered with its nonce and its ref", Lie("pong", nonce="other"), "nonce is 'other'"),
    ("A ping is answered with its nonce and its ref", Lie("pong", seq=5), "seq is 5"),
    ("A ping is answered with its nonce and its ref", Lie("pong", times=0), "nothing of its type came"),
    ("One image: ack first, true progress, one end", Lie("ack", late=True), "came before"),
    ("One image: ack first, true progress, one end", Lie("progress", progress=12.5), "progress is 12.5"),
    ("One image: ack first, true progress, one end", Lie("progress", progress=100), "progress is 100"),
    ("One image: ack first, true progress, one end", Lie("progress", without=["index"]), "index is absent"),
    ("One image: ack first, true progress, one end", Lie("result", times=2), "came before"),
    ("One image: ack first, true progress, one end", Lie("result", progress=99), "progress is 99"),
    ("One image: ack first, true progress, one end", Lie("output", times=0), "came before"),
    ("One image: ack first, true progress, one end", Lie("output", seq=1), "seq is 1"),
    ("One image: ack first, true progress, one end", Lie("output", without=["timestamp"]), "timestamp is absent"),
    ("Unknown fields are ignored and named; metadata is echoed", Lie("ack", ignored=[]), "ignored is []"),
    ("Unknown fields are ignored and named; metadata is echoed", Lie("result", metadata=None), "metadata is None"),
    ("What runs is cancelled, and the end says what that achieved", Lie("cancelled", upstream="done"), "upstream is"),
    ("What runs is cancelled, and the end says what that achieved", Lie("cancelled", times=2), "came before"),
    ("Cancelling too late, or something unknown, is soft", Lie("ok", tasks=[]), "tasks is []"),
    ("A cursor of another epoch is a gap, and said to be one", Lie("recovered", recovered=True), "recovered is True"),
    ("What ended meanwhile is replayed in order", Lie("accepted", times=2), "came before"),
    ("What ended meanwhile is replayed in order", Lie("output", late=True), "came before"),
    ("The history is paged, the newest first", Lie("tasks", tasks=[]), "tasks is []"),
    ("An unknown action is refused", Lie("error", code="internal"), "code is 'internal'"),
    ("An unknown action is refused", Lie("error", seq=9), "task_id is absent"),
    ("A LoRA tag is refused", Lie("error", without=["ref"]), "ref is absent"),
]


@pytest.mark.parametrize(("title", "lie", "told"), LIES)
@on_one_server
async def test_a_server_that_does_something_else_is_found_out(title: str, lie: Lie, told: str, noted: Note) -> None:
    exchange, lines = await noted(title)
    left = iter(lines)

    @asynccontextmanager
    async def deceive(offer: Sequence[str] | None) -> AsyncIterator[Connection]:
        yield Liar(Replay(next(left)), lie)

    with pytest.raises(ExchangeFailed) as failed:
        await run_exchange(exchange, deceive, always=KIT.always)
    assert told in failed.value.why
