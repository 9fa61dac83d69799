"""Tools that only node has, kept in the user's cache: AsyncAPI's parser, TypeScript's compiler, axe-core."""

import os
import shutil
import subprocess
from pathlib import Path

import platformdirs
import pytest
from filelock import FileLock

SPECIFICATIONS = ("@asyncapi/parser@3.6.3", "typescript@5.9.3")
AXE = ("axe-core@4.14.1",)


def node_tools(packages: tuple[str, ...] = SPECIFICATIONS) -> Path:
    """Return the folder in which `node` finds these packages; it is filled the first time.

    Skips the test where that can't be done, and fails it in CI.
    """
    cache = Path(os.environ.get("XINFLIGHT_CACHE") or platformdirs.user_cache_dir("xinflight")).expanduser()
    folder = cache / "-".join(["node", *(name.rpartition("/")[2].replace("@", "-") for name in packages)])
    cache.mkdir(parents=True, exist_ok=True)
    # Tests run in several processes: one fills it.
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        ready = folder / "ready"
        if not ready.exists():
            if shutil.which("npm") is None:
                _without("npm is not installed")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install = ("npm", "install", "--prefix", str(folder))
            command = (*install, "--no-audit", "--no-fund", "--ignore-scripts", *packages)
            done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
            if done.returncode != 0:
                _without(f"npm could not install them: {done.stderr[-500:]}")
            ready.touch()
    return folder


def _without(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"what only node has is needed in CI: {reason}")
    pytest.skip(reason)


def run_node(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run node in a folder; return what it said, and how it ended."""
    return subprocess.run(("node", *arguments), cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
