"""The part of the OpenAPI document for admins."""

from xinflight.errors import NotAcceptable, OutOfBounds, WrongShape
from xinflight.specs.operations import JSON, answer, operation, parameters
from xinflight.specs.schema import Schema

__all__ = ["admin_paths"]


def admin_paths() -> dict[str, Schema]:
    """Return the operations below `/api/v1/admin`."""
    return {
        "/api/v1/admin/queue": {
            "get": operation(
                "wholeQueue",
                "Get the work of all owners, without prompts (admins only)",
                {"200": answer("What runs, and a page of what waits.", {JSON: "WholeQueue"})},
                errors=(OutOfBounds, WrongShape, NotAcceptable),
                parameters=parameters("ListQueue", "cursor", "limit"),
                about="server",
            )
        },
        "/api/v1/admin/drain": {
            "post": operation(
                "drain",
                "Refuse new work, let running images finish, and stop a standalone server (admins only)",
                {"202": {"description": "The server is draining."}},
                errors=(),
                about="server",
            )
        },
    }
