"""Error responses of the emulated Xinference."""

__all__ = ["SUPERVISOR", "HttpError"]

SUPERVISOR = "[address=127.0.0.1:52965, pid=13680]"
"""Prefix of error texts that come from the supervisor process."""


class HttpError(Exception):
    """An error response with its status and detail, a text but for forms with missing fields.

    A `plain` body is text/plain without FastAPI's `{"detail": ...}` around it, as for an exception that no handler of
    Xinference expects.
    """

    def __init__(
        self, status: int, detail: object, *, headers: dict[str, str] | None = None, plain: bool = False
    ) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.plain = plain
