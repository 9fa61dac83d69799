"""Ends of a task that are nobody's failure, and our own bugs."""

from xinflight.errors.base import XinflightError

__all__ = [
    "Internal",
    "Interrupted",
    "TaskCancelled",
    "TaskTimeout",
]


class TaskTimeout(XinflightError):
    """The task exceeded its timeout."""

    code = "timeout"
    status = 504


class TaskCancelled(XinflightError):
    """The task was cancelled; reported only where one request stands for one task."""

    code = "cancelled"
    status = 409


class Interrupted(XinflightError):
    """A text broke off after it had begun: it is kept as it is, since another try would write another text."""

    code = "interrupted"
    status = 502
    retryable = True


class Internal(XinflightError):
    """A bug in xinflight; the log has the traceback."""

    code = "internal"
    status = 500
