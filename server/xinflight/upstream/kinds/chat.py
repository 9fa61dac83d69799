"""Chat completions (measured on Xinference 4.1.0, engine for transformers).

An abort of a chat that runs ends it within a step, unless many others run; one that waits in Xinference's own queue
ends only when it would have begun. A closed connection stops it, too. An abort that does not find a chat shows that
it has ended. The same seed does not give the same text, so a text that broke off can't be continued by another try.
"""

from xinflight.protocol import ChatMessage, Params
from xinflight.upstream.kinds.chat_reader import ChatReader
from xinflight.upstream.kinds.kind import GenerationRequest, Kind, Route, Timeouts
from xinflight.upstream.progress import DurationKey

__all__ = ["CHAT", "most_tokens"]

STREAM_BYTES = 512 * 2**20
"""Maximum size of a streamed response: every token comes in an event of some 250 bytes."""
RESERVED_TOKENS = 8
"""Tokens of its context that Xinference's engine for transformers never uses."""
_SAMPLING = ("max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")


def most_tokens(context_length: int | None) -> int | None:
    """Return how many tokens of an answer fit in a context, or None if that is unknown. One more is an error."""
    return None if context_length is None else max(context_length - RESERVED_TOKENS, 1)


def _body(request: GenerationRequest) -> dict[str, object]:
    """Return the body for `/v1/chat/completions` (api/restful_api.py, OpenAI's). What is not said is the engine's."""
    content = request.inputs.content
    assert content is not None  # every chat has its messages
    body: dict[str, object] = {
        "model": request.model,
        "messages": [_message(message) for message in content.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "request_id": request.request_id,
    }
    body.update({name: value for name in _SAMPLING if (value := getattr(request.params, name)) is not None})
    if request.params.stop:
        body["stop"] = request.params.stop
    if content.tools:
        body["tools"] = content.tools
        if content.tool_choice is not None:
            body["tool_choice"] = content.tool_choice
    return body


def _message(message: ChatMessage) -> dict[str, object]:
    """Return a message with known keys only. `developer` is OpenAI's newer word for `system`."""
    body: dict[str, object] = {
        "role": "system" if message.role == "developer" else message.role,
        # Also where it is null: chat templates read it.
        "content": message.content,
    }
    if message.name is not None:
        body["name"] = message.name
    if message.tool_calls:
        body["tool_calls"] = message.tool_calls
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def _reader(request: GenerationRequest) -> ChatReader:
    """Return a reader that suspects a shortened prompt where answer and prompt together fill the context."""
    room = most_tokens(request.context_length)
    return ChatReader(None if room is None else max(room - (request.params.max_tokens or 1), 1))


def _duration_key(model_uid: str, params: Params) -> DurationKey:
    return DurationKey(model_uid, "chat", None, params.max_tokens)


CHAT = Kind(
    name="chat",
    ability=lambda image: "chat",
    abilities=frozenset({"chat"}),
    cancel_route=None,
    plain_route=Route(
        path=lambda request: "/v1/chat/completions",
        true_cancel=True,
        body=_body,
        reader=_reader,
    ),
    max_bytes=lambda request: STREAM_BYTES,
    shows_end="abort",
    polled=False,
    streams=True,
    unknown_has_ended=True,
    max_deaths=2,
    duration_key=_duration_key,
    # With all sequences of a model busy, an abort took 25 s.
    timeouts=Timeouts(confirm=30.0, silence=600.0, after_steps=0.0),
)
