"""One exchange of the conformance kit, held against whatever answers."""

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
    "Exchange",
    "ExchangeFailed",
    "Kit",
    "Line",
    "LineClosed",
    "Message",
    "Rule",
    "Step",
    "run_exchange",
]

SECONDS = 60.0
"""How long one message is waited for, unless told otherwise: a real model may be slow."""

Message = dict[str, Any]


class Step(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One thing that the client does, or that the server must do; exactly one of the first six is given."""

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
    """What must hold for every message that matches `if`."""

    when: Message
    then: Message


class Exchange(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One conversation: what is said, what must be answered, and what must not."""

    number: int
    title: str
    section: str
    only: str | None = None
    given: Variables = msgspec.field(default_factory=dict)
    always: list[Rule] = msgspec.field(default_factory=list)
    steps: list[Step]


class Kit(Struct, forbid_unknown_fields=True, kw_only=True):
    """All exchanges, and the rules that hold in each of them."""

    protocol: int
    about: str
    always: list[Rule]
    exchanges: list[Exchange]


class LineClosed(Exception):
    """The other side closed the connection; `code` says why."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"the connection was closed with {code}")
        self.code = code


class Line(Protocol):
    """One connection, as the runner needs it."""

    async def send(self, message: Message) -> None:
        """Send a message."""

    async def send_frame(self, frame: str | bytes) -> None:
        """Send a frame as it is: text or binary."""

    async def receive(self) -> Message:
        """Return the next message; raise LineClosed when there is none any more."""


Connect = Callable[[Sequence[str] | None], AbstractAsyncContextManager[Line]]
"""Opens a connection; offers these sub-protocols, or with None the one under test."""


class ExchangeFailed(Exception):
    """A server that did not do what an exchange expects; the text says what, and what had been said before."""

    def __init__(self, exchange: Exchange, step: int, why: str, said: list[str]) -> None:
        last = "\n".join(f"    {line:.240}" for line in said[-12:])
        super().__init__(f"{exchange.number}. {exchange.title}: step {step}: {why}\n{last}")
        self.exchange = exchange
        self.step = step
        self.why = why


async def run_exchange(
    exchange: Exchange, connect: Connect, *, always: Sequence[Rule] = (), seconds: float = SECONDS
) -> None:
    """Hold one conversation. `always` are rules beside the exchange's own, `seconds` the time for each message.

    Cancelling closes its connections.

    Raises:
        ExchangeFailed: the server did something else.
        BadPattern: the exchange itself is wrong.
    """
    async with AsyncExitStack() as stack:
        run = _Run(exchange, connect, [*always, *exchange.always], seconds, stack)
        for number, step in enumerate(exchange.steps, 1):
            try:
                await run.take(step)
            except (Mismatch, LineClosed) as wrong:
                raise ExchangeFailed(exchange, number, str(wrong), run.said) from None


class _Run:
    """One conversation as far as it has come."""

    def __init__(
        self, exchange: Exchange, connect: Connect, always: list[Rule], seconds: float, stack: AsyncExitStack
    ) -> None:
        self.said: list[str] = []
        self._connect = connect
        self._always = always
        self._seconds = seconds
        self._stack = stack
        # Names of tasks carry `run`, so that the kit can be held against the same server again.
        self._variables: Variables = {"run": secrets.token_hex(4), **exchange.given}
        self._lines: dict[str, tuple[Line, AsyncExitStack]] = {}

    async def take(self, step: Step) -> None:
        """Do one step; raise Mismatch or LineClosed when the server does something else."""
        if step.close:
            _, stack = self._lines.pop(step.on)
            await stack.aclose()
            return
        line = await self._line(step)
        if step.send is not None:
            message = fill(step.send, self._variables)
            self.said.append(f"C({step.on}): {_shown(message)}")
            await line.send(message)
        elif step.send_text is not None:
            await line.send_frame(step.send_text)
        elif step.send_hex is not None:
            await line.send_frame(bytes.fromhex(step.send_hex))
        elif step.expect is not None:
            await self._expect(line, step, step.expect)
        elif step.closed is not None:
            await self._closed(line, step, step.closed)
        else:
            raise BadPattern("a step that does nothing")

    async def _line(self, step: Step) -> Line:
        if step.on not in self._lines:
            stack = await self._stack.enter_async_context(AsyncExitStack())
            self._lines[step.on] = (await stack.enter_async_context(self._connect(step.offer)), stack)
        return self._lines[step.on][0]

    async def _expect(self, line: Line, step: Step, wanted: Message) -> None:
        """Receive until a message is wanted; what comes before it must be none of `without`."""
        nearest = "nothing of its type came"
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await self._receive(line, step)
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

    async def _closed(self, line: Line, step: Step, code: int) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    await self._receive(line, step)
        except LineClosed as closed:
            if closed.code != code:
                raise
        except TimeoutError:
            raise Mismatch(f"the connection was not closed within {self._seconds:g} s") from None

    async def _receive(self, line: Line, step: Step) -> Message:
        """Return the next message, once it has kept all rules."""
        message = await line.receive()
        self.said.append(f"S({step.on}): {_shown(message)}")
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
