"""The part of the OpenAPI document about uploads."""

from xinflight.errors import (
    AccountBusy,
    BadImage,
    BodyTimeout,
    FrameTooLarge,
    NotAcceptable,
    NotFound,
    OutOfBounds,
    ShuttingDown,
    TooManyUploads,
    UnsupportedType,
    WrongShape,
)
from xinflight.specs.operations import JSON, answer, operation, parameters, path
from xinflight.specs.schema import Schema

__all__ = ["upload_paths"]


def upload_paths() -> dict[str, Schema]:
    """Return the operations below `/api/v1/uploads`."""
    return {
        "/api/v1/uploads": {"post": _add(), "get": _page()},
        "/api/v1/uploads/{upload_id}": {
            "parameters": path("upload_id"),
            "get": operation(
                "upload",
                "Get the image itself",
                {"200": {"description": "The file.", "content": {"image/*": {}}}},
                errors=(NotFound,),
                about="uploads",
            ),
            "delete": operation(
                "deleteUpload",
                "Delete an upload; unfinished tasks that use it keep it to their end",
                {"204": {"description": "Deleted."}},
                errors=(NotFound,),
                about="uploads",
            ),
        },
    }


def _add() -> Schema:
    location = {"Location": "URL of the upload."}
    add = operation(
        "addUpload",
        "Upload an image for tasks to start from",
        {
            "200": answer("The owner has it already; it expires later now.", {JSON: "UploadInfo"}, location),
            "201": answer("The new upload.", {JSON: "UploadInfo"}, location),
        },
        errors=(
            *(BadImage, TooManyUploads, FrameTooLarge, UnsupportedType, WrongShape, BodyTimeout),
            *(NotAcceptable, AccountBusy, ShuttingDown),
        ),
        about="uploads",
    )
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    add["requestBody"] = {
        "required": True,
        "description": "A PNG, JPEG or WebP that is no animation, as it is or as the only file of a form.",
        "content": {
            "image/*": {},
            "multipart/form-data": {"schema": {"type": "object", "properties": {"file": file}, "required": ["file"]}},
        },
    }
    return add


def _page() -> Schema:
    return operation(
        "uploads",
        "List the uploads of the owner, newest first",
        {"200": answer("A page of uploads.", {JSON: "UploadPage"})},
        errors=(OutOfBounds, WrongShape, NotAcceptable),
        parameters=parameters("ListUploads", "cursor", "limit"),
        about="uploads",
    )
