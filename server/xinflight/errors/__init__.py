"""All errors, as one tree. Every leaf has a stable code that clients may rely on, and the HTTP status it maps to.

XinflightError
├── BadMessage
│   ├── NotJson              not_json
│   ├── WrongShape           wrong_shape
│   ├── UnknownAction        unknown_action
│   ├── FrameTooLarge        frame_too_large
│   ├── BinaryFrame          binary_frame
│   ├── TextFrame            text_frame
│   ├── UnsupportedType      unsupported_type
│   ├── BodyTimeout          body_timeout
│   └── NotAcceptable        not_acceptable
├── BadValue
│   ├── OutOfBounds          out_of_bounds
│   ├── PromptMissing        prompt_missing
│   ├── BadTaskId            bad_task_id
│   └── LoraTag              lora_tag
├── Refused
│   ├── Unauthorised         unauthorised
│   ├── TokenExpired         token_expired
│   ├── AmbiguousCredentials ambiguous_credentials
│   ├── Forbidden            forbidden
│   ├── NotFound             not_found
│   ├── ImageNotFound        image_not_found
│   ├── BadImage             bad_image
│   ├── TooManyUploads       too_many_uploads
│   ├── ImagesUnsupported    images_unsupported
│   ├── TaskIdConflict       task_id_conflict
│   ├── TooManyTasks         too_many_tasks
│   ├── RateLimited          rate_limited
│   ├── QuotaExceeded        quota_exceeded
│   ├── TooManyShares        too_many_shares
│   ├── TooManyConnections   too_many_connections
│   ├── ModelNotFound        model_not_found
│   ├── ModelUnsuitable      model_unsuitable
│   ├── TaskUnfinished       task_unfinished
│   ├── AccountBusy          account_busy
│   ├── StorageUnavailable   storage_unavailable
│   └── ShuttingDown         shutting_down
├── TaskTimeout              timeout
├── TaskCancelled            cancelled
├── Interrupted              interrupted
├── Internal                 internal
└── UpstreamError
    ├── UpstreamAuth         upstream_auth
    ├── UpstreamUnreachable  upstream_unreachable
    ├── UpstreamBusy         upstream_busy
    ├── UpstreamDied         upstream_died
    ├── UpstreamFailed       upstream_failed
    ├── UpstreamOutOfMemory  upstream_out_of_memory
    └── UpstreamGarbage      upstream_garbage
"""

from xinflight.errors.base import (
    StoreUnusable,
    XinflightError,
)
from xinflight.errors.messages import (
    BadMessage,
    BadTaskId,
    BadValue,
    BinaryFrame,
    BodyTimeout,
    FrameTooLarge,
    LoraTag,
    NotAcceptable,
    NotJson,
    OutOfBounds,
    PromptMissing,
    TextFrame,
    UnknownAction,
    UnsupportedType,
    WrongShape,
)
from xinflight.errors.refused import (
    AccountBusy,
    AmbiguousCredentials,
    BadImage,
    Forbidden,
    ImageNotFound,
    ImagesUnsupported,
    ModelNotFound,
    ModelUnsuitable,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Refused,
    ShuttingDown,
    StorageUnavailable,
    TaskIdConflict,
    TaskUnfinished,
    TokenExpired,
    TooManyConnections,
    TooManyShares,
    TooManyTasks,
    TooManyUploads,
    Unauthorised,
)
from xinflight.errors.tasks import (
    Internal,
    Interrupted,
    TaskCancelled,
    TaskTimeout,
)
from xinflight.errors.upstream import (
    UpstreamAuth,
    UpstreamBusy,
    UpstreamDied,
    UpstreamError,
    UpstreamFailed,
    UpstreamGarbage,
    UpstreamOutOfMemory,
    UpstreamUnreachable,
)

__all__ = [
    "AccountBusy",
    "AmbiguousCredentials",
    "BadImage",
    "BadMessage",
    "BadTaskId",
    "BadValue",
    "BinaryFrame",
    "BodyTimeout",
    "Forbidden",
    "FrameTooLarge",
    "ImageNotFound",
    "ImagesUnsupported",
    "Internal",
    "Interrupted",
    "LoraTag",
    "ModelNotFound",
    "ModelUnsuitable",
    "NotAcceptable",
    "NotFound",
    "NotJson",
    "OutOfBounds",
    "PromptMissing",
    "QuotaExceeded",
    "RateLimited",
    "Refused",
    "ShuttingDown",
    "StorageUnavailable",
    "StoreUnusable",
    "TaskCancelled",
    "TaskIdConflict",
    "TaskTimeout",
    "TaskUnfinished",
    "TextFrame",
    "TokenExpired",
    "TooManyConnections",
    "TooManyShares",
    "TooManyTasks",
    "TooManyUploads",
    "Unauthorised",
    "UnknownAction",
    "UnsupportedType",
    "UpstreamAuth",
    "UpstreamBusy",
    "UpstreamDied",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamGarbage",
    "UpstreamOutOfMemory",
    "UpstreamUnreachable",
    "WrongShape",
    "XinflightError",
    "by_code",
    "leaves",
]


def _with_codes(branch: type[XinflightError]) -> list[type[XinflightError]]:
    below = [leaf for child in branch.__subclasses__() for leaf in _with_codes(child)]
    return below or [branch]


# Collected at import, before a host can subclass them: its own errors must not become part of the protocol.
_BY_CODE = {leaf.code: leaf for leaf in _with_codes(XinflightError)}


def leaves() -> list[type[XinflightError]]:
    """Return every leaf class of this module, in the order of the tree above."""
    return list(_BY_CODE.values())


def by_code(code: str) -> type[XinflightError]:
    """Return the class of a code, or Internal for an unknown code, which another version may have stored."""
    return _BY_CODE.get(code, Internal)
