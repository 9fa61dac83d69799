"""The figures as Markdown: where and how they were measured, and one row per server."""

import os
import platform
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.load import Measured
from bench.options import Options

__all__ = ["report"]

Figure = Callable[[Measured], float | None]

CPU = "CPU s per 1,000"
COLUMNS: dict[str, tuple[Figure, str]] = {
    CPU: (lambda measured: measured.cpu, ".2f"),
    "added p50 ms": (lambda measured: _ms(measured.added_p50), ".1f"),
    "added p99 ms": (lambda measured: _ms(measured.added_p99), ".1f"),
    "progress p50 ms": (lambda measured: _ms(measured.progress_p50), ".0f"),
    "cancel p50 ms": (lambda measured: _ms(measured.cancel_p50), ".1f"),
    "polls": (lambda measured: measured.polls, ".1f"),
    "messages": (lambda measured: measured.messages, ".1f"),
    "RSS MB": (lambda measured: measured.resident / 1e6, ".0f"),
}


def report(figures: dict[str, list[Measured]], options: Options, commit: str) -> str:
    """Return a text on the machine and a table; the first of `figures` is what the ratios are to."""
    header = ["", CPU, "ratio", *(name for name in COLUMNS if name != CPU)]
    peer = next(iter(figures.values()))
    rows = [
        [name, _figure(measured, *COLUMNS[CPU]), _ratio(measured, peer)]
        + [_figure(measured, *column) for title, column in COLUMNS.items() if title != CPU]
        for name, measured in figures.items()
    ]
    table = [header, ["---"] * len(header), *rows]
    return "\n".join([_conditions(figures, options, commit), "", *(f"| {' | '.join(row)} |" for row in table)])


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _figure(measured: list[Measured], figure: Figure, form: str) -> str:
    """Return the median, with the least and the greatest where there were several rounds."""
    values = [value for one in measured if (value := figure(one)) is not None]
    if not values:
        return "not seen"
    median = format(statistics.median(values), form)
    return median if len(values) == 1 else f"{median} [{min(values):{form}}..{max(values):{form}}]"


def _ratio(measured: list[Measured], peer: list[Measured]) -> str:
    """Return the median of the rounds' ratios: both sides of each were measured within the same minutes."""
    ratios = [one.cpu / other.cpu for one, other in zip(measured, peer, strict=True)]
    return f"{statistics.median(ratios):.2f}x"


def _conditions(figures: dict[str, list[Measured]], options: Options, commit: str) -> str:
    everything = [one for measured in figures.values() for one in measured]
    generations = [one.generations for one in everything]
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {commit}: {_processor()}, "
        f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"aiohttp {version('aiohttp')}.\n"
        f"{options.clients} clients, generations of {options.generation:g} s; rounds: {options.rounds} of "
        f"{options.seconds:g} s and {min(generations)} to {max(generations)} generations each. "
        "Median [least..greatest].\n"
        f"Load average of the last minute at the end: {os.getloadavg()[0]:.1f}. The load took at most "
        f"{max(one.load_cpu for one in everything):.0%} of a core."
    )


def _processor() -> str:
    """Return the processor's name (proc_cpuinfo(5)), which some machines do not tell."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
