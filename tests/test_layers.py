"""Imports point one way: what is low knows nothing of what is above it."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "server" / "xinflight"

# Families (`xinference_attempt` is of `xinference`), the lowest first. One imports from those above it in this list.
ORDER = """
    errors protocol specs negotiation words pace scheduler clock collector supervise forwarded config images
    task store bus follower journal auth xinference work history positions acceptance runner recovery manager
    refusals render outbox session gateway drawing emulator logs web app serve cli testing
""".split()
# Neither I/O nor a loop: these can be reasoned about, and tested, without either. `images` is the contract alone.
PURE_FAMILIES = ("errors", "protocol", "specs", "negotiation", "words", "pace", "scheduler", "task")
LOOP_OR_IO = {"asyncio", "aiohttp", "socket", "sqlite3", "threading", "subprocess", "os", "time"}
CONTRACTS = ("store", "bus", "images")
HANDLERS = ("web", "app", "serve", "testing", "cli")


def family(module: str) -> str:
    """Return the family of a module."""
    return module.partition("_")[0]


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = {path.stem: set(imports(path)) for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
OURS = {
    module: {name.split(".")[1] for name in names if name.startswith("xinflight.")} & MODULES.keys()
    for module, names in MODULES.items()
}


def test_every_family_has_its_place() -> None:
    assert {family(module) for module in MODULES} == set(ORDER)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module: str) -> None:
    for target in OURS[module]:
        assert ORDER.index(family(target)) <= ORDER.index(family(module)), f"{module} must not import {target}"


def test_inside_a_family_they_point_one_way_too() -> None:
    TopologicalSorter(OURS).prepare()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_imports_the_package_itself(module: str) -> None:
    """`xinflight` imports everything: a module below it that did the same would make a circle."""
    assert "xinflight" not in MODULES[module]


PURE = {module for module in MODULES if family(module) in PURE_FAMILIES} | {"images"}


@pytest.mark.parametrize("module", sorted(PURE))
def test_the_pure_ones_do_no_io(module: str) -> None:
    assert not {name.split(".")[0] for name in MODULES[module]} & LOOP_OR_IO
    assert OURS[module] <= PURE


def test_the_web_stays_in_the_handlers() -> None:
    found = {module for module, names in MODULES.items() if "aiohttp.web" in names}
    assert found
    assert {family(module) for module in found} <= set(HANDLERS)


def test_only_the_application_knows_where_things_are_kept() -> None:
    """What an implementation is made of, like `store_sqlite_schema`, it may import itself."""
    concrete = {module for module in MODULES if family(module) in CONTRACTS} - set(CONTRACTS)
    assert concrete
    for module, targets in OURS.items():
        if module != "app":
            parts = {target for target in concrete if target.startswith(f"{module}_")}
            assert not targets & concrete - parts, module
