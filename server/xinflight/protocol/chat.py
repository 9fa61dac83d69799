"""The request for a chat completion: OpenAI's messages, with the life of any other task."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from xinflight.protocol.fields import MaxTokens, Penalty, Temperature, TopP
from xinflight.protocol.task_requests import ImageId, TaskRequest

__all__ = [
    "Chat",
    "ChatContent",
    "ChatMessage",
    "ChatOptions",
    "ChatPart",
    "ImagePart",
    "ImageUrl",
    "ImageUrlPart",
    "StopText",
    "TextPart",
]

# Xinference would fetch any other URL by itself.
DATA_URL = r"^data:image/[a-z0-9.+-]{1,32};base64,[A-Za-z0-9+/]+={0,2}\Z"


class TextPart(Struct, tag_field="type", tag="text", kw_only=True):
    """Text of a message."""

    text: Annotated[str, Meta(description="The text.")]


class ImageUrl(Struct, kw_only=True):
    """An image in the form of OpenAI's API."""

    url: Annotated[str, Meta(pattern=DATA_URL, description="The image itself: `data:image/...;base64,...`.")]
    detail: Annotated[str | None, Meta(description="Passed on.")] = None


class ImageUrlPart(Struct, tag_field="type", tag="image_url", kw_only=True):
    """An image of a message, inline."""

    image_url: Annotated[ImageUrl, Meta(description="The image.")]


class ImagePart(Struct, tag_field="type", tag="image", kw_only=True):
    """An image of a message, by its id."""

    image: Annotated[ImageId, Meta(description="Id of an upload, or of an output of the caller.")]


ChatPart = TextPart | ImageUrlPart | ImagePart


class ChatMessage(Struct, omit_defaults=True, kw_only=True):
    """One message of a conversation. `tool_calls` and `tool_call_id` are as in OpenAI's API, and passed on."""

    role: Annotated[Literal["system", "developer", "user", "assistant", "tool"], Meta(description="Who speaks.")]
    content: Annotated[str | list[ChatPart] | None, Meta(description="Text, or parts of text and images.")] = None
    name: Annotated[Annotated[str, Meta(max_length=200)] | None, Meta(description="Name of the speaker.")] = None
    tool_calls: Annotated[
        Annotated[list[Any], Meta(max_length=128)] | None, Meta(description="Calls that the model made.")
    ] = None
    tool_call_id: Annotated[
        Annotated[str, Meta(max_length=200)] | None, Meta(description="The call that a `tool` message answers.")
    ] = None


Messages = Annotated[
    list[ChatMessage], Meta(description="The conversation, at most `limits.chat_messages`. No event has it.")
]
Tools = Annotated[list[Any], Meta(max_length=128, description="Tools that the model may call, as in OpenAI's API.")]


ToolChoice = Annotated[Any, Meta(description="As in OpenAI's API, and passed on.")]
StopText = Annotated[str, Meta(min_length=1, max_length=200)]
Stops = Annotated[list[StopText], Meta(max_length=8, description="Texts at which the model stops.")]


class ChatContent(Struct, omit_defaults=True, kw_only=True):
    """What a chat was started with, as far as its parameters don't have it."""

    messages: Messages
    tools: Tools = msgspec.field(default_factory=list)
    tool_choice: ToolChoice = None


class ChatOptions(TaskRequest, kw_only=True):
    """What a chat has, whether in the form of this protocol or of OpenAI's."""

    messages: Messages = msgspec.field(default_factory=list)
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    top_p: TopP = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None
    seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**53 - 1)] | None,
        Meta(description="Passed on. Not every engine of Xinference reproduces a text by it."),
    ] = None
    tools: Tools = msgspec.field(default_factory=list)
    tool_choice: ToolChoice = None


class Chat(ChatOptions, tag="chat", kw_only=True):
    """Start a chat completion. Its text arrives as `delta` events; its `output` has all of it."""

    stop: Stops = msgspec.field(default_factory=list)
