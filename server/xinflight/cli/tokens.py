"""The command line: `xinflight token`, which also works while a server runs on the same data folder."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from xinflight.auth import TokenExists, TokenFile, TokenRecord
from xinflight.cli.logs import printable
from xinflight.cli.server import data_folder
from xinflight.clock import SystemClock
from xinflight.errors import StoreUnusable
from xinflight.settings import BadSettings, Settings

__all__ = ["folder_options", "list_", "new", "read_expiry", "revoke", "token"]

UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"([1-9][0-9]{0,5})([mhdw])")


@click.group()
def token() -> None:
    """Make, list and revoke tokens. A running server notices within a second."""


def folder_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which data folder is meant."""
    command = click.option("--config", "config_file", metavar="FILE", help="A settings file (TOML).")(command)
    return click.option("--data-dir", metavar="D", help="Data folder of the server.")(command)


@token.command()
@click.argument("name")
@click.option("--owner", metavar="OWNER", help="Whom it is for, by default NAME. An owner may have several tokens.")
@click.option("--expires", metavar="WHEN", help="A duration like 12h, 30d or 8w, or a date like 2030-01-31 (UTC).")
@click.option("--admin", is_flag=True, help="It may act for every owner.")
@click.option("--weight", type=float, default=1.0, metavar="W", help="Share of compute beside other owners (1).")
@folder_options
def new(name: str, expires: str | None, config_file: str | None, data_dir: str | None, **fields: Any) -> None:
    """Make a token and print it, once: only its hash is stored."""
    now = SystemClock().time()
    try:
        until = None if expires is None else read_expiry(expires, now)
        text, record = _file(config_file, data_dir).add(name, now=now, expires=until, **fields)
    except TokenExists:
        raise click.ClickException(
            f"There is a token {printable(name)}: revoke it, or choose another name."
        ) from None
    except (BadSettings, StoreUnusable, ValueError) as error:
        raise click.ClickException(printable(str(error))) from None
    click.echo(text)
    click.echo(f"{_described(record, now)}\nIt is not shown again.", err=True)


@token.command("list")
@folder_options
def list_(config_file: str | None, data_dir: str | None) -> None:
    """List all tokens, without the tokens themselves."""
    try:
        file = _file(config_file, data_dir)
        file.take_over()
        records = file.read()
    except (BadSettings, StoreUnusable) as error:
        raise click.ClickException(printable(str(error))) from None
    for record in records:
        click.echo(_described(record, SystemClock().time()))
    if not records:
        click.echo("There are no tokens.", err=True)


@token.command()
@click.argument("name")
@folder_options
def revoke(name: str, config_file: str | None, data_dir: str | None) -> None:
    """Revoke the token with this name or id. Its sessions and connections end."""
    try:
        record = _file(config_file, data_dir).remove(name)
    except (BadSettings, StoreUnusable) as error:
        raise click.ClickException(printable(str(error))) from None
    if record is None:
        raise click.ClickException(f"There is no token {printable(name)}; see xinflight token list.")
    click.echo(f"Revoked: {_described(record, SystemClock().time())}", err=True)


def _file(config_file: str | None, data_dir: str | None) -> TokenFile:
    settings = Settings.load({"data_dir": data_dir}, file=config_file)
    return TokenFile(Path(data_folder(settings, demo=False)))


def _described(record: TokenRecord, now: float) -> str:
    """Return one line about a token."""
    parts = [
        printable(record.name),
        f"id {record.id}",
        f"ends with {record.ending}",
        f"owner {printable(record.owner)}",
    ]
    if record.admin:
        parts.append("admin")
    if record.weight != 1.0:
        parts.append(f"weight {record.weight:g}")
    parts.append(f"made {_date(record.created)}")
    if record.expires is not None:
        parts.append(f"{'expired' if record.expires <= now else 'expires'} {_date(record.expires)}")
    return ", ".join(parts)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def read_expiry(text: str, now: float) -> float:
    """Return the Unix seconds of a duration from now or of the start of a day; raise ValueError for anything else."""
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        expires = now + int(duration[1]) * UNITS[duration[2]]
    else:
        try:
            expires = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise ValueError(f"--expires {text} is no duration like 30d and no date like 2030-01-31") from None
    if not now < expires <= datetime(9999, 1, 1, tzinfo=UTC).timestamp():
        raise ValueError(f"--expires {text} is not in the future")
    return expires
