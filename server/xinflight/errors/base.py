"""The root of the errors."""

from typing import ClassVar

__all__ = [
    "StoreUnusable",
    "XinflightError",
]


class XinflightError(Exception):
    """A failure, with what a client may know about it.

    `code` is sent to clients and `status` is its HTTP status; `retryable` says whether the same request may succeed
    later. `field` names the field at fault and `limit` the violated bound, as text. `retry_after` is in seconds.
    `found` says that a task has already ended with it: the same request, with the same id, would find it again.
    `detail` is for logs only: it may contain upstream text and is never sent to a client. A subclass defined by a
    host inherits code and status from its nearest ancestor.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        *,
        field: str | None = None,
        limit: str | None = None,
        retry_after: float | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(detail or field or type(self).__name__)
        self.field = field
        self.limit = limit
        self.retry_after = retry_after
        self.detail = detail
        self.found = False


class StoreUnusable(Exception):
    """The data folder is unusable and the server can't start; the message says how to fix it."""
