"""Run one exchange of the conformance kit against a server."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from xinflight.testing.patterns import BadPattern, Mismatch, Variables, fill, match

__all__ = [
    "SECONDS",
    "Connect",
    "Connection",
    "ConnectionClosed",
    "Exchange",
    "ExchangeFailed",
    "Kit",
    "Message",
    "Rule",
    "Step",
    "run_exchange",
]

SECONDS = 60.0
"""Default timeout for one message. A real model may be slow."""

Message = dict[str, Any]


class Step(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One action of the client, or one expectation of the server. Exactly one of the first six fields is set."""

    send: Message | None = None
    send_text: str | None = None
    send_hex: str | None = None
    expect: Message | None = None
    closed: int | None = None
    close: bool = False
    on: str = "a"
    offer: list[str] | None = None
    without: list[Message] = msgspec.field(default_factory=list)


class Rule(Struct, forbid_unknown_fields=True, rename={"when": "if"}, kw_only=True):
    """A pattern (`then`) that every message matching `if` must match."""

    when: Message
    then: Message


class Exchange(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One conversation: the messages to send, and the expected and forbidden ones."""

    number: int
    title: str
    section: str
    only: str | None = None
    needs: str | None = None
    given: Variables = msgspec.field(default_factory=dict)
    always: list[Rule] = msgspec.field(default_factory=list)
    steps: list[Step]


class Kit(Struct, forbid_unknown_fields=True, kw_only=True):
    """All exchanges, and the rules that apply to each of them."""

    protocol: int
    about: str
    always: list[Rule]
    exchanges: list[Exchange]


class ConnectionClosed(Exception):
    """The server closed the connection with the close code `code`."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"the connection was closed with {code}")
        self.code = code


class Connection(Protocol):
    """A connection to the server under test."""

    async def send(self, message: Message) -> None:
        """Send a message."""

    async def send_frame(self, frame: str | bytes) -> None:
        """Send a raw frame: text or binary."""

    async def receive(self) -> Message:
        """Return the next message. Raise ConnectionClosed if the server has closed the connection."""


Connect = Callable[[Sequence[str] | None], AbstractAsyncContextManager[Connection]]
"""Open a connection that offers these sub-protocols, or with None the one under test."""


class ExchangeFailed(Exception):
    """The server did not behave as an exchange expects. The text has the reason and the last messages."""

    def __init__(self, exchange: Exchange, step: int, why: str, said: list[str]) -> None:
        last = "\n".join(f"    {line:.240}" for line in said[-12:])
        super().__init__(f"{exchange.number}. {exchange.title}: step {step}: {why}\n{last}")
        self.exchange = exchange
        self.step = step
        self.why = why


async def run_exchange(
    exchange: Exchange, connect: Connect, *, always: Sequence[Rule] = (), seconds: float = SECONDS
) -> None:
    """Run one exchange. `always` are additional rules, `seconds` is the timeout for each message.

    Cancelling closes its connections.

    Raises:
        ExchangeFailed: the server behaved differently.
        BadPattern: the exchange is invalid.
    """
    async with AsyncExitStack() as stack:
        run = _Run(exchange, connect, [*always, *exchange.always], seconds, stack)
        for number, step in enumerate(exchange.steps, 1):
            try:
                await run.execute(step)
            except (Mismatch, ConnectionClosed) as wrong:
                raise ExchangeFailed(exchange, number, str(wrong), run.transcript) from None


class _Run:
    """State of a running exchange: connections, variables, transcript."""

    def __init__(
        self, exchange: Exchange, connect: Connect, always: list[Rule], seconds: float, stack: AsyncExitStack
    ) -> None:
        self.transcript: list[str] = []
        self._connect = connect
        self._always = always
        self._seconds = seconds
        self._stack = stack
        # Task ids contain `run`, so that the kit can be run against the same server again.
        self._variables: Variables = {"run": secrets.token_hex(4), **exchange.given}
        self._connections: dict[str, tuple[Connection, AsyncExitStack]] = {}

    async def execute(self, step: Step) -> None:
        """Execute one step. Raise Mismatch or ConnectionClosed if the server behaves differently."""
        if step.close:
            _, stack = self._connections.pop(step.on)
            await stack.aclose()
            return
        connection = await self._connection(step)
        if step.send is not None:
            message = fill(step.send, self._variables)
            self.transcript.append(f"C({step.on}): {_shown(message)}")
            await connection.send(message)
        elif step.send_text is not None:
            await connection.send_frame(step.send_text)
        elif step.send_hex is not None:
            await connection.send_frame(bytes.fromhex(step.send_hex))
        elif step.expect is not None:
            await self._expect(connection, step, step.expect)
        elif step.closed is not None:
            await self._closed(connection, step, step.closed)
        else:
            raise BadPattern("a step that does nothing")

    async def _connection(self, step: Step) -> Connection:
        if step.on not in self._connections:
            stack = await self._stack.enter_async_context(AsyncExitStack())
            self._connections[step.on] = (await stack.enter_async_context(self._connect(step.offer)), stack)
        return self._connections[step.on][0]

    async def _expect(self, connection: Connection, step: Step, wanted: Message) -> None:
        """Receive messages until one matches `wanted`; earlier ones must not match `without`."""
        nearest = "nothing of its type came"
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await self._receive(connection, step)
                    try:
                        self._variables |= match(wanted, message, self._variables)
                    except Mismatch as wrong:
                        if message.get("type") == wanted.get("type"):
                            nearest = f"of the last of its type, {wrong}"
                    else:
                        return
                    if message.get("type") == "error" and "seq" not in message:
                        raise Mismatch(f"it was refused: {_shown(message)}; {nearest}")
                    for pattern in step.without:
                        if self._matches(pattern, message):
                            raise Mismatch(f"this came before what was expected: {_shown(message)}; {nearest}")
        except TimeoutError:
            raise Mismatch(f"{_shown(wanted)} did not come within {self._seconds:g} s; {nearest}") from None

    async def _closed(self, connection: Connection, step: Step, code: int) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    await self._receive(connection, step)
        except ConnectionClosed as closed:
            if closed.code != code:
                raise
        except TimeoutError:
            raise Mismatch(f"the connection was not closed within {self._seconds:g} s") from None

    async def _receive(self, connection: Connection, step: Step) -> Message:
        """Receive a message and check it against all rules."""
        message = await connection.receive()
        self.transcript.append(f"S({step.on}): {_shown(message)}")
        for rule in self._always:
            if self._matches(rule.when, message):
                self._variables |= match(rule.then, message, self._variables)
        return message

    def _matches(self, pattern: Message, message: Message) -> bool:
        try:
            match(pattern, message, self._variables)
        except Mismatch:
            return False
        return True


def _shown(message: Message) -> str:
    return msgspec.json.encode(message).decode()
