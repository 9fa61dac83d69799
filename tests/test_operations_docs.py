"""docs/operations.md names what is there: lines of the log, states of the health checks, files, settings."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

from test_docs import table, ticked
from xinflight.protocol import Health
from xinflight.settings import RELOADABLE, Settings

ROOT = Path(__file__).parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
SOURCE = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "server").rglob("*.py")))


def test_the_lines_of_the_log() -> None:
    """All that somebody should look at are there, with what to do, and no others."""
    events = {event for cell in table(OPERATIONS, "| `event` |") for event in re.split("`, `", cell)}
    written = re.findall(r'log\.(\w+)\(\s*"(?:%d )?([^"]+)"', SOURCE)
    assert len(written) > 50
    for event in events:
        assert f'{event}"' in SOURCE, event
    assert {event for level, event in written if level in ("warning", "error", "exception")} <= events


def test_the_commands_that_read_the_log_pass_over_lines_of_text() -> None:
    """Lines of systemd and the greeting are among those of the log; without `fromjson?`, jq stops at the first."""
    commands = re.findall(r"^journalctl .*\| (jq .*)$", OPERATIONS, re.MULTILINE)
    assert len(commands) > 2
    for command in commands:
        assert re.match(r"jq -\w*R\w* 'fromjson\? \| ", command), command


def test_the_states_of_the_health_checks() -> None:
    assert list(table(OPERATIONS, "| `status` |")) == list(get_args(get_type_hints(Health)["status"]))


def test_settings_that_a_reload_changes() -> None:
    """What is named as changing at once does, and what is named as needing a start does."""
    at_once, at_start = re.findall(
        r"^- \*\*(?:At once|With the next start)\*\*(.*?)(?=^- \*\*)", OPERATIONS, re.MULTILINE | re.DOTALL
    )
    assert {"drain", "log_level"} <= ticked(at_once) & set(Settings.__struct_fields__) <= RELOADABLE
    assert {"port", "auth"} <= ticked(at_start) & set(Settings.__struct_fields__)
    assert not ticked(at_start) & RELOADABLE
