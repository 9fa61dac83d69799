"""The system calls that the systemd units leave are enough for what runs in them."""

import ctypes.util
import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from clients import LONG

ROOT = Path(__file__).parent.parent
UNITS = ROOT / "deploy" / "systemd"
XINFLIGHT = Path(sys.executable).parent / "xinflight"

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None or ctypes.util.find_library("seccomp") is None,
        reason="systemd-analyze or libseccomp is not installed",
    ),
]


def confined(unit: str, *arguments: object) -> list[str]:
    """Return the command that runs xinflight with what a unit leaves it."""
    command = [sys.executable, ROOT / "tests" / "sandboxed.py", UNITS / unit, XINFLIGHT, *arguments]
    return [str(part) for part in command]


def ask(url: str, data: bytes | None = None, kind: str = "application/json") -> bytes:
    """Return the body of an answer."""
    request = urllib.request.Request(url, data, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=LONG) as answer:
        return bytes(answer.read())


def test_what_the_units_leave_is_enough(tmp_path: Path) -> None:
    """A server draws from an upload, makes a thumbnail, reloads, is backed up, and stops with 0."""
    folder, backups = tmp_path / "data", tmp_path / "backups"
    upload = BytesIO()
    Image.new("RGB", (64, 64), "red").save(upload, "PNG")
    command = confined("xinflight.service", "serve", "--demo", "--port", 0, "--data-dir", folder)
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            url = next(line for line in process.stderr if line.startswith("xinflight is at ")).split()[-1]
            image = json.loads(ask(f"{url}api/v1/uploads", upload.getvalue(), "image/png"))["upload_id"]
            body = {"prompt": "boat", "image": image, "steps": 1, "size": "64x64"}
            drawn = json.loads(ask(f"{url}v1/images/generations", json.dumps(body).encode()))["data"][0]["url"]
            address = drawn.partition("?")[0]
            assert ask(address)
            assert ask(f"{address}/thumbnail").startswith(b"RIFF")
            process.send_signal(signal.SIGHUP)
            next(line for line in process.stderr if "settings reloaded" in line)
            backup = confined("xinflight-backup.service", "backup", backups, "--data-dir", folder)
            assert subprocess.run(backup, timeout=LONG, check=False).returncode == 0
            process.terminate()
            assert process.wait(LONG) == 0
        finally:
            if process.poll() is None:
                process.kill()
    assert len(list(backups.glob("2*/xinflight.db"))) == 1
