"""`__all__` of a module is what it gives to others, no more and no less."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import xinflight

PACKAGE = Path(__file__).parent.parent / "server" / "xinflight"
TREES = {path.stem: ast.parse(path.read_text("utf-8")) for path in PACKAGE.glob("*.py")}
MODULES = sorted(TREES.keys() - {"__init__"})


def defined(module: str) -> Iterator[str]:
    """Yield the functions and classes of a module whose names are public."""
    for node in TREES[module].body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def taken(module: str) -> Iterator[str]:
    """Yield the names that other modules import from a module."""
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == f"xinflight.{module}":
                yield from (alias.name for alias in node.names)


def exported(module: str) -> list[str]:
    return list(importlib.import_module(f"xinflight.{module}").__all__)


@pytest.mark.parametrize("module", MODULES)
def test_what_is_named_is_there(module: str) -> None:
    names = exported(module)
    assert len(names) == len(set(names))
    for name in names:
        assert hasattr(importlib.import_module(f"xinflight.{module}"), name)
        assert not name.startswith("_")


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_is_named(module: str) -> None:
    """A function or class that is for its own module alone begins with an underscore."""
    assert set(defined(module)) - set(exported(module)) == set()


@pytest.mark.parametrize("module", MODULES)
def test_what_others_take_is_named(module: str) -> None:
    assert set(taken(module)) - set(exported(module)) == set()


def test_the_package_gives_what_it_says() -> None:
    assert sorted(xinflight.__all__) == sorted(taken_by_the_package())


def taken_by_the_package() -> Iterator[str]:
    for node in TREES["__init__"].body:
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
