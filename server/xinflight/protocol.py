"""The wire, version 1: frames to typed structs and back. Nothing here does I/O.

`docs/protocol.md` is the normative text. Everything of the protocol is imported from here.
"""

import re

import msgspec

from xinflight.errors import BadTaskId, NotJson, OutOfBounds, UnknownAction, WrongShape, XinflightError
from xinflight.protocol_client import (
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
from xinflight.protocol_server import (
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
    Upstream,
    Welcome,
)
from xinflight.protocol_terms import (
    DEFAULT_PROMPT,
    PROTOCOL_VERSION,
    SUBPROTOCOL_JSON,
    CloseCode,
    State,
    Step,
    UpstreamEnd,
    UpstreamState,
)

__all__ = [
    "DEFAULT_PROMPT",
    "PROTOCOL_VERSION",
    "SUBPROTOCOL_JSON",
    "Accepted",
    "Ack",
    "Answer",
    "Cancel",
    "Cancelled",
    "CancelledTask",
    "ClientMessage",
    "CloseCode",
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
    "Tasks",
    "Unfollow",
    "Upstream",
    "UpstreamEnd",
    "UpstreamState",
    "Welcome",
    "decode",
    "encode",
    "encoded_length",
    "has_fields",
    "parse_cursor",
    "parse_size",
    "unknown_fields",
]

Request = Generate | Cancel | Resume | Follow | Unfollow | ListTasks | Delete | Ping
"""Everything that a client may send."""

_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()

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


ACTIONS = "generate, cancel, resume, follow, unfollow, list, delete, ping"


def decode(data: str | bytes) -> Request:
    """Decode one frame.

    Raises:
        NotJson: it is no JSON, or not UTF-8.
        UnknownAction: `action` is missing or unknown.
        WrongShape: it is no object, or a field has the wrong type.
        OutOfBounds: a field is beyond the protocol's bounds.
        BadTaskId: a task id has the wrong form.
    """
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NotJson from None


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


def encode(message: ServerMessage) -> bytes:
    """Encode a message as UTF-8 JSON."""
    return _encoder.encode(message)


def encoded_length(value: object) -> int:
    """Return the bytes that a JSON value takes on the wire."""
    return len(_encoder.encode(value))


def unknown_fields(data: str | bytes, message: ClientMessage) -> list[str]:
    """Name the fields of a decoded frame that its struct does not have, in the frame's order, at most 16."""
    known = {*message.__struct_encode_fields__, "action"}
    return [key[:64] for key in _keys.decode(data) if key not in known][:16]


def has_fields(data: str | bytes) -> bool:
    """Tell whether a frame has any field besides its action."""
    return len(_keys.decode(data)) > 1


def parse_size(size: str) -> tuple[int, int]:
    """Return width and height in pixels of a `WIDTHxHEIGHT` that has the protocol's form."""
    width, height = size.split("x")
    return int(width), int(height)


def parse_cursor(cursor: str) -> tuple[str, int]:
    """Return epoch and seq of a cursor that has the protocol's form."""
    epoch, _, seq = cursor.rpartition(":")
    return epoch, int(seq)
