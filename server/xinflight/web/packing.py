"""Joins the modules of the page's first screen into one: a request less for each, and texts that compress together.

It is done while the files are read, and relies on how the page's modules are written: an `import { a, b as c }` or
an `export` of a declaration begins a line, nothing that is exported changes, no module waits while it is loaded, and
no name is an underscore and digits, as those of the joined modules are: their paths would be 1 % of what is sent.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from graphlib import TopologicalSorter
from posixpath import dirname, join, normpath, relpath

__all__ = ["dense", "imports", "pack"]

_NAMES = re.compile(r"^(?:import|export)\s*\{([^}]*)\}\s*from\s*\"([^\"]+)\";", re.MULTILINE)
_IMPORTED = re.compile(r"(?:^|;)(?:import|export)\b(?:[^\"();]*\bfrom)?\s*\"([^\"]+)\"", re.MULTILINE)
_LATER = re.compile(r"\bimport\(\"(\.[^\"]+)\"\)")
_REEXPORTED = re.compile(r"^export\s*\{([^}]*)\}", re.MULTILINE)
_TYPE = re.compile(r"/\*\* @type [^\n]*?\*/ ?")
_DECLARED = re.compile(r"^export (?=(?:async )?(?:class|const|function\*?) (\w+))", re.MULTILINE)


def imports(name: str, source: str) -> Iterator[str]:
    """Return the paths of what a module imports at once: not what it imports by a call of `import()`."""
    return (_path(name, specifier) for specifier in _IMPORTED.findall(source))


def pack(modules: Mapping[str, str], names: Collection[str], into: str) -> dict[str, str]:
    """Return modules by their path with those named joined into a new one, from which the others import them.

    Each becomes a function that is called once, in the order of the imports, so that its names stay its own; the new
    module exports what they return. Raises graphlib.CycleError if they import each other in a circle.
    """
    order = TopologicalSorter(
        {name: [path for path in imports(name, modules[name]) if path in names] for name in names}
    )
    packed = {name: f"_{number}" for number, name in enumerate(order.static_order())}
    outside = sorted({path for name in packed for path in imports(name, modules[name])} - set(packed))
    known = packed | {path: f"_{number}" for number, path in enumerate(outside, len(packed))}
    lines = [f'import * as {known[path]} from "{_relative(into, path)}";' for path in outside]
    for name, variable in packed.items():
        lines += [f"const {variable} = (() => {{", _as_function(name, modules[name], known, into), "})();"]
    lines.append(f"export {{ {', '.join(packed.values())} }};\n")
    others = {name: _importing(name, source, packed, into) for name, source in modules.items() if name not in packed}
    return {into: "\n".join(lines)} | others


def dense(source: str) -> str:
    """Return a script, style or page without indentation, empty lines and types; no text in it spans lines."""
    return "\n".join(filter(None, map(str.strip, _TYPE.sub("", source).splitlines())))


def _as_function(name: str, source: str, known: Mapping[str, str], into: str) -> str:
    """Return a module as the body of a function, which returns what it exports; `known` has the modules by path."""
    exported = [part.split()[-1] for names in _REEXPORTED.findall(source) for part in names.split(",")]
    exported += _DECLARED.findall(source)
    body = _NAMES.sub(lambda found: f"const {{{_renamed(found[1])}}} = {known[_path(name, found[2])]};", source)
    body = _DECLARED.sub("", body)
    # What was relative to the module's own address.
    body = _LATER.sub(lambda found: f'import("{_relative(into, _path(name, found[1]))}")', body)
    body = body.replace("import.meta.url", f'new URL("{_relative(into, name)}", import.meta.url).href')
    return f"{dense(body)}\nreturn {{ {', '.join(exported)} }};"


def _importing(name: str, source: str, packed: Mapping[str, str], into: str) -> str:
    """Return a module that takes from the joined one what it imported from the modules in there."""

    def taken(found: re.Match[str]) -> str:
        variable = packed.get(_path(name, found[2]))
        if variable is None:
            return found[0]
        taking = f'import {{ {variable} }} from "{_relative(name, into)}";'
        return f"{taking} const {{{_renamed(found[1])}}} = {variable};"

    return _NAMES.sub(taken, source)


def _renamed(names: str) -> str:
    return names.replace(" as ", ": ")


def _path(name: str, specifier: str) -> str:
    return normpath(join(dirname(name), specifier))


def _relative(name: str, path: str) -> str:
    found = relpath(path, dirname(name) or ".")
    return found if found.startswith(".") else f"./{found}"
