"""Valid requests that are refused."""

from xinflight.errors.base import XinflightError

__all__ = [
    "AccountBusy",
    "AmbiguousCredentials",
    "BadImage",
    "Forbidden",
    "ImageNotFound",
    "ImagesUnsupported",
    "ModelNotFound",
    "ModelUnsuitable",
    "NotFound",
    "QuotaExceeded",
    "RateLimited",
    "Refused",
    "ShuttingDown",
    "StorageUnavailable",
    "TaskIdConflict",
    "TaskUnfinished",
    "TokenExpired",
    "TooManyConnections",
    "TooManyShares",
    "TooManyTasks",
    "TooManyUploads",
    "Unauthorised",
]


class Refused(XinflightError):
    """A valid message that can't be carried out."""


class Unauthorised(Refused):
    """Missing or invalid credentials."""

    code = "unauthorised"
    status = 401


class TokenExpired(Refused):
    """The token or the session was valid and has expired."""

    code = "token_expired"
    status = 401


class AmbiguousCredentials(Refused):
    """One request has two different tokens."""

    code = "ambiguous_credentials"
    status = 400


class Forbidden(Refused):
    """The caller is not allowed to do this."""

    code = "forbidden"
    status = 403


class NotFound(Refused):
    """Nothing with this id belongs to the caller; ids of other owners are reported as not found, too."""

    code = "not_found"
    status = 404


class ImageNotFound(Refused):
    """No upload and no output of the caller has this id, or not any more."""

    code = "image_not_found"
    status = 404


class BadImage(Refused):
    """Not an image that can be used: damaged, animated, too large, of another format, or of the wrong size."""

    code = "bad_image"
    status = 422


class TooManyUploads(Refused):
    """The owner's uploads would exceed their number or their bytes."""

    code = "too_many_uploads"
    status = 429
    retryable = True


class ImagesUnsupported(Refused):
    """This server was installed without what it needs to read images."""

    code = "images_unsupported"
    status = 501


class TaskIdConflict(Refused):
    """The task id is already used by a request with different content."""

    code = "task_id_conflict"
    status = 409


class TooManyTasks(Refused):
    """The owner, or the server as a whole, has too many unfinished tasks."""

    code = "too_many_tasks"
    status = 429
    retryable = True


class RateLimited(Refused):
    """Too many requests per minute of this owner or from this address, or too many invalid credentials from it."""

    code = "rate_limited"
    status = 429
    retryable = True


class QuotaExceeded(Refused):
    """The owner has used up the compute seconds of this day (UTC)."""

    code = "quota_exceeded"
    status = 429
    retryable = True


class TooManyShares(Refused):
    """The owner has too many share links; revoke one first."""

    code = "too_many_shares"
    status = 409


class TooManyConnections(Refused):
    """No connection is left for a streaming response; a WebSocket is closed with 1013 instead."""

    code = "too_many_connections"
    status = 503
    retryable = True


class ModelNotFound(Refused):
    """The upstream does not run this model."""

    code = "model_not_found"
    status = 404


class ModelUnsuitable(Refused):
    """The model can't do what is asked."""

    code = "model_unsuitable"
    status = 422


class TaskUnfinished(Refused):
    """An unfinished task can't be deleted; cancel it first."""

    code = "task_unfinished"
    status = 409


class AccountBusy(Refused):
    """An export or an erasure of this owner is under way."""

    code = "account_busy"
    status = 409
    retryable = True


class StorageUnavailable(Refused):
    """The data can't be stored now: the disk is full, read-only or busy."""

    code = "storage_unavailable"
    status = 503
    retryable = True


class ShuttingDown(Refused):
    """The server is shutting down."""

    code = "shutting_down"
    status = 503
    retryable = True
