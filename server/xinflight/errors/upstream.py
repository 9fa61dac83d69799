"""Failures of Xinference."""

from xinflight.errors.base import XinflightError

__all__ = [
    "UpstreamAuth",
    "UpstreamBusy",
    "UpstreamDied",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamGarbage",
    "UpstreamOutOfMemory",
    "UpstreamUnreachable",
]


class UpstreamError(XinflightError):
    """Xinference did not produce the output. Retryable errors are retried with a fresh request id."""


class UpstreamAuth(UpstreamError):
    """Xinference rejects the server's API key (401, 403) or has banned its address (429)."""

    code = "upstream_auth"
    status = 502


class UpstreamUnreachable(UpstreamError):
    """Xinference can't be reached."""

    code = "upstream_unreachable"
    status = 503
    retryable = True


class UpstreamBusy(UpstreamError):
    """Xinference accepts no more work: 503, or 429 for its rate limit."""

    code = "upstream_busy"
    status = 503
    retryable = True


class UpstreamDied(UpstreamError):
    """The model process died (its 500 says so), or the response was lost on the way."""

    code = "upstream_died"
    status = 502
    retryable = True


class UpstreamFailed(UpstreamError):
    """Xinference reported any other failure."""

    code = "upstream_failed"
    status = 502

    upstream_status: int | None = None
    """HTTP status of Xinference's response, if there was one."""


class UpstreamOutOfMemory(UpstreamError):
    """The model's device has too little memory for what was asked: the same request would fail again."""

    code = "upstream_out_of_memory"
    status = 502


class UpstreamGarbage(UpstreamError):
    """Xinference answered 200 with a body that can't be decoded."""

    code = "upstream_garbage"
    status = 502
