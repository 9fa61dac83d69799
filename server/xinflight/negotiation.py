"""Content negotiation: what the values of Accept and Accept-Language prefer (RFC 9110 section 12)."""

from collections.abc import Iterable

__all__ = ["preferred_type", "weights"]


def weights(values: Iterable[str]) -> dict[str, float]:
    """Return each entry of a header's values, in small letters and in their order, with its quality from 0 to 1.

    A quality that makes no sense counts as 0, which means "not acceptable"; of equal entries the first counts.
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
    """Return the media type that the values of Accept prefer of those offered, or None where they want none of them.

    Of those that are liked alike, it is the one that is named first, then the one that is offered first.
    """
    ranges = weights(accept) or {"*/*": 1.0}
    order = list(ranges)
    best: tuple[tuple[float, int], str] | None = None
    for kind in offered:
        most_exact = (kind, f"{kind.partition('/')[0]}/*", "*/*")
        name = next((name for name in most_exact if name in ranges), None)
        if name is None:
            continue
        liked = (ranges[name], -order.index(name))
        if liked[0] > 0 and (best is None or liked > best[0]):
            best = (liked, kind)
    return None if best is None else best[1]
