"""What kinds.md shows works as it stands, but for the address; what its tables say of each kind is so."""

import os
import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from clients import Recorder
from kind_table import TABLE
from streams import Proxy
from test_docs import fences, table
from test_transports_docs import ADDRESS, run
from xinflight.model import identify
from xinflight.protocol import Kind
from xinflight.settings import Settings
from xinflight.tasks import limits
from xinflight.upstream import KINDS

TEXT = (Path(__file__).parent.parent / "docs" / "kinds.md").read_text("utf-8")
MODELS, EXAMPLES, SHORT = fences(TEXT, "sh")
EVERY_KIND, PATIENT = fences(TEXT, "python")
FILES = {
    "boat.jpg": "image/jpeg",
    "winter.jpg": "image/jpeg",
    "lighthouse.png": "image/png",
    "green.jpg": "image/jpeg",
    "sail.mp4": "video/mp4",
}


def test_every_kind_is_described_as_it_is() -> None:
    rows = table(TEXT, "| kind |")
    assert set(rows) == set(get_args(Kind)) == {row.kind for row in TABLE}
    for name, kind in KINDS.items():
        abilities = {"image2image"} if name == "edit" else kind.abilities
        assert abilities <= set(re.findall(r"`(\w+)`", rows[name][2])), name


def test_figures_are_those_of_the_settings() -> None:
    settings = Settings()
    least, most, multiple = settings.size_min, settings.size_max, limits(settings).size_multiple
    assert f"{least} to {most} pixels, a multiple of {multiple}" in TEXT
    assert settings.video_timeout == 4 * settings.timeout == 4 * 3600
    assert f"up to {settings.upload_bytes // 2**20} MB" in TEXT


def made(folder: Path) -> dict[str, str]:
    """Return the media types of the files that an example has saved."""
    return {path.name: identify(path.read_bytes()).media_type for path in folder.iterdir() if path.name in FILES}


@pytest.mark.process
@pytest.mark.timeout(180)
async def test_the_shell_lines_for_every_kind(demo_url: str, tmp_path: Path) -> None:
    url = demo_url.rstrip("/")
    assert '"kinds":["text2image"' in await run(tmp_path, "bash", "-ec", MODELS.replace(ADDRESS, url))
    # In the environment that xinflight is installed in, with Pillow.
    path = f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}"
    said = await run(tmp_path, "env", path, "bash", "-ec", EXAMPLES.replace(ADDRESS, url))
    assert '"code"' not in said, "nothing is refused"
    assert said.count('"type":"result"') == len(TABLE)
    assert '"type":"delta"' in said
    assert made(tmp_path) == FILES


@pytest.mark.process
@pytest.mark.timeout(180)
async def test_the_script_for_every_kind(demo_url: str, tmp_path: Path) -> None:
    script = EVERY_KIND.replace(ADDRESS, demo_url.rstrip("/"))
    said = await run(tmp_path, sys.executable, "-W", "error", "-c", script)
    assert made(tmp_path) == FILES
    assert "winter.jpg 256x256" in said
    assert "written by the demo" in said


@pytest.mark.process
async def test_the_shell_lines_for_short_requests(server: str, engine: Recorder, tmp_path: Path) -> None:
    await run(tmp_path, "bash", "-ec", SHORT.replace(ADDRESS, server.rstrip("/")))
    assert (tmp_path / "poster.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    assert engine.prompts == ["a red boat"]


@pytest.mark.process
async def test_the_script_for_short_requests(server: str, engine: Recorder, tmp_path: Path) -> None:
    """Through a line that is cut in the first answers: one image is made, once, and it arrives."""
    async with Proxy.before(server) as (proxy, url):
        proxy.cuts = [0, 100, 40]
        script = PATIENT.replace(ADDRESS, url.rstrip("/"))
        said = await run(tmp_path, sys.executable, "-W", "error", "-c", script)
        assert proxy.cut == 3
    assert said.strip() == "completed"
    assert (tmp_path / "poster-0.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    assert engine.prompts == ["a red boat"]
