"""The part of the OpenAPI document about share links."""

from xinflight.errors import (
    BadImage,
    BadTaskId,
    ImagesUnsupported,
    NotAcceptable,
    NotFound,
    OutOfBounds,
    RateLimited,
    TooManyShares,
    WrongShape,
)
from xinflight.specs.operations import BODY, JSON, ONE_TASK, answer, operation, parameters, path
from xinflight.specs.schema import Schema

__all__ = ["share_paths"]


def share_paths() -> dict[str, Schema]:
    """Return the operations on share links."""
    return {
        "/api/v1/shares": {
            "post": operation(
                "share",
                "Create a link to an image that works without credentials",
                {"201": answer("The share. Only this answer has its link.", {JSON: "NewShare"})},
                errors=(*ONE_TASK, *BODY, NotAcceptable, TooManyShares),
                body="ShareBody",
                about="shares",
            ),
            "get": operation(
                "shares",
                "List the shares of the owner, newest first",
                {"200": answer("A page of shares.", {JSON: "SharePage"})},
                errors=(BadTaskId, OutOfBounds, WrongShape, NotAcceptable),
                parameters=parameters("ListShares", "cursor", "limit", "task_id"),
                about="shares",
            ),
        },
        "/api/v1/shares/{share_id}": {
            "parameters": path("share_id"),
            "delete": operation(
                "revoke",
                "Revoke a share",
                {"204": {"description": "Revoked."}},
                errors=(NotFound,),
                about="shares",
            ),
        },
        "/shared/{secret}": {
            "parameters": path("secret"),
            "get": {
                **operation(
                    "shared",
                    "Get a shared image; the link is the only credential",
                    {"200": {"description": "The file.", "content": {"image/*": {}}}},
                    errors=(NotFound,),
                    about="shares",
                ),
                "security": [{}],
            },
        },
        "/shared/{secret}/thumbnail": {
            "parameters": path("secret"),
            "get": {
                **operation(
                    "sharedThumbnail",
                    "Get the thumbnail of a shared image; the link is the only credential",
                    {"200": {"description": "The thumbnail.", "content": {"image/webp": {}}}},
                    errors=(NotFound, BadImage, ImagesUnsupported, RateLimited),
                    about="shares",
                ),
                "security": [{}],
            },
        },
    }
