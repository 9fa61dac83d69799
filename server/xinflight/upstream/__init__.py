"""Speaking Xinference: which models are where, one request until it has ended, and its progress."""

from xinflight.upstream.attempt import CONFIRM, Attempt, GenerationRequest
from xinflight.upstream.client import Model, Xinference
from xinflight.upstream.messages import Aborted, NotForTxt2Img, ProgressAnswer, failure, parse
from xinflight.upstream.progress import DurationHistory, DurationKey, ProgressEstimator

__all__ = [
    "CONFIRM",
    "Aborted",
    "Attempt",
    "DurationHistory",
    "DurationKey",
    "GenerationRequest",
    "Model",
    "NotForTxt2Img",
    "ProgressAnswer",
    "ProgressEstimator",
    "Xinference",
    "failure",
    "parse",
]
