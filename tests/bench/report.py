"""The figures as Markdown: one table for each scenario, and one with what is to be reached."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.capacity import Capacity
from bench.growth import Growth
from bench.results import Conditions, Results, ms
from bench.targets import Target, targets

__all__ = ["TABLES", "Column", "Table", "report"]


class Column(NamedTuple):
    """A figure of one measurement, in its unit, and how it is written."""

    title: str
    figure: Callable[[Any], float | None]
    form: str = ".1f"


class Table(NamedTuple):
    """The table of a scenario. Ratios of the first column are to the bare handler in the same round."""

    title: str
    text: str
    columns: Sequence[Column]


def _at_pass(figure: Callable[[Any], float]) -> Callable[[Capacity], float | None]:
    return lambda measured: None if measured.at_pass is None else figure(measured.at_pass)


def _cpu_with(place: int) -> Callable[[Growth], float]:
    return lambda measured: measured.steps[place].cpu


TABLES: dict[str, Table] = {
    "cost": Table(
        "What a generation costs",
        "200 clients, each with one generation of 5 s under way at any time; the image has 46 KB and is fetched over "
        "HTTP, the peers send it within the result as base64.",
        (
            Column("CPU s per 1,000", lambda one: one.cpu, ".2f"),
            Column("polls", lambda one: one.polls),
            Column("messages", lambda one: one.messages),
            Column("progress p50 ms", lambda one: ms(one.progress_p50), ".0f"),
            Column("added p50 ms", lambda one: ms(one.added_p50)),
            Column("added p99 ms", lambda one: ms(one.added_p99)),
            Column("RSS MB", lambda one: one.resident / 1e6, ".0f"),
        ),
    ),
    "capacity": Table(
        "How many generations at once",
        "Generations of 5 s at once on one core, the most with which less than 50 ms are added at p99.",
        (
            Column("passes", lambda one: one.passes, ",.0f"),
            Column("fails", lambda one: one.fails, ",.0f"),
            Column("p99 ms at pass", _at_pass(lambda step: 1000 * step.added_p99)),
            Column("core used at pass", _at_pass(lambda step: step.busy), ".2f"),
            Column("load's core at pass", _at_pass(lambda step: step.driver_cpu + step.upstream_cpu), ".2f"),
        ),
    ),
    "cancel": Table(
        "Cancels",
        "From sending `cancel` to the upstream's having the abort and to the client's having the end; 50 generations "
        "run, one is cancelled every 25 ms.",
        (
            Column("upstream p50 ms", lambda one: 1000 * one.upstream_p50, ".2f"),
            Column("upstream p99 ms", lambda one: 1000 * one.upstream_p99, ".2f"),
            Column("client p50 ms", lambda one: 1000 * one.client_p50, ".2f"),
        ),
    ),
    "storm": Table(
        "Everybody comes back",
        "2,000 clients are dropped and connect again at once. Those of xinflight had a generation under way each, "
        "and are back when they have its events again (`resume`); the peers' after one message and its answer.",
        (
            Column("all back s", lambda one: one.everybody, ".2f"),
            Column("p50 s", lambda one: one.p50, ".2f"),
            Column("CPU s", lambda one: one.cpu, ".2f"),
        ),
    ),
    "idle": Table(
        "Idle connections",
        "5,000 open WebSockets with a heartbeat of 25 s (uvicorn: 20 s).",
        (
            Column("KB each", lambda one: one.bytes / 1000),
            Column("CPU ms each and minute", lambda one: ms(one.cpu), ".2f"),
        ),
    ),
    "delivery": Table(
        "An image of 4 MB",
        "CPU per MB for the whole way from the request to the client, storing included, and for its delivery alone: "
        "the GET right after the result. And the longest time for which anything else waited for the event loop, "
        "as far as the server's own CPU time explains it.",
        (
            Column("whole way ms/MB", lambda one: 1000 * one.whole, ".2f"),
            Column("delivery ms/MB", lambda one: ms(one.fetch), ".2f"),
            Column("longest stall ms", lambda one: 1000 * one.stall),
        ),
    ),
    "growth": Table(
        "Growth",
        "CPU seconds per 1,000 generations with few and with many at once, default poll budget.",
        (
            Column("2,000 / 100", lambda one: one.factor, ".2f"),
            Column("100 at once", _cpu_with(0), ".2f"),
            Column("2,000 at once", _cpu_with(-1), ".2f"),
            Column("p99 ms at 2,000", lambda one: 1000 * one.steps[-1].added_p99),
        ),
    ),
}


def report(results: Results) -> str:
    """Return everything that was measured: the targets, a table for each scenario, and the conditions."""
    parts = [_summary(targets(results))]
    for name, table in TABLES.items():
        if figures := getattr(results, name):
            parts.append(f"### {table.title}\n\n{table.text}\n\n{_rows(table, figures)}")
    parts.append(_conditions(results.conditions))
    return "\n\n".join(part for part in parts if part)


def _summary(reached: Sequence[Target]) -> str:
    """Return the table of targets; an empty text if none of them was measured."""
    if not reached:
        return ""
    rows = [["figure", "to reach", "xinflight", "xinflight[speed]"]]
    rows += [[target.figure, target.goal, _verdict(target, 0), _verdict(target, 1)] for target in reached]
    return _table(rows)


def _verdict(target: Target, place: int) -> str:
    value = target.values[place]
    if value is None:
        return ""
    text = f"{value:{target.form}}{target.unit}"
    return f"{text}, met" if target.met(place) else f"{text}, **missed**"


def _rows(table: Table, figures: Mapping[str, Sequence[Any]]) -> str:
    peer = next(iter(figures.values()))
    first, *others = table.columns
    rows = [["", first.title, "ratio", *(column.title for column in others)]]
    for name, measured in figures.items():
        cells = [name, _figure(measured, first), _ratio(measured, peer, first)]
        rows.append(cells + [_figure(measured, column) for column in others])
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(measured: Sequence[Any], column: Column) -> str:
    """Return the median, with the least and the greatest where there were several rounds."""
    values = [value for one in measured if (value := column.figure(one)) is not None]
    if not values:
        return ""
    middle = format(statistics.median(values), column.form)
    least, greatest = format(min(values), column.form), format(max(values), column.form)
    return middle if least == greatest else f"{middle} [{least}..{greatest}]"


def _ratio(measured: Sequence[Any], peer: Sequence[Any], column: Column) -> str:
    """Return the median of the rounds' ratios: both sides of each were measured within the same minutes."""
    ratios = [
        value / other
        for one, beside in zip(measured, peer, strict=True)
        if (value := column.figure(one)) is not None and (other := column.figure(beside))
    ]
    return f"{statistics.median(ratios):.2f}x" if ratios else ""


def _conditions(measured: Mapping[str, Conditions]) -> str:
    rows = [["scenario", "measured (UTC)", "version", "rounds", "load average before"]]
    for name, one in measured.items():
        rounds = f"{one.rounds}, quick" if one.quick else str(one.rounds)
        rows.append([f"`{name}`", one.when, f"`{one.commit}`", rounds, f"{one.load_average:.1f}"])
    machines = dict.fromkeys(f"{one.processor}, {one.cores} cores, {one.software}" for one in measured.values())
    return "### Conditions\n\n" + _table(rows) + "\n\n" + "\n".join(f"{machine}." for machine in machines)
