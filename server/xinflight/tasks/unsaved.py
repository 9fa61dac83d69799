"""How many bytes of finished outputs wait in memory for a disk that does not accept them."""

from collections.abc import Iterator
from contextlib import contextmanager

from xinflight.errors import StorageUnavailable

__all__ = ["UnsavedBytes"]


class UnsavedBytes:
    """Count bytes over all pools, up to `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.bytes = 0

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count `size` bytes inside the block; raise StorageUnavailable when there is no room for them."""
        if self.bytes + size > self._limit:
            raise StorageUnavailable(detail="no room in memory for the output")
        self.bytes += size
        try:
            yield
        finally:
            self.bytes -= size
