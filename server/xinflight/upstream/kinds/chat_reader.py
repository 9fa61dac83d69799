"""Read the server-sent events of a chat completion (OpenAI's chunks, as Xinference 4.1.0 sends them). No I/O.

Its 200 comes before the model is asked, so failures arrive as an event, after which the stream ends without `[DONE]`.
Lines and events are those of html.spec.whatwg.org, section 9.2.6.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from xinflight.errors import UpstreamBusy, UpstreamDied, UpstreamGarbage
from xinflight.protocol import ChatEnd, TokenUsage
from xinflight.upstream.kinds.kind import Answer, Piece

__all__ = ["ChatReader"]

EVENT_BYTES = 4 * 2**20
"""Maximum size of one event: tools are called in one event, with arguments of any length."""
TEXT_LENGTH = 4 * 2**20
"""Maximum length of a text, in code points: some million tokens."""
TOOL_CALLS = 128
"""Maximum number of calls, as in a request."""
_DATA = b"data:"
_DONE = b"[DONE]"


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(Struct):
    """A part of a call. Parts with the same index belong together; whole calls may come without one."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Delta(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(Struct):
    choices: list[_Choice] = []
    usage: TokenUsage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class _Lines:
    """Split bytes that may end anywhere into lines, which end with LF, CRLF or CR."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now; raise UpstreamGarbage for one that is too long."""
        if b"\n" not in data and b"\r" not in data:
            self._rest += data
            lines = []
        else:
            lines = (bytes(self._rest) + data).splitlines(keepends=True)
            # A CR at the end may be the first half of a CRLF.
            self._rest = bytearray() if lines[-1].endswith(b"\n") else bytearray(lines.pop())
        if len(self._rest) > EVENT_BYTES:
            raise UpstreamGarbage(detail=f"a line of more than {EVENT_BYTES} bytes")
        return lines


class ChatReader:
    """Collect the text, the reason, the usage and the tool calls of choice 0; all other choices are ignored.

    `longest_prompt` is the number of tokens from which on the prompt may have been shortened, None if unknown.
    """

    def __init__(self, longest_prompt: int | None) -> None:
        self.over = False
        self._longest_prompt = longest_prompt
        self._lines = _Lines()
        # The `data` lines of the event that is not complete yet, and their size.
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._length = 0
        self._reason: str | None = None
        self._usage: TokenUsage | None = None
        self._calls: dict[int, dict[str, Any]] = {}

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Yield the new text; what comes before an error is yielded before it is raised.

        Raises:
            UpstreamDied: the upstream says that it failed; it never says why.
            UpstreamBusy: its rate limit is reached.
            UpstreamGarbage: this is no chat completion, or too much of one.
        """
        for line in self._lines.feed(data):
            if self.over:
                break
            content = line.rstrip(b"\r\n")
            if content.startswith(_DATA):
                self._data.append(content[len(_DATA) :].removeprefix(b" "))
                self._data_bytes += len(content)
                if self._data_bytes > EVENT_BYTES:
                    raise UpstreamGarbage(detail=f"an event of more than {EVENT_BYTES} bytes")
            elif not content and self._data:
                event = b"\n".join(self._data)
                self._data.clear()
                self._data_bytes = 0
                yield from self._read(event)
            # Whatever else: comments, which keep the connection alive, and fields that chat completions don't use.

    def _read(self, event: bytes) -> Iterator[Piece]:
        """Read one event and yield its text."""
        if event == _DONE:
            self.over = True
            return
        try:
            chunk = _decode(event)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise UpstreamGarbage(detail=str(error)) from None
        if chunk.error is not None:
            raise _failure(chunk.error)
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices:
            if choice.index == 0:
                yield from self._read_choice(choice)

    def _read_choice(self, choice: _Choice) -> Iterator[Piece]:
        # The first one counts: the chunk with the usage that was asked for says `stop` whatever the reason was.
        self._reason = self._reason or choice.finish_reason
        delta = choice.delta
        if delta is None:
            return
        if delta.reasoning_content:
            self._reasoning.append(delta.reasoning_content)
            self._count(delta.reasoning_content)
            yield Piece(delta.reasoning_content, "reasoning")
        if delta.content:
            self._text.append(delta.content)
            self._count(delta.content)
            yield Piece(delta.content)
        for call in delta.tool_calls or ():
            self._merge(call)

    def _count(self, text: str) -> None:
        self._length += len(text)
        if self._length > TEXT_LENGTH:
            raise UpstreamGarbage(detail=f"a text of more than {TEXT_LENGTH} characters")

    def _merge(self, part: _ToolCall) -> None:
        """Add a part of a tool call to the call with its index; one without an index is a call of its own."""
        index = len(self._calls) if part.index is None else part.index
        call = self._calls.setdefault(
            index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        if len(self._calls) > TOOL_CALLS:
            raise UpstreamGarbage(detail=f"more than {TOOL_CALLS} tool calls")
        call["id"] = part.id or call["id"]
        call["type"] = part.type or call["type"]
        if part.function is not None:
            function = call["function"]
            function["name"] = part.function.name or function["name"]
            function["arguments"] += part.function.arguments or ""

    def end(self) -> Answer:
        """Return the answer. Without `[DONE]` it is not complete: an abort and a crash end a stream like that."""
        if not self.over:
            raise UpstreamDied(detail="the stream ended without [DONE]")
        usage, longest = self._usage, self._longest_prompt
        return Answer(
            text="".join(self._text),
            reasoning="".join(self._reasoning) or None,
            end=ChatEnd(
                finish_reason=self._reason,
                usage=usage,
                tool_calls=[self._calls[index] for index in sorted(self._calls)],
                truncated=usage is not None and longest is not None and usage.prompt_tokens >= longest,
            ),
        )


def _failure(error: Any) -> UpstreamBusy | UpstreamDied:
    """Return the exception for an event with an error, whose text goes to the log only."""
    text = str(error)[:500]
    return UpstreamBusy(detail=text) if "rate limit" in text.lower() else UpstreamDied(detail=text)
