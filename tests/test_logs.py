"""Logs: one JSON object a line whatever is logged, and nothing that a terminal obeys."""

import io
import json
import logging
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
import structlog

from clients import Json
from xinflight.cli import formatter, greet, printable, processors
from xinflight.cli.logs import set_log_level, set_up_logs
from xinflight.settings import Settings

EVIL = "out of memory\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\u202egnp.exe 内存"
ESCAPED = r"out of memory\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\u202egnp.exe 内存"


class Logs:
    """A logger of ours and one of a library, that write as the server does."""

    def __init__(self, *, people: bool, secrets: Collection[str] = ()) -> None:
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(formatter(people=people, secrets=secrets))
        self.library = logging.Manager(logging.RootLogger(logging.DEBUG)).getLogger("aiohttp.server")
        self.library.addHandler(handler)
        self.ours: structlog.stdlib.BoundLogger = structlog.wrap_logger(
            structlog.PrintLogger(self._stream),
            processors=processors(people=people, secrets=secrets),
            wrapper_class=structlog.stdlib.BoundLogger,
        )

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[Json]:
        return [json.loads(line) for line in self.text.splitlines()]


def fail() -> None:
    raise ValueError(EVIL)


def test_every_line_is_json() -> None:
    logs = Logs(people=False)
    logs.ours.warning("image failed", task="a", detail=EVIL)
    logs.library.error("Error handling request from %s", "127.0.0.1")
    plain, foreign = logs.lines
    assert (plain["event"], plain["level"], plain["task"], plain["detail"]) == (
        "image failed",
        "warning",
        "a",
        EVIL,
    )
    assert (foreign["event"], foreign["logger"]) == ("Error handling request from 127.0.0.1", "aiohttp.server")
    assert "timestamp" in plain
    assert "timestamp" in foreign
    assert logs.text.isascii()


def test_a_traceback_stays_in_its_line() -> None:
    logs = Logs(people=False)
    try:
        fail()
    except ValueError:
        logs.ours.exception("request failed", code="internal")
        logs.library.exception("Unhandled exception")
    ours, library = logs.lines
    for line, event in ((ours, "request failed"), (library, "Unhandled exception")):
        assert line["event"] == event
        assert line["exception"].startswith("Traceback (most recent call last):")
        assert "fail()" in line["exception"]


@pytest.fixture
def server_log(capfd: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Log as the standalone server does at its default level; give what captures it."""
    before, level = structlog.get_config(), logging.getLogger().level
    set_up_logs("info")
    # Not by that, where logging is set up already, as by pytest.
    set_log_level("info")
    yield capfd
    structlog.configure(**before)
    logging.getLogger().setLevel(level)


@pytest.mark.parametrize("method", ["debug", "info", "warning", "error", "exception", "critical"])
def test_a_line_of_any_level_is_written_or_dropped(method: str, server_log: pytest.CaptureFixture[str]) -> None:
    """A logger that raises instead would take along what handles the failure that it was to log."""
    getattr(structlog.stdlib.get_logger(), method)("told")
    assert ('"event":"told"' in server_log.readouterr().err) == (method != "debug")


def test_a_terminal_obeys_nothing_that_is_logged() -> None:
    """Text of the upstream that holds escape sequences is shown, not obeyed; colours are our own."""
    logs = Logs(people=True)
    logs.ours.warning("image failed", detail=EVIL.partition("\r")[0], word="x\x1b[2J", parts=[EVIL])
    logs.library.warning("%s", EVIL)
    try:
        fail()
    except ValueError:
        logs.ours.exception("request failed")
        logs.library.exception(EVIL)
    text = logs.text
    assert not {"\x07", "\x9b", "\u202e", "\r"} & set(text)
    assert "\x1b[2J" not in text
    assert "\x1b]" not in text
    assert ESCAPED in text
    assert "ValueError: out of memory" in text
    assert "fail()" in text


@pytest.mark.parametrize(
    ("text", "shown"), [("", ""), ("内存 ü", "内存 ü"), (EVIL, ESCAPED), ("a\tb", r"a\tb"), ("\ud800", r"\ud800")]
)
def test_what_is_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("terminal", [True, False])
def test_the_token_is_shown_on_a_terminal_only(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Elsewhere stderr becomes a log that others read."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    settings = Settings(data_dir=str(tmp_path), auth="tokens")
    greet("http://192.0.2.1:8000/#token=secret", settings, demo=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "xinflight is at http://192.0.2.1:8000/" in said.err
    assert ("secret" in said.err) == terminal
    greet("http://192.0.2.1:8000/", settings, demo=True)
    assert f"xinflight token new NAME --data-dir {tmp_path}" in capsys.readouterr().err
    greet("http://127.0.0.1:8000/", Settings(data_dir=str(tmp_path), auth="none"), demo=True)
    assert "token" not in capsys.readouterr().err
