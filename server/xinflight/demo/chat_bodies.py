"""The request body of `POST /v1/chat/completions` of the emulated Xinference, and the errors for invalid ones.

Source: Xinference 4.1.0, `_compat.py` and `api/restful_api.py`.
"""

from typing import Annotated, Any

import msgspec

from xinflight.demo.bodies import decode_or_500

__all__ = ["ChatBody", "decode_chat"]

_Count = Annotated[int, msgspec.Meta(ge=1)]


class ChatBody(msgspec.Struct, kw_only=True):
    """The body of `POST /v1/chat/completions`, as far as the demo uses it. `n` and `seed` have no effect upstream."""

    model: str
    messages: list[dict[str, Any]]
    max_tokens: _Count | None = None
    max_completion_tokens: _Count | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    logit_bias: dict[str, float] | None = None
    request_id: str | int | None = None

    @property
    def limit(self) -> int | None:
        """Return the maximum number of tokens to generate, if the request says one."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        """Return the texts that end the generation."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


def decode_chat(raw: bytes) -> ChatBody:
    """Decode a chat body; raise the plain HttpError 500 of an uncaught exception if it is invalid."""
    return decode_or_500(raw, ChatBody, "CreateChatCompletion")
