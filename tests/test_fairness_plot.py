"""The plot in the documentation is that of the scheduler as it is."""

from pathlib import Path

from fairness_plot import plot

DOCS = Path(__file__).parent.parent / "docs"


def test_the_plot_is_up_to_date() -> None:
    assert (DOCS / "fairness.svg").read_text("utf-8") == plot(), "run make plots"
