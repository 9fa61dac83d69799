"""The wire, version 1: frames to typed structs and back. Nothing here does I/O.

`docs/protocol.md` is the normative text. Everything of the protocol is imported from here.
"""

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from xinflight.errors import BadTaskId, NotJson, OutOfBounds, UnknownAction, WrongShape, XinflightError
from xinflight.protocol.messages import (
    Accepted,
    Ack,
    Answer,
    Cancelled,
    CancelledTask,
    Details,
    Error,
    Failure,
    Limits,
    ModelInfo,
    Notice,
    Ok,
    Params,
    Picture,
    PictureRef,
    Pong,
    Progress,
    Recovered,
    Result,
    ResultData,
    ServerMessage,
    TaskEvent,
    TaskInfo,
    Tasks,
    TaskSnapshot,
    Upstream,
    Welcome,
)
from xinflight.protocol.requests import (
    Cancel,
    ClientMessage,
    Delete,
    Follow,
    Generate,
    ListTasks,
    Ping,
    Resume,
    Unfollow,
)
from xinflight.protocol.terms import (
    DEFAULT_PROMPT,
    PROTOCOL_VERSION,
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    CancelOutcome,
    CloseCode,
    State,
    Step,
    UpstreamState,
)

__all__ = [
    "CODECS",
    "DEFAULT_PROMPT",
    "JSON",
    "MSGPACK",
    "PROTOCOL_VERSION",
    "SUBPROTOCOL_JSON",
    "SUBPROTOCOL_MSGPACK",
    "Accepted",
    "Ack",
    "Answer",
    "Cancel",
    "CancelOutcome",
    "Cancelled",
    "CancelledTask",
    "ClientMessage",
    "CloseCode",
    "Codec",
    "Delete",
    "Details",
    "Error",
    "Failure",
    "Follow",
    "Generate",
    "Limits",
    "ListTasks",
    "ModelInfo",
    "Notice",
    "Ok",
    "Params",
    "Picture",
    "PictureRef",
    "Ping",
    "Pong",
    "Progress",
    "Recovered",
    "Request",
    "Result",
    "ResultData",
    "Resume",
    "ServerMessage",
    "State",
    "Step",
    "TaskEvent",
    "TaskInfo",
    "TaskSnapshot",
    "Tasks",
    "Unfollow",
    "Upstream",
    "UpstreamState",
    "Welcome",
    "from_json",
    "from_texts",
    "parse_cursor",
    "parse_size",
]

Request = Generate | Cancel | Resume | Follow | Unfollow | ListTasks | Delete | Ping
"""Everything that a client may send."""

ACTIONS = "generate, cancel, resume, follow, unfollow, list, delete, ping"

_FORMS = {
    "size": "WIDTHxHEIGHT",
    "after": "epoch:seq",
    "cursor": "the `next` of a page",
    "on_disconnect": "continue, cancel",
    "response_format": "url, b64_json",
    "scope": "all",
    "state": "unfinished, completed, failed, cancelled, expired",
}
# What stands before the path may be a client's own text, the path itself never is.
_FIELD = re.compile(r" - at `\$\.([a-z_]+)[^`]*`$")
_MISSING = re.compile(r"^Object missing required field `([a-z_]+)`")


class _Decoder(Protocol):
    def decode(self, data: bytes, /) -> Any: ...


class Codec:
    """One way to write messages: JSON text frames, or MessagePack binary frames."""

    def __init__(self, library: ModuleType, *, binary: bool) -> None:
        self.binary = binary
        self._library = library
        self._request: _Decoder = library.Decoder(Request)
        self._generate: _Decoder = library.Decoder(Generate)
        self._keys: _Decoder = library.Decoder(dict[str, msgspec.Raw])
        self._ref: _Decoder = library.Decoder(_Ref)
        self._encoder = library.Encoder()

    def decode(self, data: bytes) -> Request:
        """Decode one frame.

        Raises:
            NotJson: it is not in this format, or not UTF-8.
            UnknownAction: `action` is missing or unknown.
            WrongShape: it is no object, or a field has the wrong type.
            OutOfBounds: a field is beyond the protocol's bounds.
            BadTaskId: a task id has the wrong form.
        """
        message: Request = self._checked(self._request, data)
        return message

    def decode_generate(self, data: bytes) -> Generate:
        """Decode a `generate` whose action is said elsewhere; errors as `decode`."""
        message: Generate = self._checked(self._generate, data)
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
        """Return the fields of a frame that was decoded, in its order, without its action.

        Raises:
            NotJson: a field that the struct does not have is not UTF-8; a struct's decoder passes over it.
        """
        try:
            return [key for key in self._keys.decode(data) if key != "action"]
        except (msgspec.DecodeError, UnicodeError):
            raise NotJson from None

    def unknown_fields(self, data: bytes, message: ClientMessage) -> list[str]:
        """Name the fields of a decoded frame that its struct does not have, at most 16; errors as `fields`."""
        known = message.__struct_encode_fields__
        return [key[:64] for key in self.fields(data) if key not in known][:16]

    def salvage_ref(self, data: bytes) -> str | None:
        """Return the ref of a message that has one, even if nothing else of it makes sense."""
        try:
            ref: str | None = self._ref.decode(data).ref
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        return ref if ref is None or len(ref) <= 64 else None


Kind = TypeVar("Kind")


def from_json(data: bytes, kind: type[Kind]) -> Kind:
    """Decode what is said over HTTP; errors as `Codec.decode`."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotJson from None


def from_texts(fields: Mapping[str, str], kind: type[Kind]) -> Kind:
    """Convert what is said in a path, a query or a header, all of it text; errors as `Codec.decode`."""
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None


class _Ref(Struct):
    ref: str | None = None


JSON = Codec(msgspec.json, binary=False)
MSGPACK = Codec(msgspec.msgpack, binary=True)
CODECS = {SUBPROTOCOL_JSON: JSON, SUBPROTOCOL_MSGPACK: MSGPACK}
"""The sub-protocols, the one we prefer first."""


def _explain(text: str) -> XinflightError:
    """Turn msgspec's words into a typed error with the field and its limit."""
    found = _FIELD.search(text) or _MISSING.search(text)
    field = found.group(1) if found else None
    if field == "action":
        return UnknownAction(field="action", limit=ACTIONS)
    if field in ("task_id", "except", "tasks") and "regex" in text:
        return BadTaskId(field=field, limit="1 to 64 of A-Z a-z 0-9 . _ : ~ -")
    what = text.split(" - at ")[0]
    bound = re.match(r"Expected `[^`]+` ((?:of length )?(?:<=|>=|<|>) .+|matching regex .+)$", what)
    if bound:
        limit = _FORMS.get(field or "") or bound.group(1).removeprefix("of length ")
        return OutOfBounds(field=field, limit=limit)
    if "out of range" in text:
        return OutOfBounds(field=field)
    choice = what.startswith("Invalid enum value")
    return WrongShape(field=field, limit=_FORMS.get(field or "") if choice else what)


def parse_size(size: str) -> tuple[int, int]:
    """Return width and height in pixels of a `WIDTHxHEIGHT` that has the protocol's form."""
    width, height = size.split("x")
    return int(width), int(height)


def parse_cursor(cursor: str) -> tuple[str, int]:
    """Return epoch and seq of a cursor that has the protocol's form."""
    epoch, _, seq = cursor.rpartition(":")
    return epoch, int(seq)
