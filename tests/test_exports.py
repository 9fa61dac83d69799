"""`__all__` of a module is what it gives to others, no more and no less."""

import ast
import importlib
from collections.abc import Iterator
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


def imported(module: str) -> Iterator[str]:
    """Yield the names that other modules import from a module."""
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == module:
                yield from (alias.name for alias in node.names if f"{module}.{alias.name}" not in TREES)


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
    assert set(imported(module)) - set(exported(module)) == set()


def test_the_package_exports_what_it_imports() -> None:
    taken = {
        alias.name for node in TREES["xinflight"].body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert sorted(xinflight.__all__) == sorted(taken)
