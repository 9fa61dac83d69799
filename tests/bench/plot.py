"""Plot the figures of the benchmark as SVG: a panel of bars for each, with a mark at what is to be reached."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from msgspec import Struct

from bench.contenders import BARE, EQUAL, SPEED_EQUAL, TUTORIAL, XINFLIGHT, XINFLIGHT_SPEED
from bench.results import Results, ms

__all__ = ["plot"]

WIDTH, MARGIN, GAP = 960, 16, 40
PANEL = (WIDTH - 2 * MARGIN - GAP) / 2
NAMES, VALUES = 178, 52
"""Pixels for the names to the left of the bars, and for the figures to their right."""
BARS = PANEL - NAMES - VALUES
ROW, BAR, HEAD, FOOT = 20, 13, 40, 20

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 13px }
  .note { fill: #59636e }
  .goal { stroke: #cf222e; stroke-width: 2 }
  .bare { fill: #8c959f } .tutorial { fill: #c4b5a0 } .plain { fill: #4a78b5 } .speed { fill: #3f9c6b }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .goal { stroke: #ff7b72 }
    .bare { fill: #7d858e } .tutorial { fill: #8f8372 } .plain { fill: #6ea3e8 } .speed { fill: #5cc48e }
  }
"""
CLASSES = {
    BARE.name: "bare",
    TUTORIAL.name: "tutorial",
    EQUAL.name: "plain",
    XINFLIGHT.name: "plain",
    SPEED_EQUAL.name: "speed",
    XINFLIGHT_SPEED.name: "speed",
}

Figures = Mapping[str, Sequence[Any]]


class _Bar(Struct, frozen=True):
    name: str
    value: float
    goal: float | None


class _Panel(Struct, frozen=True):
    title: str
    note: str
    form: str
    bars: list[_Bar]

    @property
    def height(self) -> float:
        return HEAD + ROW * len(self.bars) + FOOT


def plot(results: Results) -> str:
    """Return the plot as SVG, readable on light and dark pages."""
    panels = [panel for panel in _panels(results) if panel.bars]
    lines: list[str] = []
    top = 52.0
    for pair in (panels[place : place + 2] for place in range(0, len(panels), 2)):
        for column, panel in enumerate(pair):
            lines += _drawn(panel, MARGIN + column * (PANEL + GAP), top)
        top += max(panel.height for panel in pair)
    size = f'viewBox="0 0 {WIDTH} {top:g}" width="{WIDTH}" height="{top:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
            '<title id="title">xinflight beside a bare aiohttp handler and a FastAPI tutorial</title>',
            f"<style>{STYLE}</style>",
            *_legend(),
            *lines,
            "</svg>",
            "",
        ]
    )


def _panels(results: Results) -> Iterator[_Panel]:
    yield _Panel(
        "CPU seconds per 1,000 generations",
        "200 at once; shorter is better",
        ".2f",
        _bars(
            results.cost,
            lambda one: one.cpu,
            lambda bare: {
                EQUAL.name: bare,
                SPEED_EQUAL.name: 0.6 * bare,
                XINFLIGHT.name: 0.5 * bare,
                XINFLIGHT_SPEED.name: 0.5 * bare,
            },
        ),
    )
    yield _Panel(
        "Progress latency, p50 in ms",
        "from Xinference's value to the client; shorter is better",
        ".0f",
        _bars(
            {name: figures for name, figures in results.cost.items() if "equal" in name or "xinflight" not in name},
            lambda one: ms(one.progress_p50),
            lambda bare: _ours(100.0),
        ),
    )
    yield _Panel(
        "Generations of 5 s at once on one core",
        "less than 50 ms added at p99; longer is better",
        ",.0f",
        _bars(results.capacity, lambda one: one.passes, lambda bare: _ours(1.7 * bare)),
    )
    yield _Panel(
        "2,000 dropped clients back, in seconds",
        "with all their events; the peers only connect",
        ".2f",
        _bars(results.storm, lambda one: one.everybody, lambda bare: _ours(2.0 * bare)),
    )
    yield _Panel(
        "Cancel, p50 in ms",
        "from the client to the abort at Xinference",
        ".2f",
        _bars(results.cancel, lambda one: 1000 * one.upstream_p50, lambda bare: _ours(1.0)),
    )
    yield _Panel(
        "CPU per generation, 2,000 at once to 100",
        "1 is no growth",
        ".2f",
        _bars(results.growth, lambda one: one.factor, lambda bare: _ours(1.0)),
    )
    yield _Panel(
        "KB per idle connection",
        "5,000 WebSockets with a heartbeat",
        ".1f",
        _bars(results.idle, lambda one: one.bytes / 1000, lambda bare: _ours(20.0)),
    )
    yield _Panel(
        "An image of 4 MB: longest stall in ms",
        "of the event loop, for everybody else",
        ".1f",
        _bars(results.delivery, lambda one: 1000 * one.stall, lambda bare: _ours(8.0)),
    )


def _ours(goal: float) -> dict[str, float]:
    return dict.fromkeys((EQUAL.name, SPEED_EQUAL.name, XINFLIGHT.name, XINFLIGHT_SPEED.name), goal)


def _bars(
    figures: Figures, figure: Callable[[Any], float | None], goals: Callable[[float], dict[str, float]]
) -> list[_Bar]:
    medians: dict[str, float] = {}
    for name, measured in figures.items():
        if values := [value for one in measured if (value := figure(one)) is not None]:
            medians[name] = statistics.median(values)
    bare = medians.get(BARE.name)
    wanted = {} if bare is None else goals(bare)
    return [_Bar(name, value, wanted.get(name)) for name, value in medians.items()]


def _drawn(panel: _Panel, left: float, top: float) -> Iterator[str]:
    yield f'<text class="title" x="{left:g}" y="{top + 12:g}">{escape(panel.title)}</text>'
    yield f'<text class="note" x="{left:g}" y="{top + 28:g}">{escape(panel.note)}</text>'
    longest = max([bar.value for bar in panel.bars] + [bar.goal for bar in panel.bars if bar.goal is not None])
    for number, bar in enumerate(panel.bars):
        y, x = top + HEAD + ROW * number, left + NAMES
        width = bar.value / longest * BARS
        goal = None if bar.goal is None else bar.goal / longest * BARS
        # Beside the bar, unless the mark is in the way.
        after = goal if goal is not None and width < goal < width + VALUES else width
        name = escape(bar.name.removeprefix("FastAPI "))
        yield f'<text x="{x - 8:g}" y="{y + 11:g}" text-anchor="end">{name}</text>'
        yield (
            f'<rect class="{CLASSES.get(bar.name, "plain")}" x="{x:g}" y="{y:g}" width="{width:.1f}" height="{BAR}"/>'
        )
        if goal is not None:
            yield f'<path class="goal" d="M{x + goal:.1f} {y - 3:g} V{y + BAR + 3:g}"/>'
        yield f'<text x="{x + after + 6:.1f}" y="{y + 11:g}">{bar.value:{panel.form}}</text>'


def _legend() -> Iterator[str]:
    entries = (("bare", "bare aiohttp handler"), ("tutorial", "FastAPI tutorial"), ("plain", "xinflight"))
    for number, (kind, text) in enumerate((*entries, ("speed", "xinflight[speed]"))):
        x = MARGIN + 170 * number
        yield f'<rect class="{kind}" x="{x}" y="16" width="12" height="12"/>'
        yield f'<text x="{x + 18}" y="26">{text}</text>'
    yield f'<path class="goal" d="M{MARGIN + 690} 14 V30"/><text x="{MARGIN + 700}" y="26">to reach</text>'
