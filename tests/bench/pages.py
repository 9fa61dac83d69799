"""The figures in the documentation: `docs/performance.json`, and what is made of it. `python -m bench.pages` does it.

`make plots` runs this, after a change of how figures are shown.
"""

import msgspec

from bench.contenders import ROOT
from bench.plot import plot
from bench.report import report
from bench.results import Results

__all__ = ["embedded", "read_results", "write_results"]

DOCS = ROOT / "docs"
BEGIN, END = "<!-- The benchmark writes what follows. -->\n\n", "\n\n<!-- The benchmark wrote that. -->"


def read_results() -> Results:
    """Return the figures of the documentation; none if it has none."""
    kept = DOCS / "performance.json"
    return msgspec.json.decode(kept.read_bytes(), type=Results) if kept.exists() else Results()


def write_results(results: Results) -> None:
    """Write figures into the documentation."""
    text = DOCS / "performance.md"
    text.write_text(embedded(text.read_text("utf-8"), results), "utf-8")
    (DOCS / "performance.svg").write_text(plot(results), "utf-8")
    (DOCS / "performance.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def embedded(document: str, results: Results) -> str:
    """Return the document with the report of the results in its place."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{report(results)}{END}{after}"


if __name__ == "__main__":
    write_results(read_results())
