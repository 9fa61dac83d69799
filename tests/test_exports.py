"""`__all__` of a module is what it gives to others, no more and no less."""

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import xinflight

PACKAGE = Path(__file__).parent.parent / "server" / "xinflight"
TREES = {
    ".".join(("xinflight", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): ast.parse(
        path.read_text("utf-8")
    )
    for path in PACKAGE.rglob("*.py")
}
MODULES = sorted(TREES.keys() - {"xinflight"})


def defined(module: str) -> Iterator[str]:
    """Yield the functions and classes of a module whose names are public."""
    for node in TREES[module].body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


@cache
def imported() -> dict[str, set[str]]:
    """Return per module the names that other modules import from it."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                names[node.module] |= {
                    alias.name for alias in node.names if f"{node.module}.{alias.name}" not in TREES
                }
    return names


def exported(module: str) -> list[str]:
    return list(importlib.import_module(module).__all__)


@pytest.mark.parametrize("module", MODULES)
def test_what_is_exported_exists(module: str) -> None:
    names = exported(module)
    assert len(names) == len(set(names))
    for name in names:
        assert hasattr(importlib.import_module(module), name)
        assert not name.startswith("_")


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_is_exported(module: str) -> None:
    """A function or class that is for its own module alone begins with an underscore."""
    assert set(defined(module)) - set(exported(module)) == set()


@pytest.mark.parametrize("module", MODULES)
def test_what_others_import_is_exported(module: str) -> None:
    assert imported().get(module, set()) - set(exported(module)) == set()


def test_the_package_exports_what_it_imports() -> None:
    taken = {
        alias.name for node in TREES["xinflight"].body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert sorted(xinflight.__all__) == sorted(taken)
