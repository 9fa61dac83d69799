"""The files of deploy/: systemd accepts the units, and what the container file does gives a server that serves."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import LONG
from xinflight.settings import Settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8").replace("\\\n", " ")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")

pytestmark = [pytest.mark.process, pytest.mark.timeout(300), pytest.mark.xdist_group("packaging")]


# systemd


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze. Skips the test where it is not installed, and fails it in CI."""
    program = shutil.which("systemd-analyze")
    if program is None:
        reason = "systemd-analyze is not installed (Debian's package systemd)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """Give copies of the units that run a program which is installed here."""
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text("utf-8").replace("/opt/xinflight/bin/xinflight", shutil.which("true") or ""))
        copies.append(copy)
    return copies


def test_systemd_accepts_the_units(units: list[Path]) -> None:
    checked = analyze("verify", "--man=no", *units)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_units_are_hardened(units: list[Path]) -> None:
    """By systemd's own measure: 0.0 is safe, 10.0 exposed; a service without any option has 9.6."""
    for unit in units:
        if unit.suffix == ".service":
            most = "15" if unit.stem == "xinflight" else "32"
            checked = analyze("security", "--offline=true", f"--threshold={most}", unit)
            assert checked.returncode == 0, checked.stdout


# The container


def instruction(name: str) -> list[str]:
    """Return what follows an instruction of the container file, each time that it is there."""
    return re.findall(rf"^{name} (.*)$", CONTAINERFILE, re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do what the first stage does, from what the build is sent, into another folder; return that of the programs."""
    source, prefix = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("opt") / "xinflight"
    for line in (DEPLOY / "Containerfile.dockerignore").read_text("utf-8").splitlines():
        if line.startswith("!"):
            path = ROOT / line[1:]
            if path.is_dir():
                shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
            else:
                shutil.copy(path, source)
    steps = instruction("RUN")[0].replace("/opt/xinflight", str(prefix)).replace("/source", str(source))
    assert str(prefix) in steps
    assert str(source) in steps
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", steps], env={**os.environ, "PATH": search}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix / "bin"


@pytest.fixture
def container(installed: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run what the container runs, with its variables, on a free port of loopback; yield it and its URL."""
    given = dict(pair.split("=", 1) for pair in instruction("ENV")[0].split())
    assert given["XINFLIGHT_HOST"] == "0.0.0.0"
    given |= {"XINFLIGHT_HOST": "127.0.0.1", "XINFLIGHT_PORT": "0", "XINFLIGHT_DATA_DIR": str(tmp_path / "data")}
    given["PATH"] = f"{installed}:{os.environ['PATH']}"
    command = [*json.loads(instruction("ENTRYPOINT")[0]), *json.loads(instruction("CMD")[0])]
    with subprocess.Popen(
        command, cwd=tmp_path, env=given, stderr=subprocess.PIPE, text=True, executable=installed / command[0]
    ) as process:
        assert process.stderr is not None
        try:
            line = next(line for line in process.stderr if line.startswith("xinflight is at "))
            yield process, line.split()[-1]
        finally:
            if process.poll() is None:
                process.kill()


def test_what_the_container_runs(container: tuple[subprocess.Popen[str], str], installed: Path) -> None:
    """All extras are there; the health check sees a server that lives, and its end; SIGTERM ends it with 0."""
    process, url = container
    extras = "import cryptography, httptools, opentelemetry.trace, PIL, prometheus_client, uvloop"
    assert subprocess.run([installed / "python", "-c", extras], check=False).returncode == 0
    with urllib.request.urlopen(f"{url}readyz", timeout=LONG) as response:
        assert response.status == 200
    (check,) = re.findall(r"CMD (\[.*healthz.*\])", CONTAINERFILE)
    program, *arguments = (part.replace("http://127.0.0.1:8000/", url) for part in json.loads(check))
    assert url in arguments[-1]
    assert subprocess.run([installed / program, *arguments], check=False).returncode == 0
    assert instruction("STOPSIGNAL") == ["SIGTERM"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONG) == 0
    silent = subprocess.run([installed / program, *arguments], check=False, stderr=subprocess.DEVNULL)
    assert silent.returncode == 1


def test_what_compose_starts() -> None:
    """It agrees with the container file, with the configuration of nginx, and with the settings."""
    compose = (DEPLOY / "compose.yaml").read_text("utf-8")
    nginx = (DEPLOY / "nginx" / "xinflight.conf").read_text("utf-8")
    given = dict(re.findall(r"^      (XINFLIGHT_\w+): (.*)$", compose, re.MULTILINE))
    assert {name.removeprefix("XINFLIGHT_").lower() for name in given} <= set(Settings.__struct_fields__)
    port = re.search(r"XINFLIGHT_PORT=(\d+)", CONTAINERFILE)
    assert port is not None
    assert f"server {given['XINFLIGHT_HOST']}:{port[1]};" in nginx
    # As the comment at the top of that file says.
    for setting in ('auth = "tokens"', 'trusted_proxies = ["127.0.0.1"]', "allow_hosts = "):
        assert setting in nginx
    assert (given["XINFLIGHT_AUTH"], given["XINFLIGHT_TRUSTED_PROXIES"]) == ("tokens", "127.0.0.1")
    assert "ssl_certificate     /etc/letsencrypt/live/" in nginx
    assert "./certificates:/etc/letsencrypt:ro" in compose
    for folder in re.findall(r"- (?:data|backups):(/\w+)", compose):
        assert re.search(rf"install --directory --owner=xinflight .*{folder}\b", CONTAINERFILE)
    dockerfile = re.search(r"context: (.*)\n *dockerfile: (.*)\n", compose)
    assert dockerfile is not None
    assert (DEPLOY / dockerfile[1] / dockerfile[2]).is_file()


def test_the_container_is_not_roots() -> None:
    """It runs as a user of a fixed id, which docs/operations.md names to those who mount a folder."""
    (user,) = instruction("USER")
    (created,) = re.findall(r"useradd .*--uid (\d+) --gid \1 .* xinflight\b", CONTAINERFILE)
    assert user == f"{created}:{created}"
    assert f"user {created}" in OPERATIONS
