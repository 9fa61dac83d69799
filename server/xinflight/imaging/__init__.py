"""Images to start from: made upright, of a certain size and colour mode; masks; and what is put together at the end.

Needs Pillow (extra `images`), which is imported at the first use. All of it belongs on a thread.
"""

from xinflight.imaging.imaging import check_pillow, composite, prepare_image, prepare_mask, upright_size
from xinflight.imaging.sizes import covered_box, fitting_size

__all__ = [
    "check_pillow",
    "composite",
    "covered_box",
    "fitting_size",
    "prepare_image",
    "prepare_mask",
    "upright_size",
]
