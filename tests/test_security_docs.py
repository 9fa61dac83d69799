"""SECURITY.md and THREAT_MODEL.md: every test and file that they name is there, and every limit is the code's."""

import re
from pathlib import Path

import pytest

from xinflight import rate_limit, refusals
from xinflight.auth import guesses
from xinflight.settings import LIMITS
from xinflight.tasks import FRAME_BYTES
from xinflight.uploads import uploads
from xinflight.web import connections, context, first_message, streams, upload_bodies, websocket

ROOT = Path(__file__).parent.parent
DOCS = {name: (ROOT / "docs" / name).read_text("utf-8") for name in ("SECURITY.md", "THREAT_MODEL.md")}
MODEL = DOCS["THREAT_MODEL.md"]
DEFENDED = MODEL[MODEL.index("## 5. What is defended") : MODEL.index("## 6. What is not defended")]
ROWS = [line for line in DEFENDED.splitlines() if line.startswith("| ") and not line.startswith("| threat |")]


def test_every_threat_has_tests_that_are_there() -> None:
    assert len(ROWS) > 40
    for row in ROWS:
        threat, defence, tests = (cell.strip() for cell in row.strip("|").split(" | "))
        assert threat
        assert defence
        named = re.findall(r"`(tests/[a-z0-9_]+\.py)`", tests)
        assert named, row
        assert ", ".join(f"`{name}`" for name in named) == tests
        for name in named:
            assert "def test_" in (ROOT / name).read_text("utf-8"), name


@pytest.mark.parametrize("name", DOCS)
def test_links_lead_somewhere(name: str) -> None:
    text = DOCS[name]
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        linked = (ROOT / "docs" / path).read_text("utf-8") if path else text
        headings = {
            re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in linked.splitlines()
            if line.startswith("#")
        }
        assert not anchor or anchor in headings, target


def test_figures_are_those_of_the_code() -> None:
    assert (guesses.FAILURES, rate_limit.PERIOD / guesses.FAILURES) == (10, 6)
    assert "ten failures per address (IPv6: per /64), then one every six seconds" in MODEL
    assert f"has {first_message.SECONDS:g} s, {first_message.FRAME_BYTES // 1024} KiB and no session" in MODEL
    assert f"{connections.IDLE:g} s for a complete request, {context.BODY_SECONDS:g} s for a body" in MODEL
    assert f"an upload has {upload_bodies.UPLOAD_SECONDS:g} s, with no pause of {context.BODY_SECONDS:g} s" in MODEL
    assert f"streamed to disk, {uploads.PIECE // 1024} KiB in memory each" in MODEL
    assert f"up to {FRAME_BYTES // 1024} KiB and {websocket.MAX_FRAME // 2**20} MiB" in MODEL
    assert f"does not get through in {streams.PATIENCE:g} s" in MODEL
    assert f"logged {refusals.LINES} times a minute" in MODEL
    assert f"more than {rate_limit.KEYS:,} addresses" in MODEL
    per_owner = LIMITS["connections_per_owner"] * websocket.MAX_FRAME / 2**20
    assert f"limits {per_owner:.0f} MB per owner" in MODEL
