"""What an owner used on one day. No I/O."""

from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["Usage", "day_of"]


class Usage(Struct, frozen=True, kw_only=True):
    """Compute seconds, outputs made and their bytes of one owner on one UTC day, `YYYY-MM-DD`."""

    owner: str
    day: str
    seconds: float = 0.0
    outputs: int = 0
    bytes: int = 0

    def plus(self, more: "Usage") -> "Usage":
        """Return both together, of the same owner and day."""
        return replace(
            self,
            seconds=self.seconds + more.seconds,
            outputs=self.outputs + more.outputs,
            bytes=self.bytes + more.bytes,
        )


def day_of(now: float) -> str:
    """Return the UTC day of a Unix time as `YYYY-MM-DD`."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()
