"""The alert rules: each fires and doesn't when it should, by promtool, and has a cure in docs/operations.md."""

import re
import shutil
from pathlib import Path

import pytest

from metrics_table import OPERATIONS, check_promql, promtool

ROOT = Path(__file__).parent.parent
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
TESTS = RULES.with_name("alerts.test.yml")
ALERTS = dict(re.findall(r"- alert: (\w+)\n(.*?)(?=\n      - alert|\Z)", RULES.read_text("utf-8"), re.DOTALL))


def test_every_alert_says_what_is_wrong_and_where_the_cure_is() -> None:
    headings = re.findall(r"^### (\w+)$", OPERATIONS, re.MULTILINE)
    assert len(ALERTS) > 10
    assert [name for name in headings if name.startswith("Xinflight")] == list(ALERTS)
    for name, rule in ALERTS.items():
        assert re.search(r"summary: \".+\"", rule), name
        assert f"runbook: docs/operations.md#{name.lower()}\n" in f"{rule}\n", name
        assert re.search(r"labels: {severity: (page|ticket)}", rule), name


def test_every_alert_is_about_metrics_that_there_are() -> None:
    for rule in ALERTS.values():
        expression = re.search(r"(?s)expr: (?:>-)?(.*?)\n        \w", rule)
        assert expression is not None
        check_promql(expression[1])


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    firing = re.findall(
        r"alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels", TESTS.read_text("utf-8")
    )
    assert sorted(firing) == sorted(ALERTS)


@pytest.mark.process
def test_promtool_accepts_the_rules() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in checked.stdout


@pytest.mark.process
def test_the_alerts_fire_when_they_should_and_not_otherwise() -> None:
    tested = promtool("test", "rules", TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.process
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_that_never_fires_or_always_does_is_found(name: str, tmp_path: Path) -> None:
    """The cases are as strict as that: with an expression that says nothing, promtool fails."""
    rule = ALERTS[name]
    shutil.copy(TESTS, tmp_path)
    for nothing in ("vector(1) > 2", "up or on () vector(1)"):
        changed = re.sub(r"(?s)expr: .*?(?=\n        \w)", f"expr: {nothing}", rule)
        assert changed != rule
        (tmp_path / RULES.name).write_text(RULES.read_text("utf-8").replace(rule, changed), "utf-8")
        assert promtool("test", "rules", tmp_path / TESTS.name).returncode == 1, nothing
