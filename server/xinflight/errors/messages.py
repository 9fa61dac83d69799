"""Requests that are no messages of the protocol, or have values out of bounds."""

from xinflight.errors.base import XinflightError

__all__ = [
    "BadMessage",
    "BadTaskId",
    "BadValue",
    "BinaryFrame",
    "BodyTimeout",
    "FrameTooLarge",
    "LoraTag",
    "NotAcceptable",
    "NotJson",
    "OutOfBounds",
    "PromptMissing",
    "TextFrame",
    "UnknownAction",
    "UnsupportedType",
    "WrongShape",
]


class BadMessage(XinflightError):
    """A frame or request that is not a message of the protocol."""


class NotJson(BadMessage):
    """The frame or body is not valid JSON in UTF-8, or not valid MessagePack."""

    code = "not_json"
    status = 400


class WrongShape(BadMessage):
    """A field is missing or has the wrong type, or fields exclude each other."""

    code = "wrong_shape"
    status = 422


class UnknownAction(BadMessage):
    """The `action` is missing or unknown to this version."""

    code = "unknown_action"
    status = 400


class FrameTooLarge(BadMessage):
    """The frame or body exceeds `limits.frame_bytes`."""

    code = "frame_too_large"
    status = 413


class BinaryFrame(BadMessage):
    """A binary frame on a sub-protocol that uses text frames only."""

    code = "binary_frame"
    status = 400


class TextFrame(BadMessage):
    """A text frame on a sub-protocol that uses binary frames only."""

    code = "text_frame"
    status = 400


class UnsupportedType(BadMessage):
    """The body's Content-Type or Content-Encoding is not supported."""

    code = "unsupported_type"
    status = 415


class BodyTimeout(BadMessage):
    """The request body did not arrive in time."""

    code = "body_timeout"
    status = 408
    retryable = True


class NotAcceptable(BadMessage):
    """None of the media types in Accept can be produced."""

    code = "not_acceptable"
    status = 406


class BadValue(XinflightError):
    """A well-formed message with an unusable value."""


class OutOfBounds(BadValue):
    """A value is out of bounds; `field` and `limit` name it and its bound."""

    code = "out_of_bounds"
    status = 422


class PromptMissing(BadValue):
    """The prompt is missing or empty."""

    code = "prompt_missing"
    status = 422


class BadTaskId(BadValue):
    """The task id is malformed."""

    code = "bad_task_id"
    status = 422


class LoraTag(BadValue):
    """The prompt contains a `<lora:` tag; choose a model launched with the LoRA instead."""

    code = "lora_tag"
    status = 422
