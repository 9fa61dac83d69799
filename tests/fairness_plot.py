"""Plot who gets the compute time of two slots, by the simulation of the tests: `make plots` writes the SVG."""

import sys
from functools import partial
from pathlib import Path

from msgspec import Struct

from fair_simulation import Fifo, Job, MakeQueue, Simulation, fair

SLOTS = 2
MINUTES = 30
WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 140, 52, 58, 66
RIGHT = 30
COLUMN = (WIDTH - LEFT - RIGHT) / MINUTES


class Guest(Struct):
    """An owner who comes at a minute and asks for images of so many seconds, which are estimated to take others."""

    name: str
    minute: float
    images: int
    seconds: float
    estimate: float
    weight: float
    told: str


GUESTS = [
    Guest("ann", 0.0, 1000, 11.0, 11.0, 1.0, "1,000 images of 11 s at 0:00"),
    Guest("bob", 5.0, 60, 9.0, 60.0, 1.0, "60 images of 9 s at 5:00, estimated at 60 s"),
    Guest("eve", 12.0, 45, 20.0, 2.0, 2.0, "45 images of 20 s at 12:00, estimated at 2 s; weight 2"),
]

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 14px }
  .note { fill: #59636e }
  .axis { stroke: #59636e; stroke-width: 1 }
  .ann { fill: #4a78b5 } .bob { fill: #d98324 } .eve { fill: #3f9c6b }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .axis { stroke: #9198a1 }
    .ann { fill: #6ea3e8 } .bob { fill: #f0a04b } .eve { fill: #5cc48e }
  }
"""


def shares(make: MakeQueue) -> tuple[list[dict[str, float]], dict[str, float | None]]:
    """Return each owner's part of the compute time per minute, and how many seconds its first image waited."""
    simulation = Simulation(make, SLOTS)
    jobs: list[Job] = []
    for guest in GUESTS:
        for _ in range(guest.images):
            job = Job(
                owner=guest.name,
                sequence=len(jobs),
                seconds=guest.seconds,
                estimate=guest.estimate,
                weight=guest.weight,
            )
            jobs.append(job)
            simulation.at(60.0 * guest.minute, partial(simulation.add, job))
    parts, before = [], dict.fromkeys((guest.name for guest in GUESTS), 0.0)
    for minute in range(1, MINUTES + 1):
        simulation.run(until=60.0 * minute)
        parts.append({name: (simulation.work[name] - before[name]) / (60.0 * SLOTS) for name in before})
        before = {name: simulation.work[name] for name in before}
    waits: dict[str, float | None] = {}
    for guest in GUESTS:
        started = [job.started for job in jobs if job.owner == guest.name and job.started is not None]
        waits[guest.name] = min(started) - 60.0 * guest.minute if started else None
    return parts, waits


def _panel(title: str, make: MakeQueue, top: float) -> list[str]:
    parts, waits = shares(make)
    bottom = top + HEIGHT
    told = "; ".join(
        f"{name} {'not within the half hour' if wait is None else f'after {wait:.0f} s'}"
        for name, wait in waits.items()
        if name != GUESTS[0].name
    )
    lines = [
        f'<text class="title" x="{LEFT}" y="{top - 22:g}">{title}</text>',
        f'<text class="note" x="{LEFT}" y="{top - 6:g}">first image started: {told}</text>',
    ]
    for minute, part in enumerate(parts):
        high = bottom
        for name, share in part.items():
            if share > 0.0:
                high -= share * HEIGHT
                x = LEFT + minute * COLUMN
                lines.append(
                    f'<rect class="{name}" x="{x:.1f}" y="{high:.1f}" width="{COLUMN - 1:.1f}" '
                    f'height="{share * HEIGHT:.1f}"/>'
                )
    for percent in (0, 50, 100):
        y = bottom - percent / 100 * HEIGHT
        lines.append(f'<text class="note" x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{percent} %</text>')
    lines.append(f'<path class="axis" fill="none" d="M{LEFT} {top:g} V{bottom:g} H{WIDTH - RIGHT}"/>')
    for minute in range(0, MINUTES + 1, 5):
        x = LEFT + minute * COLUMN
        lines.append(f'<text class="note" x="{x:.1f}" y="{bottom + 16:g}" text-anchor="middle">{minute} min</text>')
    return lines


def plot() -> str:
    """Return the plot as SVG, readable on light and dark pages."""
    height = TOP + 2 * HEIGHT + GAP + 24 + 20 * len(GUESTS) + 12
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        '<title id="title">Compute time per owner and minute: shared fairly, and first come, first served</title>',
        f"<style>{STYLE}</style>",
        *_panel("Start-time fair queueing", fair, TOP),
        *_panel("For comparison: first come, first served", Fifo, TOP + HEIGHT + GAP),
    ]
    for number, guest in enumerate(GUESTS):
        y = TOP + 2 * HEIGHT + GAP + 44 + 20 * number
        lines.append(f'<rect class="{guest.name}" x="{LEFT}" y="{y - 10}" width="12" height="12"/>')
        lines.append(f'<text x="{LEFT + 20}" y="{y}">{guest.name}: {guest.told}</text>')
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(plot(), "utf-8")
