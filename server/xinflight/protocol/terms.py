"""The words of the protocol: versions, close codes, states, steps."""

from enum import IntEnum, StrEnum

__all__ = [
    "DEFAULT_PROMPT",
    "PROTOCOL_VERSION",
    "SUBPROTOCOL_JSON",
    "SUBPROTOCOL_MSGPACK",
    "CancelOutcome",
    "CloseCode",
    "State",
    "Step",
    "UpstreamState",
]

PROTOCOL_VERSION = 1
SUBPROTOCOL_JSON = "xinflight.v1.json"
SUBPROTOCOL_MSGPACK = "xinflight.v1.msgpack"
DEFAULT_PROMPT = "LiuJuan"
"""The prompt of a `generate` that has no field but its action (the tutorial's first message)."""


class CloseCode(IntEnum):
    """Why a socket is closed; the two groups say what a client should do."""

    # Come back, after a pause drawn with full jitter.
    GOING_AWAY = 1001
    ABNORMAL = 1006
    RESTART = 1012
    FULL = 1013
    SLOW_READER = 4008
    # Give up: the same again would end the same.
    BAD_REQUEST = 4400
    UNAUTHORISED = 4401
    FORBIDDEN = 4403
    BAD_SUBPROTOCOL = 4406

    @property
    def come_back(self) -> bool:
        """Tell whether a client should connect again."""
        return self < CloseCode.BAD_REQUEST


class State(StrEnum):
    """Where a task, or one picture of it, is in its life."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Step(StrEnum):
    """What is being done for a picture, in the order of a life without trouble."""

    QUEUED = "queued"
    WAITING_FOR_MODEL = "waiting_for_model"
    STARTING = "starting"
    GENERATING = "generating"
    DECODING = "decoding"
    SAVING = "saving"


class UpstreamState(StrEnum):
    """What is known of Xinference."""

    READY = "ready"
    LOADING = "loading"
    NO_MODEL = "no_model"
    UNREACHABLE = "unreachable"
    UNAUTHORISED = "unauthorised"


class CancelOutcome(StrEnum):
    """What a cancel achieved at Xinference, the best first."""

    NEVER_STARTED = "never_started"
    STOPPED = "stopped"
    RUNNING_ON = "running_on"
    UNCONFIRMED = "unconfirmed"
