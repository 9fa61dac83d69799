"""The part of the OpenAPI document for admins."""

from xinflight.errors import NotAcceptable, OutOfBounds, WrongShape
from xinflight.protocol import ListOwners, ListQueue
from xinflight.specs.operations import JSON, answer, operation, parameters
from xinflight.specs.schema import Schema

__all__ = ["admin_paths"]


def admin_paths() -> dict[str, Schema]:
    """Return the operations below `/api/v1/admin`."""
    return {
        "/api/v1/admin/status": {
            "get": operation(
                "status",
                "Get the state of Xinference and of the server, slots, and what failed lately (admins only)",
                {"200": answer("How the server is.", {JSON: "ServerStatus"})},
                errors=(NotAcceptable,),
                about="server",
            )
        },
        "/api/v1/admin/queue": {
            "get": operation(
                "wholeQueue",
                "Get the work of all owners, or of one, without prompts (admins only)",
                {"200": answer("What runs, and what is next or a page of what one owner has.", {JSON: "WholeQueue"})},
                errors=(OutOfBounds, WrongShape, NotAcceptable),
                parameters=parameters("ListQueue", *ListQueue.__struct_fields__),
                about="server",
            )
        },
        "/api/v1/admin/owners": {
            "get": operation(
                "owners",
                "List the owners with unfinished work, by name (admins only)",
                {"200": answer("A page of owners.", {JSON: "OwnerPage"})},
                errors=(OutOfBounds, WrongShape, NotAcceptable),
                parameters=parameters("ListOwners", *ListOwners.__struct_fields__),
                about="server",
            )
        },
        "/api/v1/admin/hold": {
            "post": operation(
                "hold",
                "Start nothing more until a release; work is accepted, and what runs goes on (admins only)",
                {"204": {"description": "Held."}},
                errors=(),
                about="server",
            )
        },
        "/api/v1/admin/release": {
            "post": operation(
                "release",
                "Let what waits take its turns again (admins only)",
                {"204": {"description": "Released."}},
                errors=(),
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
