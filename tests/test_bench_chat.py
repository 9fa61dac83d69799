"""The benchmark of chats: that it runs, and that it sees every token. It never asserts a time or a ratio."""

import sys

import pytest

from bench.chat import BARE, OURS, ChatOptions, compare_chats, table


@pytest.mark.process
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_both_are_measured_in_every_round() -> None:
    figures = compare_chats(ChatOptions(chats=3, rate=20.0, seconds=3.0, rounds=1))
    assert list(figures) == [BARE, OURS]
    for name, (one,) in figures.items():
        assert one.tokens > 0, name
        assert one.resident > 2**20, name
        assert 0 <= one.p50 <= one.p99, name
    lines = table(figures).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {BARE}", f"| {OURS}"]
    assert lines[2].split(" | ")[2] == "1.00x"
