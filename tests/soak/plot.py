"""Plot what a server held during the soak, over time, as SVG."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from soak.samples import Sample

__all__ = ["plot"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 720, 120, 64, 16, 44, 54

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 13px }
  .note { fill: #59636e }
  .axis { stroke: #59636e; stroke-width: 1; fill: none }
  .line { stroke: #4a78b5; stroke-width: 1.5; fill: none }
  .rest { fill: #3f9c6b; fill-opacity: 0.15 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .axis { stroke: #9198a1 }
    .line { stroke: #6ea3e8 }
  }
"""

PANELS: Sequence[tuple[str, Callable[[Sample], float]]] = (
    ("Resident memory, MB", lambda one: one.resident / 1e6),
    ("Open files", lambda one: one.open_files),
    ("asyncio tasks", lambda one: one.asyncio_tasks),
    ("Unfinished tasks", lambda one: one.unfinished),
    ("Database and its log, MB", lambda one: (one.database + one.wal) / 1e6),
    ("Images and uploads, MB", lambda one: one.file_bytes / 1e6),
)


def plot(samples: Sequence[Sample]) -> str:
    """Return the plot as SVG, readable on light and dark pages. The server is at rest where it is shaded."""
    height = TOP + len(PANELS) * (HEIGHT + GAP)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        '<title id="title">What the server holds over the time of the soak</title>',
        f"<style>{STYLE}</style>",
    ]
    for number, (title, figure) in enumerate(PANELS):
        lines += _panel(title, samples, [figure(one) for one in samples], TOP + number * (HEIGHT + GAP))
    return "\n".join([*lines, "</svg>", ""])


def _panel(title: str, samples: Sequence[Sample], values: Sequence[float], top: float) -> Iterator[str]:
    bottom, wide = top + HEIGHT, WIDTH - LEFT - RIGHT
    end, most = max(samples[-1].at, 1.0), max(*values, 1.0)

    def x(at: float) -> float:
        return LEFT + at / end * wide

    yield f'<text class="title" x="{LEFT}" y="{top - 10:g}">{title}</text>'
    for before, after in pairwise(samples):
        if after.phase == "rest":
            yield (
                f'<rect class="rest" x="{x(before.at):.1f}" y="{top:g}" '
                f'width="{x(after.at) - x(before.at):.1f}" height="{HEIGHT}"/>'
            )
    points = " ".join(
        f"{x(one.at):.1f},{bottom - value / most * HEIGHT:.1f}" for one, value in zip(samples, values, strict=True)
    )
    yield f'<polyline class="line" points="{points}"/>'
    yield f'<path class="axis" d="M{LEFT} {top:g} V{bottom:g} H{WIDTH - RIGHT}"/>'
    for value, y in ((most, top), (0.0, bottom)):
        yield f'<text class="note" x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{value:,.0f}</text>'
    for part in range(5):
        at = end * part / 4
        # In the middle, half of the last one would be outside of the picture.
        anchor = "end" if part == 4 else "middle"
        yield (
            f'<text class="note" x="{x(at):.1f}" y="{bottom + 16:g}" text-anchor="{anchor}">{at / 60:.1f} min</text>'
        )
