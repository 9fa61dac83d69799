"""Fixtures with a real Xinference; a test module takes them with `pytest_plugins = ["xinference_fixtures"]`.

Servers live for the whole session, since one takes half a minute to start. Without the environment of
`xinference_install` the tests are skipped on a user's machine, and fail in CI (`CI=true`) or where
`XINFLIGHT_REQUIRE_XINFERENCE=1` says that they must run.
"""

import os
import sys
from collections.abc import Iterator

import pytest

import xinference_install
from xinference_real import MODEL, PAIR, RealXinference


@pytest.fixture(scope="session")
def _installed() -> None:
    reason = xinference_install.missing() if sys.platform == "linux" else "the harness needs Linux (/proc)"
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
def real_xinference_auth(_installed: None) -> Iterator[RealXinference]:
    """Give a server with auth on, `api_key` made, that runs `tiny-z-image` with one replica."""
    with RealXinference(auth=True) as server:
        server.launch(MODEL)
        yield server
