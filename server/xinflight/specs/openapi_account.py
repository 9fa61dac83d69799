"""The part of the OpenAPI document about an owner's account."""

from xinflight.errors import AccountBusy, NotAcceptable, OutOfBounds, TooManyConnections, WrongShape
from xinflight.specs.operations import CSV, JSON, ZIP, answer, operation
from xinflight.specs.schema import Schema

__all__ = ["account_paths"]


def account_paths() -> dict[str, Schema]:
    """Return the operations below `/api/v1/account`."""
    account = "/api/v1/account"
    return {
        account: {
            "get": operation(
                "account",
                "Get the caller's identity, limits, and usage of today",
                {"200": answer("The account.", {JSON: "AccountInfo"})},
                errors=(NotAcceptable,),
                about="account",
            ),
            "delete": operation(
                "erase",
                "Cancel and delete all that the caller has; safe to repeat",
                {"200": answer("What was deleted.", {JSON: "ErasedInfo"})},
                errors=(AccountBusy, NotAcceptable),
                about="account",
            ),
        },
        f"{account}/usage": {"get": _usage()},
        f"{account}/export": {
            "get": operation(
                "export",
                "Download all that the caller has as one ZIP",
                {"200": {"description": "The archive. Its README.txt says what is in it.", "content": {ZIP: {}}}},
                errors=(AccountBusy, NotAcceptable, TooManyConnections),
                about="account",
            )
        },
    }


def _usage() -> Schema:
    report = answer("The usage. As CSV (RFC 4180): owner,day,seconds,outputs,bytes.", {JSON: "UsageReport"})
    report["content"][CSV] = {}
    return operation(
        "usage",
        "Get what was used per UTC day",
        {"200": report},
        errors=(OutOfBounds, WrongShape, NotAcceptable),
        parameters=[
            _query("from", "First day. Default: 29 days before `to`.", {"type": "string", "format": "date"}),
            _query("to", "Last day, at most 365 days later. Default: today.", {"type": "string", "format": "date"}),
            _query("format", "Takes precedence over Accept.", {"type": "string", "enum": ["json", "csv"]}),
            _query("owner", "For admins: whose usage. Default: the caller's.", {"type": "string"}),
            _query("scope", "For admins: the usage of all owners.", {"type": "string", "enum": ["all"]}),
        ],
        about="account",
    )


def _query(name: str, text: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "description": text, "schema": schema}
