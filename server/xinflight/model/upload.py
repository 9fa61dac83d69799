"""An image that an owner uploaded, for tasks to start from. No I/O."""

from msgspec import Struct

__all__ = ["UPLOAD_SECONDS", "Upload"]

UPLOAD_SECONDS = 86400.0
"""How long an upload is there after it was uploaded or used for the last time."""


class Upload(Struct, frozen=True, kw_only=True):
    """An upload as it is stored: `upload_id` is the hash of its bytes, `blob_id` the random name of its file.

    Width and height in pixels are those of the image as it is shown, so after the rotation that its EXIF data asks
    for. `created` and `expires` are Unix seconds; at `expires` it is gone for everybody but the unfinished tasks that
    use it, and 0 means that its owner deleted it.
    """

    owner: str
    upload_id: str
    blob_id: str
    media_type: str
    width: int
    height: int
    bytes: int
    created: float
    expires: float
