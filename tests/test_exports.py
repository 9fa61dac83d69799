"""`__all__` of a module is what it gives to others, no more and no less."""

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import xinflight

PACKAGE = Path(__file__).parent.parent / "server" / "xinflight"
FILES = {
    ".".join(("xinflight", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
MODULES = sorted(FILES.keys() - {"xinflight"})


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax tree of each module. Not made while tests are collected, which every worker does."""
    return {module: ast.parse(path.read_text("utf-8")) for module, path in FILES.items()}


def defined(module: str) -> Iterator[str]:
    """Yield the functions and classes of a module whose names are public."""
    for node in trees()[module].body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


@cache
def imported() -> dict[str, set[str]]:
    """Return per module the names that other modules import from it."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                names[node.module] |= {
                    alias.name for alias in node.names if f"{node.module}.{alias.name}" not in FILES
                }
    return names


def exported(module: str) -> list[str]:
    return list(importlib.import_module(module).__all__)


# One test for all modules: a test for each would take longer to collect than to run.


def test_what_is_exported_exists() -> None:
    for module in MODULES:
        names = exported(module)
        assert len(names) == len(set(names)), module
        missing = [name for name in names if not hasattr(importlib.import_module(module), name)]
        assert missing == [], module
        assert [name for name in names if name.startswith("_")] == [], module


def test_what_is_public_is_exported() -> None:
    """A function or class that is for its own module alone begins with an underscore."""
    hidden = {module: set(defined(module)) - set(exported(module)) for module in MODULES}
    assert {module: names for module, names in hidden.items() if names} == {}


def test_what_others_import_is_exported() -> None:
    private = {module: imported().get(module, set()) - set(exported(module)) for module in MODULES}
    assert {module: names for module, names in private.items() if names} == {}


def test_the_package_exports_what_it_imports() -> None:
    taken = {
        alias.name for node in trees()["xinflight"].body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert sorted(xinflight.__all__) == sorted(taken)
