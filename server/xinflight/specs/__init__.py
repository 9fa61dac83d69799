"""Specifications generated from the structs of the protocol: AsyncAPI, OpenAPI, JSON Schema, TypeScript."""

from xinflight.specs.documents import documents
from xinflight.specs.meanings import MEMBERS
from xinflight.specs.page import page_content
from xinflight.specs.schema import CLIENT, HTTP, SERVER, schemas, tag

__all__ = [
    "CLIENT",
    "HTTP",
    "MEMBERS",
    "SERVER",
    "documents",
    "page_content",
    "schemas",
    "tag",
]
