"""Packages import one way: what is low knows nothing of what is above it, and wings know only the protocol."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from configparser import ConfigParser
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "server" / "xinflight"

GROUND = (
    "errors",
    "negotiation",
    "i18n",
    "forwarded",
    "settings",
    "clock",
    "telemetry",
    "refusals",
    "request_ids",
    "supervise",
    "threads",
    "rate_limit",
    "tracing",
    "request_limits",
)
# The lowest first. A package imports only from those before it; `storage` and `upstream` stand side by side.
ORDER = [
    *GROUND,
    "auth",
    "imaging",
    "protocol",
    "model",
    "upstream",
    "storage",
    "uploads",
    "thumbnails",
    "journal",
    "tasks",
    "render",
    "account",
    "connection_registry",
    "host_reader",
    "gateway",
    "metrics",
    "connection",
]
ORDER += ["web", "app", "cli"]
STRANGERS = {("storage", "upstream"), ("upstream", "model")}
"""Pairs that must not meet although the order would allow it."""
WINGS = {"specs": set[str](), "demo": set[str](), "testing": {"demo", "app"}}
"""Packages beside the gateway: they import the protocol and the ground, and what is named here."""
MAY_IMPORT_WINGS = ("web/docs.py", "cli/commands.py", "cli/demo.py", "cli/server.py")

# Neither I/O nor a loop: these can be reasoned about, and tested, without either.
PURE = ("errors", "negotiation", "i18n", "forwarded", "rate_limit", "imaging", "protocol", "model")
LOOP_OR_IO = {"asyncio", "aiohttp", "socket", "sqlite3", "threading", "subprocess", "os", "time"}
WEB = ("web", "app", "cli", "demo")
CONCRETE = {"MemoryStore", "SqliteStore", "MemoryBlobs", "FileBlobs", "RecentBlobs", "MemoryBus"}


def package_of(path: Path) -> str:
    """Return the package of a file, or the module's own name for one of the root."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports(path: Path) -> Iterator[str]:
    """Yield every module and name that a file imports, inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
IMPORTS = {name: set(imports(path)) for name, path in FILES.items()}
PACKAGES = {package_of(path) for name, path in FILES.items() if name != "__init__.py"}


def targets(name: str) -> set[str]:
    """Return the packages of ours that a file imports from, without its own."""
    found = {wanted.split(".")[1] for wanted in IMPORTS[name] if wanted.startswith("xinflight.")}
    return (found & PACKAGES) - {package_of(FILES[name])}


MODULES = sorted(FILES.keys() - {"__init__.py"})


def test_every_package_has_its_place() -> None:
    assert {*ORDER, *WINGS} == PACKAGES


def test_every_package_is_shipped() -> None:
    config = ConfigParser()
    config.read(PACKAGE.parent.parent / "setup.cfg")
    folders = {path.parent.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("__init__.py")}
    assert {*config["options"]["packages"].split()} == {
        "xinflight.client_static",
        *(".".join(folder.parts) for folder in folders),
    }


@pytest.mark.parametrize("name", MODULES)
def test_packages_import_downwards(name: str) -> None:
    package = package_of(FILES[name])
    for target in targets(name):
        if package in WINGS:
            assert target in {"protocol", *GROUND, *WINGS[package]}, f"{name} must not import {target}"
        elif target in WINGS:
            assert name in MAY_IMPORT_WINGS, f"{name} must not import {target}"
        else:
            assert ORDER.index(target) < ORDER.index(package), f"{name} must not import {target}"
            assert (package, target) not in STRANGERS, f"{name} must not import {target}"


@pytest.mark.parametrize("name", MODULES)
def test_other_packages_are_imported_by_their_face(name: str) -> None:
    """One way of imports: what a package gives to others stands in its `__init__`."""
    package = package_of(FILES[name])
    for wanted in IMPORTS[name]:
        parts = wanted.split(".")
        if parts[0] == "xinflight" and parts[1] in PACKAGES - {package} and (PACKAGE / parts[1]).is_dir():
            assert len(parts) <= 3, f"{name}: import {parts[-1]} from xinflight.{parts[1]}"


def test_inside_a_package_they_point_one_way_too() -> None:
    modules = {f"xinflight.{name.removesuffix('.py').replace('/', '.')}": names for name, names in IMPORTS.items()}
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for module, names in modules.items():
        graph[module] |= {found for name in names if (found := name.rpartition(".")[0]) in modules} - {module}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", MODULES)
def test_nothing_imports_the_root(name: str) -> None:
    """`xinflight` imports everything: a module below it that did the same would make a circle."""
    taken = {
        wanted.removeprefix("xinflight.").partition(".")[0] for wanted in IMPORTS[name] if "xinflight." in wanted
    }
    assert taken <= PACKAGES
    assert "xinflight" not in IMPORTS[name]


@pytest.mark.parametrize("name", [name for name in MODULES if package_of(FILES[name]) in PURE])
def test_the_pure_packages_do_no_io(name: str) -> None:
    assert not {wanted.split(".")[0] for wanted in IMPORTS[name]} & LOOP_OR_IO


def test_the_web_framework_stays_in_the_handlers() -> None:
    found = {name for name, names in IMPORTS.items() if any("aiohttp.web" in wanted for wanted in names)}
    assert found
    assert {package_of(FILES[name]) for name in found} <= set(WEB)


def test_only_the_application_knows_where_things_are_stored() -> None:
    for name, names in IMPORTS.items():
        if name != "app.py" and not name.endswith("__init__.py"):
            assert not {wanted.rpartition(".")[2] for wanted in names} & CONCRETE, name


def test_no_file_is_long() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in FILES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}
