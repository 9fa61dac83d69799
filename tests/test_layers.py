"""Packages import one way: what is low knows nothing of what is above it, and wings know only the protocol."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from configparser import ConfigParser
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

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
    "key_locks",
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
    "file_metadata",
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
PURE = ("errors", "negotiation", "i18n", "forwarded", "rate_limit", "imaging", "protocol", "model", "file_metadata")
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
PACKAGES = {package_of(path) for name, path in FILES.items() if name != "__init__.py"}


@cache
def imports_of_files() -> dict[str, set[str]]:
    """Return what each file imports. Not read while tests are collected, which every worker does."""
    return {name: set(imports(path)) for name, path in FILES.items()}


def targets(name: str) -> set[str]:
    """Return the packages of ours that a file imports from, without its own."""
    found = {wanted.split(".")[1] for wanted in imports_of_files()[name] if wanted.startswith("xinflight.")}
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


def may_import(name: str, target: str) -> bool:
    """Tell whether a file may import from another package."""
    package = package_of(FILES[name])
    if package in WINGS:
        return target in {"protocol", *GROUND, *WINGS[package]}
    if target in WINGS:
        return name in MAY_IMPORT_WINGS
    return ORDER.index(target) < ORDER.index(package) and (package, target) not in STRANGERS


# One test for all files: a test for each would take longer to collect than to run.


def test_packages_import_downwards() -> None:
    wrong = [(name, target) for name in MODULES for target in targets(name) if not may_import(name, target)]
    assert wrong == []


def test_other_packages_are_imported_by_their_face() -> None:
    """One way of imports: what a package gives to others stands in its `__init__`."""
    wrong = []
    for name in MODULES:
        for wanted in imports_of_files()[name]:
            ours, package, *path = [*wanted.split("."), ""]
            elsewhere = package in PACKAGES - {package_of(FILES[name])}
            if ours == "xinflight" and elsewhere and (PACKAGE / package).is_dir() and len(path) > 2:
                wrong.append((name, wanted))
    assert wrong == []


def test_inside_a_package_they_point_one_way_too() -> None:
    modules = {
        f"xinflight.{name.removesuffix('.py').replace('/', '.')}": names for name, names in imports_of_files().items()
    }
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for module, names in modules.items():
        graph[module] |= {found for name in names if (found := name.rpartition(".")[0]) in modules} - {module}
    TopologicalSorter(graph).prepare()


def test_nothing_imports_the_root() -> None:
    """`xinflight` imports everything: a module below it that did the same would make a circle."""
    wanted = {(name, wanted) for name in MODULES for wanted in imports_of_files()[name]}
    assert not {(name, module) for name, module in wanted if module == "xinflight"}
    taken = {(name, module.split(".")[1]) for name, module in wanted if module.startswith("xinflight.")}
    assert not {(name, package) for name, package in taken if package not in PACKAGES}


def test_the_pure_packages_do_no_io() -> None:
    pure = [name for name in MODULES if package_of(FILES[name]) in PURE]
    assert pure
    assert not {
        (name, wanted) for name in pure for wanted in imports_of_files()[name] if wanted.split(".")[0] in LOOP_OR_IO
    }


def test_the_web_framework_stays_in_the_handlers() -> None:
    found = {name for name, names in imports_of_files().items() if any("aiohttp.web" in wanted for wanted in names)}
    assert found
    assert {package_of(FILES[name]) for name in found} <= set(WEB)


def test_only_the_application_knows_where_things_are_stored() -> None:
    for name, names in imports_of_files().items():
        if name != "app.py" and not name.endswith("__init__.py"):
            assert not {wanted.rpartition(".")[2] for wanted in names} & CONCRETE, name


def test_no_file_is_long() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in FILES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}
