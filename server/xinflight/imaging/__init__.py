"""Images to start from: upright, of a certain size and colour mode; masks; what is put together; thumbnails.

Needs Pillow (extra `images`), which is imported at the first use. All of it belongs on a thread.
"""

from xinflight.imaging.imaging import (
    check_pillow,
    composite,
    has_pillow,
    prepare_image,
    prepare_mask,
    thumbnail,
    upright_size,
)
from xinflight.imaging.sizes import covered_box, fitting_size

__all__ = [
    "check_pillow",
    "composite",
    "covered_box",
    "fitting_size",
    "has_pillow",
    "prepare_image",
    "prepare_mask",
    "thumbnail",
    "upright_size",
]
