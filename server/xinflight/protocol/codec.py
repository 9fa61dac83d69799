"""Encode and decode messages: JSON or MessagePack frames to typed structs and back. Does no I/O.

`docs/protocol.md` is the normative text.
"""

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from xinflight.errors import BadTaskId, NotJson, OutOfBounds, UnknownAction, WrongShape, XinflightError
from xinflight.protocol.chat import Chat
from xinflight.protocol.library import Mark, Prefer, Restore
from xinflight.protocol.messages import ServerMessage
from xinflight.protocol.presets import ChangePresets
from xinflight.protocol.requests import (
    Authenticate,
    Cancel,
    ClientMessage,
    Delete,
    Follow,
    ListTasks,
    Move,
    Pause,
    Ping,
    Resume,
    Unfollow,
    Unpause,
)
from xinflight.protocol.task_requests import Generate
from xinflight.protocol.terms import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK

__all__ = [
    "CODECS",
    "JSON",
    "MSGPACK",
    "Codec",
    "Request",
    "from_json",
    "from_texts",
    "parse_cursor",
    "parse_size",
]

Request = (
    Generate
    | Chat
    | Cancel
    | Move
    | Pause
    | Unpause
    | Resume
    | Follow
    | Unfollow
    | ListTasks
    | Delete
    | Mark
    | Restore
    | Prefer
    | ChangePresets
    | Ping
    | Authenticate
)
"""Any request that a client may send."""

ACTIONS = (
    "generate, chat, cancel, move, pause, unpause, resume, follow, unfollow, list, delete, mark, restore, "
    "prefer, preset, ping, authenticate"
)

_FORMS = {
    "size": "WIDTHxHEIGHT",
    "after": "epoch:seq",
    "cursor": "the `next` of a page",
    "on_disconnect": "continue, cancel",
    "response_format": "url, b64_json",
    "response_format.type": "text",
    "modalities": "text",
    "scope": "all",
    "kind": "text2image, image2image, inpainting, edit, video",
    "image": "the id of an upload or an output",
    "images": "at most 8 ids of uploads or outputs",
    "mask": "the id of an upload or an output",
    "messages.url": "data:image/...;base64,",
    "messages.role": "system, developer, user, assistant, tool",
    "messages.type": "text, image_url, image",
    "messages.image": "the id of an upload or an output",
    "group": "1 to 64 of A-Z a-z 0-9 . _ : ~ -",
    "to": "first, last",
    "state": "unfinished, completed, failed, cancelled, expired, unsuccessful",
}
# Text before the path may come from the client. The path never does, so only the path is parsed.
_FIELD = re.compile(r" - at `\$\.([a-z_]+)(?:[^`]*\.([a-z_]+))?[^`]*`$")
_MISSING = re.compile(r"^Object missing required field `([a-z_]+)`")


class _Ref(Struct):
    ref: str | None = None


class _Action(Struct):
    action: str | None = None


class _Decoder(Protocol):
    def decode(self, data: bytes, /) -> Any: ...


class Codec:
    """Encoder and decoder of one format: JSON in text frames, or MessagePack in binary frames."""

    def __init__(self, library: ModuleType, *, binary: bool) -> None:
        self.binary = binary
        self._library = library
        self._request: _Decoder = library.Decoder(Request)
        self._generate: _Decoder = library.Decoder(Generate)
        self._chat: _Decoder = library.Decoder(Chat)
        self._keys: _Decoder = library.Decoder(dict[str, msgspec.Raw])
        self._ref: _Decoder = library.Decoder(_Ref)
        self._action: _Decoder = library.Decoder(_Action)
        self._encoder = library.Encoder()

    def decode(self, data: bytes) -> Request:
        """Decode one frame into a request.

        Raises:
            NotJson: the frame is not in this format, or not UTF-8.
            UnknownAction: `action` is missing or unknown.
            WrongShape: the frame is not an object, or a field has the wrong type.
            OutOfBounds: a field exceeds the bounds of the protocol.
            BadTaskId: a task id has the wrong form.
        """
        message: Request = self._checked(self._request, data)
        return message

    def decode_generate(self, data: bytes) -> Generate:
        """Decode a `generate` without its `action`, such as an HTTP body. Raises the same errors as `decode`."""
        message: Generate = self._checked(self._generate, data)
        return message

    def decode_chat(self, data: bytes) -> Chat:
        """Decode a `chat` without its `action`, such as an HTTP body. Raises the same errors as `decode`."""
        message: Chat = self._checked(self._chat, data)
        return message

    def _checked(self, decoder: _Decoder, data: bytes) -> Any:
        try:
            return decoder.decode(data)
        except msgspec.ValidationError as error:
            raise _explain(str(error)) from None
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise NotJson from None

    def encode(self, message: ServerMessage | Struct) -> bytes:
        """Encode a message."""
        encoded: bytes = self._encoder.encode(message)
        return encoded

    def fields(self, data: bytes) -> list[str]:
        """Return the field names of a decoded frame in their order, without `action`.

        Raises:
            NotJson: an unknown field is not UTF-8, which the decoder of the struct doesn't notice.
        """
        try:
            return [key for key in self._keys.decode(data) if key != "action"]
        except (msgspec.DecodeError, UnicodeError):
            raise NotJson from None

    def unknown_fields(self, data: bytes, message: ClientMessage) -> list[str]:
        """Return the unknown fields of a decoded frame, at most 16. Raises the same errors as `fields`."""
        known = message.__struct_encode_fields__
        return [key[:64] for key in self.fields(data) if key not in known][:16]

    def salvage_ref(self, data: bytes) -> str | None:
        """Return the `ref` of a message, even if the rest of the message is invalid."""
        try:
            ref: str | None = self._ref.decode(data).ref
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        return ref if ref is None or len(ref) <= 64 else None

    def salvage_action(self, data: bytes) -> str | None:
        """Return the `action` of a message, even if the rest of the message is invalid."""
        try:
            action: str | None = self._action.decode(data).action
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        return action


Kind = TypeVar("Kind")


def from_json(data: bytes, kind: type[Kind]) -> Kind:
    """Decode an HTTP body into a struct. Raises the same errors as `Codec.decode`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotJson from None


def from_texts(fields: Mapping[str, object], kind: type[Kind]) -> Kind:
    """Convert path, query or header values into a struct. Raises the same errors as `Codec.decode`."""
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None


JSON = Codec(msgspec.json, binary=False)
MSGPACK = Codec(msgspec.msgpack, binary=True)
CODECS = {SUBPROTOCOL_JSON: JSON, SUBPROTOCOL_MSGPACK: MSGPACK}
"""Codecs by sub-protocol, in order of preference."""


def _explain(text: str) -> XinflightError:
    """Convert the text of a msgspec error into a typed error with the field and its limit."""
    found = _FIELD.search(text) or _MISSING.search(text)
    field = found.group(1) if found else None
    inner = found.group(2) if found and found.re is _FIELD else None
    form = _FORMS.get(f"{field}.{inner}" if inner else field or "")
    if field == "action":
        return UnknownAction(field="action", limit=ACTIONS)
    if field in ("task_id", "before", "except", "tasks") and "regex" in text:
        return BadTaskId(field=field, limit="1 to 64 of A-Z a-z 0-9 . _ : ~ -")
    what = text.split(" - at ")[0]
    bound = re.match(r"Expected `[^`]+` ((?:of length )?(?:<=|>=|<|>) .+|matching regex .+)$", what)
    if bound:
        return OutOfBounds(field=field, limit=form or bound.group(1).removeprefix("of length "))
    if "out of range" in text:
        return OutOfBounds(field=field, limit="numbers of at most 64 bits")
    # The text of both has the client's value.
    choice = what.startswith(("Invalid enum value", "Invalid value"))
    return WrongShape(field=field, limit=form if choice else what)


def parse_size(size: str) -> tuple[int, int]:
    """Return width and height in pixels of a valid `WIDTHxHEIGHT`."""
    width, height = size.split("x")
    return int(width), int(height)


def parse_cursor(cursor: str) -> tuple[str, int]:
    """Return epoch and seq of a valid cursor."""
    epoch, _, seq = cursor.rpartition(":")
    return epoch, int(seq)
