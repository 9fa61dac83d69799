"""TypeScript types of the messages."""

from xinflight.protocol import SUBPROTOCOL_JSON
from xinflight.specs.schema import Schema, bounds, schemas

__all__ = ["typed", "typescript"]

_HEAD = f"""\
// The messages of xinflight, generated from its structs by `make specs`. See docs/protocol.md.
// For the sub-protocol {SUBPROTOCOL_JSON} and HTTP. In MessagePack, `b64_json` is a Uint8Array.
"""
_PRIMITIVES = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "array": "unknown[]",
    "null": "null",
    "object": "Record<string, unknown>",
}


def typescript() -> str:
    """Return a module of declarations: an interface for each struct, a union for each choice."""
    return "\n".join([_HEAD, *(_declaration(name, schema) for name, schema in schemas().items())])


def _declaration(name: str, schema: Schema) -> str:
    head = _comment(schema["description"], "")
    if "properties" not in schema:
        return f"{head}export type {name} = {typed(schema)};\n"
    fields = "".join(
        f"{_comment(_with_bounds(field), '  ')}  {key}{'' if key in schema['required'] else '?'}: {typed(field)};\n"
        for key, field in schema["properties"].items()
    )
    return f"{head}export interface {name} {{\n{fields}}}\n"


def typed(schema: Schema) -> str:
    """Return the TypeScript type of a schema, `unknown` if it has no constraint.

    Raises:
        KeyError: the schema uses a keyword that the structs don't need.
    """
    match schema:
        case {"$ref": ref}:
            return str(ref.rpartition("/")[2])
        case {"const": value}:
            return _literal(value)
        case {"enum": values}:
            return " | ".join(map(_literal, values))
        case {"anyOf": choices} | {"oneOf": choices}:
            return " | ".join(map(typed, choices))
        case {"type": "array", "items": items}:
            inner = typed(items)
            return f"({inner})[]" if " | " in inner else f"{inner}[]"
        case {"type": "string", "title": _, "examples": known}:
            # `string & {}` keeps the known values in the suggestions of editors.
            return " | ".join([*map(_literal, known), "(string & {})"])
        case {"type": kind}:
            return _PRIMITIVES[kind]
    return "unknown"


def _literal(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _with_bounds(schema: Schema) -> str:
    text = bounds(schema)
    return f"{schema['description']} ({text})" if text else str(schema["description"])


def _comment(text: str, indent: str) -> str:
    lines = text.replace("*/", "* /").split("\n")
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}".rstrip() + "\n" for line in lines), f"{indent} */\n"])
