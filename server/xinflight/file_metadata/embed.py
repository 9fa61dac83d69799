"""Write what a file says of itself into its container, and take the parameters out again."""

from xinflight.file_metadata.jpeg import embed_in_jpeg, jpeg_without_parameters
from xinflight.file_metadata.mp4 import embed_in_mp4
from xinflight.file_metadata.pieces import Pieces
from xinflight.file_metadata.png import embed_in_png, png_without_parameters
from xinflight.file_metadata.provenance import Provenance
from xinflight.file_metadata.webp import embed_in_webp, webp_without_parameters
from xinflight.model import media_type_of

__all__ = ["embed", "without_parameters"]


def embed(data: bytes, provenance: Provenance, parameters: str | None) -> bytes:
    """Return a file that says where it is from, and if it is an image its parameters. Metadata of its own stay.

    A damaged file, or one of another format, is returned as it is. Copies the file once, so one of many megabytes
    belongs on a thread.
    """
    pieces: Pieces | None = None
    match media_type_of(data[:16]):
        case "image/png":
            pieces = embed_in_png(data, provenance.xmp(), parameters)
        case "image/jpeg":
            pieces = embed_in_jpeg(data, provenance.xmp(), parameters)
        case "image/webp":
            pieces = embed_in_webp(data, provenance.xmp(), parameters)
        case "video/mp4":
            pieces = embed_in_mp4(data, provenance.xmp(), provenance.label())
    return data if pieces is None else b"".join(pieces)


def without_parameters(data: bytes) -> bytes:
    """Return an image without its parameters; that a model made it stays. Others are returned as they are."""
    remove = {
        "image/png": png_without_parameters,
        "image/jpeg": jpeg_without_parameters,
        "image/webp": webp_without_parameters,
    }.get(media_type_of(data[:16]) or "")
    pieces = None if remove is None else remove(data)
    return data if pieces is None else b"".join(pieces)
