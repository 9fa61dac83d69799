"""Speaking Xinference: its models, one request until it is known to have ended, its progress, the kinds of tasks."""

from xinflight.upstream.attempt import NOT_FOUND, Attempt
from xinflight.upstream.http import NotSent, ResponseLost
from xinflight.upstream.kinds import (
    CHAT,
    KINDS,
    SPECIAL_FIELDS,
    TEXT2IMAGE,
    VIDEO,
    Answer,
    GenerationRequest,
    Inputs,
    Kind,
    Made,
    Piece,
    Timeouts,
    most_tokens,
)
from xinflight.upstream.messages import Aborted, ProgressAnswer, RouteMissing, failure, parse
from xinflight.upstream.model import Model
from xinflight.upstream.models import Xinference
from xinflight.upstream.poll_budget import PollBudget
from xinflight.upstream.progress import DurationHistory, DurationKey, ProgressEstimator
from xinflight.upstream.video_shape import default_shape, fit_frames, fit_size, size_like

__all__ = [
    "CHAT",
    "KINDS",
    "NOT_FOUND",
    "SPECIAL_FIELDS",
    "TEXT2IMAGE",
    "VIDEO",
    "Aborted",
    "Answer",
    "Attempt",
    "DurationHistory",
    "DurationKey",
    "GenerationRequest",
    "Inputs",
    "Kind",
    "Made",
    "Model",
    "NotSent",
    "Piece",
    "PollBudget",
    "ProgressAnswer",
    "ProgressEstimator",
    "ResponseLost",
    "RouteMissing",
    "Timeouts",
    "Xinference",
    "default_shape",
    "failure",
    "fit_frames",
    "fit_size",
    "most_tokens",
    "parse",
    "size_like",
]
