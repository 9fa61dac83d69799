"""The table of metrics in docs/operations.md, which tests hold against the code, the alerts and the dashboard."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

OPERATIONS = (Path(__file__).parent.parent / "docs" / "operations.md").read_text("utf-8")


def documented() -> Iterator[tuple[str, str, frozenset[str], str]]:
    """Yield name, type, labels and meaning of every metric in the table."""
    for row in re.findall(r"^\| `(xinflight_\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", OPERATIONS, re.MULTILINE):
        name, kind, labels, meaning = row
        yield name, kind, frozenset(re.findall(r"`(\w+)`", labels)), meaning


def documented_series() -> dict[str, frozenset[str]]:
    """Return the labels of every series that PromQL may name, but `job` and `instance`."""
    series = dict.fromkeys(re.findall(r"`(process_\w+)`", OPERATIONS), frozenset[str]())
    for name, kind, labels, _ in documented():
        if kind == "histogram":
            series |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            series[name] = labels
    return series


def check_promql(expression: str) -> set[str]:
    """Hold that an expression names only series and labels that there are; return the series."""
    known = documented_series() | {"up": frozenset[str]()}
    # Durations such as [5m] would be taken for names.
    text = re.sub(r"\[[^]]*\]", "", expression)
    named = set(re.findall(r"\b(?:xinflight_|process_|up\b)\w*", text))
    assert named, expression
    assert named <= known.keys(), expression
    for series, selector in re.findall(r"(\w+){(.*?)}", text):
        assert set(re.findall(r"(\w+) *(?:=~|!~|!=|=)", selector)) <= known[series] | {"job", "instance"}, expression
    allowed = frozenset[str]().union(*(known[series] for series in named)) | {"job", "instance"}
    for group in re.findall(r"\b(?:by|on) *\((.*?)\)", text):
        assert {label.strip() for label in group.split(",")} <= allowed, expression
    return named


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool. Skips the test where it is not installed, and fails it in CI."""
    program = shutil.which("promtool")
    if program is None:
        reason = "promtool is not installed (Debian's package prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
