"""What clients get wrong about chats, as data; otherwise as `bad_input_table`."""

from typing import Any

from bad_input_table import TASK_ID_FORM, Case

ROLES = "system, developer, user, assistant, tool"
PARTS = "text, image_url, image"
INLINE = "data:image/...;base64,"
IMAGE_ID = "the id of an upload or an output"
HELLO = {"role": "user", "content": "Hello"}


def chatted(code: str, field: str, limit: str | None = None, /, **fields: Any) -> Case:
    """Return a `chat` that is right but for what is given."""
    return Case({"messages": [HELLO], **fields}, code, field, limit)


def said(code: str, limit: str | None, /, **message: Any) -> Case:
    """Return a `chat` with a message that is right but for what is given."""
    return Case({"messages": [HELLO, {**HELLO, **message}]}, code, "messages", limit)


def shown(code: str, limit: str | None, /, **part: Any) -> Case:
    """Return a `chat` with a part of a message."""
    return said(code, limit, content=[{"type": "text", "text": "What is it?"}, part])


def linked(url: str) -> Case:
    return shown("out_of_bounds", INLINE, type="image_url", image_url={"url": url})


CHATS = [
    Case({}, "out_of_bounds", "messages", "1 to 1000 messages"),
    Case({"messages": []}, "out_of_bounds", "messages", "1 to 1000 messages"),
    Case({"messages": [HELLO] * 10_000}, "out_of_bounds", "messages", "1 to 1000 messages"),
    Case({"messages": "Hello"}, "wrong_shape", "messages"),
    Case({"messages": ["Hello"]}, "wrong_shape", "messages"),
    Case({"messages": [{"content": "Hello"}]}, "wrong_shape", "messages"),
    said("wrong_shape", ROLES, role="boss"),
    said("wrong_shape", None, role=None),
    said("wrong_shape", None, content=7),
    said("wrong_shape", None, content=["Hello"]),
    said("wrong_shape", None, name=7),
    said("out_of_bounds", None, name="x" * 201),
    said("out_of_bounds", None, tool_call_id="x" * 201),
    said("wrong_shape", None, tool_calls={}),
    said("out_of_bounds", None, tool_calls=[{}] * 129),
    shown("wrong_shape", PARTS, type="input_audio", input_audio={"data": "", "format": "wav"}),
    shown("wrong_shape", PARTS, type="video_url", video_url={"url": "https://example.org"}),
    shown("wrong_shape", None, type="text"),
    shown("wrong_shape", None, text="no type"),
    shown("wrong_shape", None, type="image_url", image_url="https://example.org/boat.png"),
    linked("https://example.org/boat.png"),
    linked("http://169.254.169.254/latest"),
    linked("file:///etc/passwd"),
    linked("data:text/html;base64,AAAA"),
    linked("data:image/png;base64,"),
    linked("data:image/png;base64,AAAA\n"),
    linked("data:image/png,AAAA"),
    shown("out_of_bounds", IMAGE_ID, type="image", image="https://example.org/boat.png"),
    shown("out_of_bounds", IMAGE_ID, type="image", image="../../etc/passwd"),
    chatted("wrong_shape", "max_tokens", max_tokens="many"),
    chatted("out_of_bounds", "max_tokens", ">= 1", max_tokens=0),
    chatted("out_of_bounds", "max_tokens", ">= 1", max_tokens=-1),
    chatted("out_of_bounds", "temperature", "<= 2.0", temperature=9),
    chatted("out_of_bounds", "temperature", ">= 0.0", temperature=-1),
    chatted("out_of_bounds", "top_p", "> 0.0", top_p=0),
    chatted("out_of_bounds", "presence_penalty", "<= 2.0", presence_penalty=3),
    chatted("out_of_bounds", "frequency_penalty", ">= -2.0", frequency_penalty=-3),
    chatted("out_of_bounds", "seed", ">= 0", seed=-1),
    chatted("out_of_bounds", "stop", "<= 8", stop=["."] * 9),
    chatted("out_of_bounds", "stop", stop=["x" * 201]),
    chatted("out_of_bounds", "stop", stop=[""]),
    chatted("wrong_shape", "stop", stop=[7]),
    chatted("out_of_bounds", "tools", "<= 128", tools=[{}] * 129),
    chatted("wrong_shape", "tools", tools="all"),
    chatted("bad_task_id", "task_id", TASK_ID_FORM, task_id="a b"),
    chatted("out_of_bounds", "timeout", "<= 86400", timeout=86401),
    chatted("out_of_bounds", "metadata", "1024 bytes", metadata="x" * 1023),
]
"""The same over every transport, in OpenAI's form too."""
