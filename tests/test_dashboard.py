"""The dashboard for Grafana: every expression parses and names what there is, and together they show everything."""

import json
from pathlib import Path
from typing import Any

import pytest

from metrics_table import check_promql, documented_series, promtool

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "deploy" / "grafana" / "xinflight.json").read_text("utf-8")
)
PANELS = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
EXPRESSIONS += [annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]]
FOR_ALERTS = {"process_max_fds"}
"""What only alerts use."""


def test_every_panel_is_described_and_stands_alone() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) > 20
    taken: dict[tuple[int, int], int] = {}
    for panel in PANELS:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["description"]
            assert [target["refId"] for target in panel["targets"]] == sorted({*"ABCDEF"})[: len(panel["targets"])]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["id"]) == panel["id"], panel["title"]


def test_expressions_name_what_there_is_for_the_chosen_servers_alone() -> None:
    for expression in EXPRESSIONS:
        for series in check_promql(expression):
            chosen = f'{series}{{job="$job", instance=~"$instance"'
            assert expression.count(series) == expression.count(chosen), expression


def test_every_metric_is_shown() -> None:
    """Of a histogram one of its three series is enough; the version is what the servers are chosen by."""
    named = set[str]().union(*(check_promql(expression) for expression in EXPRESSIONS))
    shown = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in named}
    known = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in documented_series()}
    assert known - shown - FOR_ALERTS == {"xinflight_info"}
    assert "xinflight_info" in json.dumps(DASHBOARD["templating"])


@pytest.mark.process
def test_promtool_parses_every_expression(tmp_path: Path) -> None:
    """As rules, with what Grafana puts in the place of its variables."""
    rules = [
        {
            "record": f"panel:expression:{number}",
            "expr": expression.replace("$__rate_interval", "5m").replace("$job", "x").replace("$instance", ".*"),
        }
        for number, expression in enumerate(EXPRESSIONS)
    ]
    # JSON is YAML, too.
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"SUCCESS: {len(rules)} rules found" in checked.stdout
    rules[0]["expr"] += "("
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), "utf-8")
    assert promtool("check", "rules", file).returncode == 1
