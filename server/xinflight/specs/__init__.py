"""The specifications of the wire, made from its structs: AsyncAPI, OpenAPI, JSON Schema, TypeScript."""

from xinflight.specs.documents import documents
from xinflight.specs.meanings import FIELDS, MEMBERS
from xinflight.specs.page import reading
from xinflight.specs.schema import CLIENT, HTTP, SERVER, schemas, tag

__all__ = [
    "CLIENT",
    "FIELDS",
    "HTTP",
    "MEMBERS",
    "SERVER",
    "documents",
    "reading",
    "schemas",
    "tag",
]
