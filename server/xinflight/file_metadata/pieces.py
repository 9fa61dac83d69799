"""What a file is put together of, so that its pixels are copied once."""

from collections.abc import Sequence

__all__ = ["Pieces"]

Pieces = Sequence[bytes | memoryview]
"""Parts of a file in their order."""
