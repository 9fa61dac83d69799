"""The sdist and the wheel are whole: installed into a fresh environment, the server serves from them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients import LONG

ROOT = Path(__file__).parent.parent
PIP = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet")

# Nothing here is quick: pip looks for packages, twice. What was built is shared, so one worker runs them all.
pytestmark = [pytest.mark.process, pytest.mark.timeout(300), pytest.mark.xdist_group("packaging")]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that nothing left over in the checkout gets in; return the folder."""
    copy = tmp_path_factory.mktemp("copy") / "xinflight"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(".*", "build", "dist", "data", "node_modules", "*.egg-info", "__pycache__"),
    )
    # From the tree the sdist, from the sdist the wheel: both are tried.
    run(sys.executable, "-m", "build", copy)
    return copy / "dist"


@pytest.fixture(scope="module")
def bin_folder(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel without extras into a fresh environment; return the folder of its programs."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "python", *PIP, only(dist, "*.whl"))
    return folder / "bin"


def run(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def browser_side() -> set[str]:
    """Return the files of the browser side, as the checkout has them."""
    folder = ROOT / "client_static"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in files if "__pycache__" not in name}


def test_the_wheel_has_the_package_and_nothing_else(dist: Path) -> None:
    with zipfile.ZipFile(only(dist, "*.whl")) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        licences = [name for name in wheel.namelist() if name.endswith("LICENSE")]
    server = ROOT / "server"
    modules = {path.relative_to(server).as_posix() for path in (server / "xinflight").rglob("*.py")}
    data = {"xinflight/py.typed", "xinflight/testing/conformance.json"}
    assert names == modules | data | {f"xinflight/client_static/{name}" for name in browser_side()}
    assert licences


def test_the_sdist_has_what_a_build_needs(dist: Path) -> None:
    with tarfile.open(only(dist, "*.tar.gz")) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"client_static/{name}" for name in browser_side()} <= names
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "server/xinflight/py.typed"} <= names


def test_a_missing_extra_is_named_and_then_it_serves(dist: Path, bin_folder: Path, tmp_path: Path) -> None:
    with server(bin_folder, tmp_path) as said:
        assert list(said) == ["Error: The demo draws with Pillow: pip install 'xinflight[demo]'\n"]
    run(bin_folder / "python", *PIP, f"{only(dist, '*.whl')}[all]")
    with server(bin_folder, tmp_path) as said:
        url = next(found.group(1) for line in said if (found := re.search(r"xinflight is at (\S+)", line)))
        page = fetch(url)
        assets = set(re.findall(r'(?:src|href)="(assets/[^"]+)"', page))
        assert any(name.endswith(".js") for name in assets)
        assert any(name.endswith(".css") for name in assets)
        for asset in assets:
            assert load(url + asset)
        assert fetch(f"{url}healthz") == '{"status":"ok","upstream":"ready"}'


@contextmanager
def server(bin_folder: Path, folder: Path) -> Iterator[Iterator[str]]:
    """Run the installed server away from the checkout; yield the lines that it says, and stop it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("XINFLIGHT_", "PYTHON"))}
    command = (bin_folder / "xinflight", "serve", "--demo", "--port", "0", "--data-dir", "data")
    with subprocess.Popen(command, cwd=folder, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process.stderr
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
    assert "Traceback" not in rest


def fetch(url: str) -> str:
    return load(url).decode()


def load(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=LONG) as answer:
        assert answer.status == 200
        body: bytes = answer.read()
        return body
