"""Sizes in pixels: which one follows from an image, and which part of an image fills another one. No I/O."""

__all__ = ["Size", "covered_box", "fitting_size"]

Size = tuple[int, int]


def fitting_size(size: Size, *, least: int, most: int, multiple: int) -> Size:
    """Return the size of an image within bounds: both sides multiples of `multiple`, the proportions nearly kept.

    Beyond the bounds it is scaled as a whole; only an image that is too long and too narrow loses its proportions.
    """
    low, high = -(-least // multiple) * multiple, most // multiple * multiple
    scale = max(min(1.0, high / max(size)), low / min(size))
    width, height = (min(max(int(side * scale / multiple + 0.5) * multiple, low), high) for side in size)
    return width, height


def covered_box(size: Size, target: Size) -> tuple[float, float, float, float]:
    """Return the largest part in the middle with the proportions of `target`: its left, top, right and bottom."""
    scale = min(size[0] / target[0], size[1] / target[1])
    width, height = target[0] * scale, target[1] * scale
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    # Rounding may lead beyond the edge, which Pillow refuses.
    return max(left, 0.0), max(top, 0.0), min(left + width, size[0]), min(top + height, size[1])
