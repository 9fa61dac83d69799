"""The lanes of the tests: a new one can't land in the wrong lane unseen."""

import subprocess
import sys

import pytest

from conftest import LANES_OF_FIXTURES, pytest_collection_modifyitems


def test_a_process_that_is_not_marked_fails_its_test() -> None:
    with pytest.raises(AssertionError, match=r"test_lanes.*starts a process.*mark it `process`"):
        subprocess.run([sys.executable, "-c", ""], check=True)


@pytest.mark.process
def test_a_process_that_is_marked_runs() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def needs_a_browser(browser: object) -> None:
    pass


def test_a_fixture_tells_the_lane(request: pytest.FixtureRequest) -> None:
    item = pytest.Function.from_parent(request.node.parent, name="new", callobj=needs_a_browser)
    assert item.get_closest_marker("browser") is None
    pytest_collection_modifyitems([item])
    assert item.get_closest_marker("browser") is not None


def test_every_lane_is_a_marker(pytestconfig: pytest.Config) -> None:
    markers = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert {*LANES_OF_FIXTURES.values(), "process", "slow"} <= markers
