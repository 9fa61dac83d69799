"""Descriptions of enum members. Those of fields stand at the fields, in `protocol`."""

from enum import Enum
from typing import Any

from xinflight.protocol import CancelOutcome, CloseCode, State, Step, UpstreamState

__all__ = ["MEMBERS"]

MEMBERS: dict[type[Enum], dict[Any, str]] = {
    State: {
        State.QUEUED: "waiting in the queue",
        State.STARTING: "sent to the model, which has not reported progress yet",
        State.RUNNING: "being generated",
        State.CANCELLING: "the upstream was asked to stop and has not confirmed yet",
        State.COMPLETED: "end: at least one image is finished",
        State.FAILED: "end: generation failed",
        State.CANCELLED: "end: cancelled",
        State.EXPIRED: "end: its timeout has passed",
    },
    Step: {
        Step.QUEUED: "waiting in the queue",
        Step.WAITING_FOR_MODEL: "waiting for the upstream, for its model, or before another attempt",
        Step.PAUSED: "held until its task is unpaused",
        Step.STARTING: "sent to the model",
        Step.GENERATING: "inference steps are running",
        Step.DECODING: "the steps are finished and the model decodes the image",
        Step.SAVING: "the image has arrived and is being stored",
    },
    UpstreamState: {
        UpstreamState.READY: "a model of a known kind is available",
        UpstreamState.LOADING: "not queried yet, or temporarily not accepting requests",
        UpstreamState.NO_MODEL: "it responds, but runs no model of a known kind",
        UpstreamState.UNREACHABLE: "it does not respond",
        UpstreamState.UNAUTHORISED: "it rejects the server's API key",
    },
    CancelOutcome: {
        CancelOutcome.NEVER_STARTED: "it was still in the queue and never sent to a model",
        CancelOutcome.STOPPED: "the model has stopped and is free",
        CancelOutcome.RUNNING_ON: "this model can't be stopped: it runs to its last step and the image is discarded",
        CancelOutcome.UNCONFIRMED: "the upstream was asked to stop, but did not confirm it",
    },
    CloseCode: {
        CloseCode.GOING_AWAY: "not sent by this version",
        CloseCode.ABNORMAL: "never sent: dropped as a dead peer or slow reader, or a network failure",
        CloseCode.RESTART: "the server is stopping or restarting",
        CloseCode.FULL: "too many connections, or the store can't be read now",
        CloseCode.SLOW_READER: "reserved for a slow reader; this version drops it without a close frame",
        CloseCode.BAD_REQUEST: "reserved for a request that can't be served",
        CloseCode.UNAUTHORISED: "the credentials are missing, invalid or revoked",
        CloseCode.EXPIRED: "the credentials have expired; reconnect with new ones",
        CloseCode.FORBIDDEN: "reserved for an owner without access",
        CloseCode.BAD_SUBPROTOCOL: "the client offered only unsupported sub-protocols",
        CloseCode.FLOOD: "a flood: the client kept sending messages far beyond `limits.requests_per_minute`",
    },
}
"""One dict per enum, because members of two StrEnums with the same text are equal keys."""
