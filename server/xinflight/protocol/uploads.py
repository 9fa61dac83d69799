"""HTTP-only structs of uploads: images for tasks to start from."""

from typing import Annotated

from msgspec import Meta, Struct

from xinflight.protocol.fields import FileSize, NextPage

__all__ = ["ListUploads", "UploadInfo", "UploadPage"]


class UploadInfo(Struct, kw_only=True):
    """An upload. The same bytes have the same id for the same owner."""

    upload_id: Annotated[str, Meta(description="Id for `image`, `images` and `mask`, valid for its owner only.")]
    media_type: Annotated[str, Meta(description="`image/jpeg`, `image/png` or `image/webp`: what the bytes are.")]
    width: Annotated[int, Meta(description="Width in pixels, as the image is shown.")]
    height: Annotated[int, Meta(description="Height in pixels, as the image is shown.")]
    bytes: FileSize
    expires: Annotated[
        float,
        Meta(description="Unix time in seconds: a day after it was uploaded or used for the last time."),
    ]


class UploadPage(Struct, omit_defaults=True, kw_only=True):
    """A page of the owner's uploads, newest first. Use `next` as `?cursor=`."""

    uploads: Annotated[list[UploadInfo], Meta(description="One entry per upload.")]
    next: NextPage = None


class ListUploads(Struct, kw_only=True):
    """The query of a list of uploads."""

    cursor: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]{1,16}\Z")] | None,
        Meta(description="The `next` of the previous page. Default: the first page."),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=200, description="Maximum number of uploads per page.")] = 50
