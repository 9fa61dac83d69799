"""The benchmark of the page: that it runs, and that what it counts is right. It never asserts a time."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser

from bench.page import Frames, Load, PageOptions, measure_loads, report, served
from clients import PAINTER, Recorder

pytest_plugins = ["page_fixtures"]


async def test_both_visits_are_measured(browser: Browser, tmp_path: Path) -> None:
    async with served(tmp_path, Recorder([PAINTER])) as url:
        (first,), (second,) = await measure_loads(browser, url, 1)
    assert 0.15 <= first.words <= first.live
    assert 3 < first.requests < 20, "the page, its styles, its modules and its icons"
    assert 20 < first.body_kb < first.body_kb + first.later_kb < first.wire_kb, "some of it later"
    # The page alone is asked for, and what may be asked for again is not sent again.
    assert second.requests <= 3
    assert second.wire_kb < first.wire_kb / 5


def test_the_report() -> None:
    load = Load(words=0.5, live=1.0, requests=90, body_kb=50.0, later_kb=10.0, wire_kb=100.0)
    frames = Frames(per_second=60.0, longest=16.6, memory=200.0)
    text = report([load, load], [load], frames, frames)
    assert re.search(r"\| first \| 0\.50 \(0\.50 to 0\.50\) \| 1\.00", text)
    assert "60 frames/s, the longest 17 ms, 200 MB" in text
    assert "frames" not in report([load], [load], None, None)


def test_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGES", "0")
    monkeypatch.setenv("ROUNDS", "7")
    assert PageOptions.from_environ() == PageOptions(images=0, rounds=7)
