"""Content negotiation with Accept and Accept-Language headers (RFC 9110 section 12)."""

from collections.abc import Iterable

__all__ = ["preferred_type", "weights"]


def weights(values: Iterable[str]) -> dict[str, float]:
    """Parse the entries of header values, in lower case and in order, with their quality from 0 to 1.

    An invalid quality counts as 0, "not acceptable". Of equal entries the first counts.
    """
    found: dict[str, float] = {}
    for part in ",".join(values).split(","):
        name, _, parameters = part.partition(";")
        if name.strip():
            found.setdefault(name.strip().lower(), _quality(parameters))
    return found


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return quality if 0.0 <= quality <= 1.0 else 0.0
    return 1.0


def preferred_type(accept: Iterable[str], offered: Iterable[str]) -> str | None:
    """Return the offered media type that Accept prefers, or None if it accepts none of them.

    Of types with equal quality, the one named first in Accept wins, then the one offered first.
    """
    ranges = weights(accept) or {"*/*": 1.0}
    order = list(ranges)
    best: tuple[tuple[float, int], str] | None = None
    for kind in offered:
        by_precision = (kind, f"{kind.partition('/')[0]}/*", "*/*")
        name = next((name for name in by_precision if name in ranges), None)
        if name is None:
            continue
        rank = (ranges[name], -order.index(name))
        if rank[0] > 0 and (best is None or rank > best[0]):
            best = (rank, kind)
    return None if best is None else best[1]
