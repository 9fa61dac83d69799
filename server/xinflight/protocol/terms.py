"""Constants of the protocol: versions, close codes, states, steps."""

from enum import IntEnum, StrEnum
from typing import Literal

__all__ = [
    "DEFAULT_PROMPT",
    "PROTOCOL_VERSION",
    "SUBPROTOCOL_JSON",
    "SUBPROTOCOL_MSGPACK",
    "CancelOutcome",
    "CloseCode",
    "GenerateKind",
    "Kind",
    "State",
    "Step",
    "UpstreamState",
]

PROTOCOL_VERSION = 1
SUBPROTOCOL_JSON = "xinflight.v1.json"
SUBPROTOCOL_MSGPACK = "xinflight.v1.msgpack"
DEFAULT_PROMPT = "LiuJuan"
"""The prompt of a `generate` that has no field but its action (the tutorial's first message)."""


GenerateKind = Literal["text2image", "image2image", "inpainting", "edit", "video"]
"""What a `generate` can ask for."""
Kind = Literal[GenerateKind, "chat"]
"""What a task can be."""


class CloseCode(IntEnum):
    """WebSocket close codes, in two groups: whether a client should reconnect or not."""

    # Reconnect, after a pause with full jitter.
    GOING_AWAY = 1001
    ABNORMAL = 1006
    RESTART = 1012
    FULL = 1013
    SLOW_READER = 4008
    # Don't reconnect: the same request would fail again. After EXPIRED it succeeds with new credentials.
    BAD_REQUEST = 4400
    UNAUTHORISED = 4401
    EXPIRED = 4402
    FORBIDDEN = 4403
    BAD_SUBPROTOCOL = 4406
    FLOOD = 4429

    @property
    def should_reconnect(self) -> bool:
        """Return whether a client should reconnect."""
        return self < CloseCode.BAD_REQUEST or self is CloseCode.EXPIRED


class State(StrEnum):
    """State of a task or of one of its images."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Step(StrEnum):
    """Current step of an image, in the order they normally occur."""

    QUEUED = "queued"
    WAITING_FOR_MODEL = "waiting_for_model"
    PAUSED = "paused"
    STARTING = "starting"
    GENERATING = "generating"
    DECODING = "decoding"
    SAVING = "saving"


class UpstreamState(StrEnum):
    """State of Xinference."""

    READY = "ready"
    LOADING = "loading"
    NO_MODEL = "no_model"
    UNREACHABLE = "unreachable"
    UNAUTHORISED = "unauthorised"


class CancelOutcome(StrEnum):
    """What a cancel achieved in Xinference, best outcome first."""

    NEVER_STARTED = "never_started"
    STOPPED = "stopped"
    RUNNING_ON = "running_on"
    UNCONFIRMED = "unconfirmed"
