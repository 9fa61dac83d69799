"""What files of outputs say of themselves: that a model made them, and of images with which parameters.

It is written into the containers of PNG, JPEG, WebP and MP4; no pixel and no frame is encoded again.
"""

from xinflight.file_metadata.embed import embed, without_parameters
from xinflight.file_metadata.parameters import generation_parameters
from xinflight.file_metadata.provenance import COMPOSITE, GENERATED, Provenance

__all__ = ["COMPOSITE", "GENERATED", "Provenance", "embed", "generation_parameters", "without_parameters"]
