"""The figures in the documentation: `docs/performance.json`, and what is made of it. `python -m bench.pages` does it.

`make plots` runs this, after a change of how figures are shown.
"""

import msgspec

from bench.contenders import ROOT
from bench.plot import plot
from bench.report import report
from bench.results import Results

__all__ = ["DOCS", "PAGE", "embedded", "read_results", "write_results"]

DOCS = ROOT / "docs"
PAGE = DOCS / "performance.md"


def read_results() -> Results:
    """Return the figures of the documentation; none if it has none."""
    kept = DOCS / "performance.json"
    return msgspec.json.decode(kept.read_bytes(), type=Results) if kept.exists() else Results()


def write_results(results: Results) -> None:
    """Write figures into the documentation."""
    PAGE.write_text(embedded(PAGE.read_text("utf-8"), "benchmark", report(results)), "utf-8")
    (DOCS / "performance.svg").write_text(plot(results), "utf-8")
    (DOCS / "performance.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def embedded(document: str, writer: str, text: str) -> str:
    """Return the document with a text between the marks of who writes it. Raises ValueError if they are missing."""
    begin, end = f"<!-- The {writer} writes what follows. -->", f"<!-- The {writer} wrote that. -->"
    place, over = document.index(begin) + len(begin), document.index(end)
    return f"{document[:place]}\n\n{text}\n\n{document[over:]}"


if __name__ == "__main__":
    write_results(read_results())
