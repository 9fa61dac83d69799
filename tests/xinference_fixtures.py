"""Fixtures with a real Xinference; a test module takes them with `pytest_plugins = ["xinference_fixtures"]`.

Servers live for the whole session, since one takes half a minute to start. Without the environment of
`xinference_install` the tests are skipped on a user's machine, and fail in CI (`CI=true`) or where
`XINFLIGHT_REQUIRE_XINFERENCE=1` says that they must run.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import xinference_install
from xinference_kinds import launch_animator, launch_editor, launch_writer
from xinference_real import MODEL, PAIR, RealXinference


@pytest.fixture(scope="session")
def _installed() -> None:
    _need(xinference_install.missing() if sys.platform == "linux" else "the harness needs Linux (/proc)")


@pytest.fixture(scope="session")
def _kinds_installed(_installed: None) -> None:
    _need(xinference_install.missing_kinds())


@pytest.fixture(scope="session")
def _edit_installed(_installed: None) -> None:
    _need(xinference_install.missing_edit())


def _need(reason: str | None) -> None:
    """Skip or fail if something is missing, for the reason given."""
    if reason is None:
        return
    if os.environ.get("CI") == "true" or os.environ.get("XINFLIGHT_REQUIRE_XINFERENCE") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_xinference(_installed: None) -> Iterator[RealXinference]:
    """Give a server without auth that runs `tiny-z-image` with one replica."""
    with RealXinference() as server:
        server.launch(MODEL)
        yield server


@pytest.fixture(scope="session")
def real_xinference_pair(real_xinference: RealXinference) -> RealXinference:
    """Give the same server, with `tiny-pair` (the same model, two replicas, with defaults) launched too."""
    real_xinference.launch(PAIR, replicas=2)
    return real_xinference


@pytest.fixture(scope="session")
def real_xinference_edits(_edit_installed: None, real_xinference: RealXinference) -> RealXinference:
    """Give the same server, with `tiny-kontext` launched too."""
    launch_editor(real_xinference)
    return real_xinference


@pytest.fixture(scope="session")
def real_xinference_kinds(_kinds_installed: None, real_xinference: RealXinference) -> RealXinference:
    """Give the same server, with `tiny-wan` and `tiny-qwen2` launched too."""
    with ThreadPoolExecutor(2) as pool:
        # Most of either launch is imports in a process of its own.
        for launched in [pool.submit(launch, real_xinference) for launch in (launch_animator, launch_writer)]:
            launched.result()
    return real_xinference


@pytest.fixture(scope="session")
def real_xinference_auth(_installed: None) -> Iterator[RealXinference]:
    """Give a server with auth on, `api_key` made, that runs `tiny-z-image` with one replica."""
    with RealXinference(auth=True) as server:
        server.launch(MODEL)
        yield server
