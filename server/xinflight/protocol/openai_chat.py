"""OpenAI's API of chat completions: platform.openai.com/docs/api-reference/chat. Does no I/O."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from xinflight.errors import OutOfBounds
from xinflight.protocol.chat import Chat, ChatOptions, StopText
from xinflight.protocol.codec import from_json
from xinflight.protocol.fields import MaxTokens, ModelId, UnixSeconds
from xinflight.protocol.parts import TokenUsage

__all__ = [
    "OpenAiChatAnswer",
    "OpenAiChatChoice",
    "OpenAiChatChunk",
    "OpenAiChatDelta",
    "OpenAiChatMessage",
    "OpenAiChunkChoice",
    "OpenAiNewChat",
    "OpenAiResponseFormat",
    "OpenAiStreamOptions",
    "decode_openai_chat",
]

_REFUSED = (
    *("logit_bias", "logprobs", "top_logprobs", "functions", "function_call"),
    *("audio", "web_search_options"),
)
"""Fields that Xinference would refuse or ignore, although they change the answer."""
_ABSENT = (b"null", b"false", b"0", b"[]", b"{}")

Counted = Annotated[TokenUsage | None, Meta(description="Tokens; null if the engine has not told.")]


class OpenAiStreamOptions(Struct):
    """Options of a stream."""

    include_usage: Annotated[
        bool | None, Meta(description="Send the tokens in a chunk of their own before the end of the stream.")
    ] = None


class OpenAiResponseFormat(Struct):
    """The form of the answer."""

    type: Annotated[Literal["text"], Meta(description="No other form can be had.")]


class OpenAiNewChat(ChatOptions, tag=False, tag_field=None, kw_only=True):
    """A request of OpenAI's clients. Fields of `chat` may be added; unknown ones are ignored."""

    stop: Annotated[
        StopText | Annotated[list[StopText], Meta(max_length=8)] | None,
        Meta(description="Text or texts at which the model stops."),
    ] = None
    max_completion_tokens: MaxTokens = None
    n: Annotated[int, Meta(ge=1, le=1, description="Always 1.")] = 1
    stream: Annotated[bool, Meta(description="Respond with server-sent events, one per piece of text.")] = False
    stream_options: Annotated[OpenAiStreamOptions | None, Meta(description="With `stream` only.")] = None
    response_format: Annotated[OpenAiResponseFormat | None, Meta(description="Text.")] = None
    modalities: Annotated[list[Literal["text"]], Meta(description="Text.")] = msgspec.field(default_factory=list)

    @property
    def include_usage(self) -> bool:
        """Tell whether a stream has a chunk with the tokens."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def chat(self) -> Chat:
        """Return the same as a `chat`."""
        chat = Chat(**{name: getattr(self, name) for name in ChatOptions.__struct_fields__})
        if self.max_completion_tokens is not None:
            chat.max_tokens = self.max_completion_tokens
        if self.stop is not None:
            chat.stop = [self.stop] if isinstance(self.stop, str) else self.stop
        return chat


def decode_openai_chat(body: bytes) -> OpenAiNewChat:
    """Decode a request body. A field that is null counts as absent, as it does for OpenAI.

    Raises:
        NotJson, WrongShape, OutOfBounds, BadTaskId: as `Codec.decode`; what can't be had here is out of bounds.
    """
    given = {name: value for name, value in from_json(body, dict[str, Raw]).items() if bytes(value) != b"null"}
    for name in _REFUSED:
        if bytes(given.pop(name, b"null")) not in _ABSENT:
            raise OutOfBounds(field=name, limit="not supported")
    return from_json(msgspec.json.encode(given), OpenAiNewChat)


class OpenAiChatMessage(Struct, omit_defaults=True, kw_only=True):
    """The answer of the model."""

    role: Annotated[str, Meta(description="Always `assistant`.")] = msgspec.field(default_factory=lambda: "assistant")
    content: Annotated[str | None, Meta(description="The text; null if there are calls in its place.")]
    reasoning_content: Annotated[str | None, Meta(description="What the model thought before, if it tells.")] = None
    tool_calls: Annotated[list[Any], Meta(description="Calls that the model makes.")] = msgspec.field(
        default_factory=list
    )


FinishReason = Annotated[str | None, Meta(description="`stop`, `length`, `tool_calls`; null until the end.")]
ChoiceIndex = Annotated[int, Meta(description="Always 0.")]
ChatId = Annotated[str, Meta(description="The id of the task.")]
Truncated = Annotated[
    bool, Meta(description="True if the messages were probably too long, so that Xinference cut their beginning.")
]


class OpenAiChatChoice(Struct, kw_only=True):
    """The only answer."""

    index: ChoiceIndex = 0
    message: Annotated[OpenAiChatMessage, Meta(description="The answer of the model.")]
    logprobs: Annotated[None, Meta(description="Always null.")] = None
    finish_reason: FinishReason


class OpenAiChatAnswer(Struct, omit_defaults=True, kw_only=True):
    """A finished chat completion."""

    id: ChatId
    object: Annotated[str, Meta(description="Always `chat.completion`.")] = msgspec.field(
        default_factory=lambda: "chat.completion"
    )
    created: UnixSeconds
    model: ModelId
    choices: Annotated[list[OpenAiChatChoice], Meta(description="One answer.")]
    usage: Counted
    truncated: Truncated = False


class OpenAiChatDelta(Struct, omit_defaults=True, kw_only=True):
    """New text: it belongs behind that of the chunks before."""

    role: Annotated[str | None, Meta(description="`assistant`, in the first chunk.")] = None
    content: Annotated[str | None, Meta(description="New text.")] = None
    reasoning_content: Annotated[str | None, Meta(description="New text of what the model thinks.")] = None
    tool_calls: Annotated[list[Any], Meta(description="Calls that the model makes, all at once.")] = msgspec.field(
        default_factory=list
    )


class OpenAiChunkChoice(Struct, kw_only=True):
    """What is new of the only answer."""

    index: ChoiceIndex = 0
    delta: Annotated[OpenAiChatDelta, Meta(description="What is new.")]
    logprobs: Annotated[None, Meta(description="Always null.")] = None
    finish_reason: FinishReason


class OpenAiChatChunk(Struct, omit_defaults=True, kw_only=True):
    """One event of a stream. `data: [DONE]` follows the last one; a stream without it has failed."""

    id: ChatId
    object: Annotated[str, Meta(description="Always `chat.completion.chunk`.")] = msgspec.field(
        default_factory=lambda: "chat.completion.chunk"
    )
    created: UnixSeconds
    model: ModelId
    choices: Annotated[list[OpenAiChunkChoice], Meta(description="What is new; none beside the tokens.")]
    usage: Annotated[TokenUsage | None, Meta(description="In the last chunk, if requested and known.")] = None
    truncated: Truncated = False
