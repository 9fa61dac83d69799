"""Pattern matching of the conformance kit, as described in docs/conformance.md."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

__all__ = ["OPERATORS", "BadPattern", "Mismatch", "Variables", "fill", "match"]

Variables = dict[str, Any]

_WHOLE = re.compile(r"\$\{([a-z_]+)\}")
_ABSENT = object()


class Mismatch(Exception):
    """A value doesn't match a pattern. The text says where and why."""


class BadPattern(Exception):
    """An invalid pattern, or a variable that is not set."""


def fill(template: Any, variables: Variables) -> Any:
    """Substitute the variables of a template. A text that consists of one variable gets the type of its value.

    Raises:
        BadPattern: a variable is not set.
    """
    if isinstance(template, dict):
        return {key: fill(value, variables) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, variables) for value in template]
    if not isinstance(template, str):
        return template
    missing = [name for name in _WHOLE.findall(template) if name not in variables]
    if missing:
        raise BadPattern(f"the variable {missing[0]} is not set")
    whole = _WHOLE.fullmatch(template)
    if whole:
        return variables[whole.group(1)]
    return _WHOLE.sub(lambda found: str(variables[found.group(1)]), template)


def match(pattern: Any, value: Any, variables: Variables) -> Variables:
    """Match a value against a pattern and return the variables that the pattern saves.

    Raises:
        Mismatch: the value doesn't match.
        BadPattern: the pattern is invalid.
    """
    saved: Variables = {}
    _match(fill(pattern, variables), value, saved, "")
    return saved


def _match(pattern: Any, value: Any, saved: Variables, path: str) -> None:
    if isinstance(pattern, dict) and any(key.startswith("$") for key in pattern):
        for name, wanted in pattern.items():
            if name == "$save":
                saved[wanted] = value
            elif name not in OPERATORS:
                raise BadPattern(f"there is no operator {name}")
            elif not OPERATORS[name](value, wanted):
                raise Mismatch(f"{path or 'message'} is {_shown(value)}, wanted {name} {_shown(wanted)}")
    elif isinstance(pattern, dict):
        if not isinstance(value, dict):
            raise Mismatch(f"{path or 'message'} is {_shown(value)}, wanted an object")
        for key, wanted in pattern.items():
            _match(wanted, value.get(key, _ABSENT), saved, f"{path}.{key}".lstrip("."))
    elif isinstance(pattern, list):
        if not isinstance(value, list) or len(value) != len(pattern):
            raise Mismatch(f"{path} is {_shown(value)}, wanted {len(pattern)} entries")
        for place, (wanted, entry) in enumerate(zip(pattern, value, strict=True)):
            _match(wanted, entry, saved, f"{path}[{place}]")
    elif not _same(pattern, value):
        raise Mismatch(f"{path or 'message'} is {_shown(value)}, wanted {_shown(pattern)}")


def _same(wanted: Any, value: Any) -> bool:
    """Compare as JSON does: true is not 1, but 1.0 is."""
    return isinstance(wanted, bool) is isinstance(value, bool) and bool(wanted == value)


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else f"{value!r:.200}"


def _matches(value: Any, pattern: Any) -> bool:
    try:
        _match(pattern, value, {}, "")
    except Mismatch:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_bytes(value: Any) -> bool:
    """Return whether a value is non-empty bytes, as such (MessagePack) or as base64 (JSON)."""
    if isinstance(value, bytes):
        return bool(value)
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except binascii.Error:
        return False


_KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "bytes": _is_bytes,
}


def _is_kind(value: Any, kind: Any) -> bool:
    if kind not in _KINDS:
        raise BadPattern(f"there is no type {kind}")
    return _KINDS[kind](value)


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$type": _is_kind,
    "$in": lambda value, wanted: any(_matches(value, one) for one in wanted),
    "$not": lambda value, wanted: not _matches(value, wanted),
    "$min": lambda value, wanted: _is_number(value) and value >= wanted,
    "$max": lambda value, wanted: _is_number(value) and value <= wanted,
    "$above": lambda value, wanted: _is_number(value) and value > wanted,
    "$regex": lambda value, wanted: isinstance(value, str) and re.fullmatch(wanted, value) is not None,
    "$has": lambda value, wanted: isinstance(value, list) and any(_matches(one, wanted) for one in value),
    "$length": lambda value, wanted: isinstance(value, list | str) and len(value) == wanted,
    "$absent": lambda value, wanted: (value is _ABSENT) is wanted,
}
