"""One emulated replica of a language model: a process that continues many chats at once, in bursts of tokens.

Sources: Xinference 4.1.0, `model/scheduler` and `model/llm/transformers/core.py`. What an abort, a death and a second
request with the same id do is measured.
"""

import asyncio
import itertools
from typing import Literal
from uuid import uuid4

import msgspec

from xinflight.clock import Clock
from xinflight.demo.chat_bodies import ChatBody
from xinflight.demo.errors import HttpError
from xinflight.demo.faults import Faults
from xinflight.demo.model import EmulatedModel
from xinflight.demo.process import Process
from xinflight.demo.prose import compose, count_tokens
from xinflight.demo.replica import Spawn

__all__ = ["Chat", "ChatEnd", "ChatReplica"]

RESERVED = 8  # tokens of the context that are never used
TEMPERATURE = 1.0


class ChatEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a chat: why the text is over, or the error in its place."""

    reason: Literal["stop", "length", "aborted"] = "stop"
    tokens: int = 0
    error: HttpError | None = None


class Chat:
    """One request to a language model.

    `output` has bursts of tokens and then one `ChatEnd`; None in it is where the connection must be aborted. It is
    bounded by the tokens of the answer: upstream, too, generates on however slowly its client reads. `answer` is done
    with the end.
    """

    def __init__(self, body: ChatBody, faults: Faults) -> None:
        self.body = body
        self.request_id = str(body.request_id or uuid4().hex)
        self.faults = faults
        self.prompt_tokens = 0
        self.output: asyncio.Queue[list[str] | ChatEnd | None] = asyncio.Queue()
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stopping = False  # set by an abort or a lost client, read at the end of each step

    def end(self, end: ChatEnd) -> None:
        """End the chat, unless it has ended already."""
        if not self.answer.done():
            self.answer.set_result(None)
            self.output.put_nowait(end)


class _ModelDied(Exception):
    pass


class ChatReplica(Process):
    """A worker that continues up to `model.sequences` chats at once; others wait in order, without a byte."""

    def __init__(
        self, model: EmulatedModel, index: int, *, clock: Clock, spawn: Spawn, thawed: asyncio.Event
    ) -> None:
        self._spawn = spawn
        self._thawed = thawed
        super().__init__(model, index, clock)

    def _reset(self) -> None:
        self._sequences = asyncio.Semaphore(self.model.sequences)
        self._chats: dict[str, Chat] = {}
        self._generating: set[asyncio.Task[None]] = set()

    def _fail_all(self, error: HttpError) -> None:
        for chat in self._chats.values():
            chat.end(ChatEnd(error=error))
        self._chats.clear()
        for task in self._generating:
            task.cancel()

    def submit(self, chat: Chat) -> None:
        """Queue a chat. Whatever is wrong from here on is told by its end.

        Raises:
            HttpError: 500, the process is dead.
        """
        self.check_alive()
        limit = self.model.request_limit
        if not self.model.takes("chat"):
            chat.end(ChatEnd(error=self._fault(AttributeError(f"Model {self.model.uid} is not for chat."))))
        elif limit is not None and len(self._chats) >= limit:
            text = f"Rate limit reached for the model. Request limit {limit} for the model: {self.uid}"
            chat.end(ChatEnd(error=HttpError(429, text)))
        elif running := self._chats.pop(chat.request_id, None):
            # As upstream: the second request with an id ends the first as well.
            duplicate = self._fault(RuntimeError(f"Duplicate request id: {chat.request_id}"))
            running.stopping = True
            for ended in (running, chat):
                ended.end(ChatEnd(error=duplicate))
        else:
            self._chats[chat.request_id] = chat
            task = self._spawn(self._serve(chat), f"emulator {self.uid} chat {chat.request_id}")
            self._generating.add(task)
            task.add_done_callback(self._generating.discard)

    def abort(self, request_id: str, block_seconds: float) -> str:
        """Ask a chat to stop. Return DONE, or NOT_FOUND for an unknown id; ids are not blocked.

        A running one stops at the end of its step, a waiting one only when it would start.
        """
        self.check_alive()
        chat = self._chats.get(request_id)
        if chat is None:
            return "NOT_FOUND"
        chat.stopping = True
        return "DONE"

    async def _serve(self, chat: Chat) -> None:
        async with self._sequences:
            try:
                end = await self._generate(chat)
            except _ModelDied:
                self.kill()
                return
            except Exception as wrong:
                end = ChatEnd(error=self._fault(wrong))
        if self._chats.get(chat.request_id) is chat:
            del self._chats[chat.request_id]
        chat.end(end)

    async def _generate(self, chat: Chat) -> ChatEnd:
        if chat.faults.error is not None:
            raise RuntimeError(chat.faults.error)
        room = self.model.context - RESERVED
        if chat.body.limit is not None and chat.body.limit > room:
            raise ValueError(f"max_tokens {chat.body.limit} exceeds the context of {self.model.context} tokens")
        # The prompt keeps its last tokens, silently.
        most = room - (chat.body.limit or 1)
        chat.prompt_tokens = min(count_tokens(chat.body.messages), max(most, 1))
        temperature = TEMPERATURE if chat.body.temperature is None else chat.body.temperature
        limit = chat.body.limit or room - chat.prompt_tokens
        written = compose(chat.body.messages, temperature=temperature, limit=limit, stops=chat.body.stops)
        tokens = written.tokens
        for start, end in _steps(len(tokens), self.model.burst, chat.faults):
            await self._strike(chat, start)
            await self._clock.sleep(self.model.step_seconds * chat.faults.slow)
            if chat.stopping:
                return ChatEnd(reason="aborted", tokens=start)
            chat.output.put_nowait(tokens[start:end])
        await self._strike(chat, len(tokens))
        return ChatEnd(reason="aborted" if chat.stopping else written.reason, tokens=len(tokens))

    async def _strike(self, chat: Chat, tokens: int) -> None:
        """Apply the faults that are due after a number of tokens."""
        faults = chat.faults
        if faults.drop == tokens:
            chat.output.put_nowait(None)
        if faults.die == tokens:
            raise _ModelDied
        if faults.freeze == tokens:
            await self._thawed.wait()


def _steps(total: int, burst: int, faults: Faults) -> list[tuple[int, int]]:
    """Return the tokens of each step as (start, end): a step ends early where a fault is due."""
    edges = {*range(0, total, burst), total}
    edges.update(at for at in (faults.drop, faults.die, faults.freeze) if at is not None and 0 <= at < total)
    ordered = sorted(edges)
    return list(itertools.pairwise(ordered))
