"""What the benchmark reports: tables, targets and the plot; and that the documentation shows what was measured."""

from pathlib import Path

import pytest

from bench.contenders import BARE, EQUAL, SPEED_EQUAL
from bench.load import Measured
from bench.pages import embedded, read_results
from bench.plot import plot
from bench.report import TABLES, report
from bench.results import Results
from bench.run import SCENARIOS
from bench.targets import targets

DOCS = Path(__file__).parent.parent / "docs"


def measured(cpu: float, progress_p50: float | None = 0.1) -> Measured:
    return Measured(
        clients=200,
        generations=100,
        cpu=cpu,
        busy=0.1,
        added_p50=0.002,
        added_p99=0.02,
        progress_p50=progress_p50,
        polls=9.0,
        messages=11.0,
        resident=50_000_000,
        driver_cpu=0.1,
        upstream_cpu=0.1,
        driver_late=0.001,
    )


COST = Results(
    cost={
        BARE.name: [measured(2.0), measured(4.0), measured(2.0)],
        EQUAL.name: [measured(4.0), measured(12.0), measured(5.0, progress_p50=None)],
        SPEED_EQUAL.name: [measured(1.2), measured(1.6), measured(1.6)],
    }
)


def test_a_table_has_medians_ranges_and_the_ratio_within_each_round() -> None:
    lines = report(COST).partition("### What a generation costs")[2].splitlines()
    header, _, peer, other, _ = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in lines[:9] if line.startswith("|")
    )
    assert dict(zip(header, peer, strict=True))["ratio"] == "1.00x"
    row = dict(zip(header, other, strict=True))
    assert row["CPU s per 1,000"] == "5.00 [4.00..12.00]"
    assert row["ratio"] == "2.50x"
    assert row["progress p50 ms"] == "100"


def test_a_target_is_met_or_missed_by_the_figure_that_is_shown() -> None:
    cost = targets(COST)[0]
    assert cost.values == (2.5, 0.6)
    assert (cost.met(0), cost.met(1)) == (False, True)
    assert cost.goal == "at most 1x, with `speed` 0.6x"
    (row,) = (line for line in report(COST).splitlines() if line.startswith("| CPU per generation at equal polls"))
    assert row.endswith("| 2.50x, **missed** | 0.60x, met |")


def test_what_was_not_measured_is_not_there() -> None:
    assert {target.figure.partition(" ")[0] for target in targets(COST)} == {"CPU", "progress", "polls"}
    assert "Cancel" not in report(COST)
    assert "Cancel" not in plot(COST)


def test_a_report_takes_the_place_of_the_former_one() -> None:
    document = "Before\n\n<!-- The load writes what follows. -->\n\n<!-- The load wrote that. -->\n\nAfter\n"
    for text in ("some", "other"):
        document = embedded(document, "load", text)
        assert document.split("\n\n")[2] == text
        assert document.startswith("Before\n")
        assert document.endswith("\nAfter\n")
    with pytest.raises(ValueError, match="substring not found"):
        embedded("Nothing", "load", "some")


def test_every_scenario_has_a_table_and_a_place_in_the_results() -> None:
    assert set(SCENARIOS) == set(TABLES) == set(Results.__struct_fields__) - {"conditions"}


def test_the_documentation_shows_what_was_measured() -> None:
    results = read_results()
    if not results.conditions:
        pytest.skip("nothing was measured yet")
    text = (DOCS / "performance.md").read_text("utf-8")
    assert embedded(text, "benchmark", report(results)) == text, "run make plots"
    assert (DOCS / "performance.svg").read_text("utf-8") == plot(results), "run make plots"
    measured = {name for name in SCENARIOS if getattr(results, name)}
    assert measured == set(results.conditions)
