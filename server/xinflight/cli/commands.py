"""The command line: `xinflight serve` and `xinflight doctor`, others in files of their own."""

import asyncio
import os
import sys
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click

from xinflight.cli.backup import backup
from xinflight.cli.data_report import describe_data
from xinflight.cli.demo import demo as demo_command
from xinflight.cli.login_report import describe_login
from xinflight.cli.logs import printable, redact, set_up_logs
from xinflight.cli.model_report import describe_missing, describe_model
from xinflight.cli.server import CantListen, event_loop_factory, run
from xinflight.cli.tokens import token
from xinflight.clock import SystemClock
from xinflight.demo import DemoUnavailable
from xinflight.errors import StoreUnusable
from xinflight.i18n import translate
from xinflight.protocol import UpstreamState
from xinflight.settings import BadSettings, Settings
from xinflight.supervise import Supervisor
from xinflight.upstream import Xinference

__all__ = ["common", "doctor", "examine", "greet", "load", "main", "secrets_of", "serve", "shown_url"]

KNOWN_VARIABLES = {
    "XINFLIGHT_CONFIG",
    *(f"XINFLIGHT_{name.upper()}" for name in Settings.__struct_fields__),
}
COMMON = [
    click.option("--xinference", "xinference_url", metavar="URL", help="URL of Xinference."),
    click.option("--model", metavar="UID", help="The default model."),
    click.option("--config", "config_file", metavar="FILE", help="A settings file (TOML)."),
]


HOST = click.option("--host", metavar="H", help="Address to bind to (127.0.0.1).")
DATA_DIR = click.option("--data-dir", metavar="D", help="Folder for tasks, images and the hashes of tokens.")
AUTH = click.option("--auth", metavar="MODE", help="How people log in: none, anonymous, tokens, jwt or proxy.")


def common(command: Any) -> Any:
    """Add the options that all commands share."""
    for option in reversed(COMMON):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="xinflight")
def main() -> None:
    """A gateway between people and their Xinference models."""


main.add_command(backup)
main.add_command(token)
main.add_command(demo_command)


@main.command()
@click.option("--demo", is_flag=True, help="Draw with the built-in demo engine; no Xinference is needed.")
@common
@HOST
@click.option("--port", type=int, metavar="P", help="Port to bind to (8000).")
@DATA_DIR
@click.option("--page", metavar="PATH", help="Custom page at / instead of the built-in one: a file, or a folder.")
@click.option("--allow-origin", "allow_origins", multiple=True, metavar="O", help="Origin of pages that may connect.")
@AUTH
def serve(demo: bool, config_file: str | None, **flags: Any) -> None:
    """Serve the page and the WebSocket until Ctrl+C."""
    given = {**flags, "allow_origins": flags["allow_origins"] or None}
    settings = load(config_file, given)
    set_up_logs(settings.log_level, secrets_of(settings))
    try:
        with asyncio.Runner(loop_factory=event_loop_factory(settings)) as runner:
            runner.run(
                run(
                    settings,
                    demo=demo,
                    # Elsewhere stderr becomes a log that others read, and a token that nobody has seen is of no use.
                    make_token=sys.stderr.isatty(),
                    started=lambda url, used: greet(url, used, demo=demo),
                    read=lambda: Settings.load(given, file=config_file, again=True),
                )
            )
    except (BadSettings, CantListen, DemoUnavailable, StoreUnusable) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"Can't start: {error}.") from None
    except KeyboardInterrupt:
        # Ctrl+C where the event loop has no signal handlers (Windows); the server has shut down cleanly by now.
        pass


def greet(url: str, settings: Settings, *, demo: bool) -> None:
    """Print the address of the page, and how to log in."""
    url, _, token = url.partition("#")
    if token and sys.stderr.isatty():
        url += f"#{token}"
        url += "\n  this address gives full access, and is shown only once; xinflight token list shows all tokens"
    elif settings.auth == "tokens":
        url += f"\n  it asks for a token; make one with: xinflight token new NAME --data-dir {settings.data_dir}"
    engine = "the demo engine (images are drawn, not generated)" if demo else shown_url(settings.xinference_url)
    click.echo(f"xinflight is at {url}\n  images come from {engine}\n  Ctrl+C stops it", err=True)


@main.command()
@common
@HOST
@DATA_DIR
@AUTH
def doctor(config_file: str | None, **flags: Any) -> None:
    """Check the log-in, the data folder, Xinference and its models, and print how to fix what is missing."""
    settings = load(config_file, flags)
    set_up_logs("error", secrets_of(settings))
    sys.exit(asyncio.run(examine(settings)))


def secrets_of(settings: Settings) -> list[str]:
    """Return the secrets among the settings."""
    return [secret for secret in (settings.api_key, urlsplit(settings.xinference_url).password) if secret]


def shown_url(url: str) -> str:
    """Return a URL without the name and password that it may contain."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def load(file: str | None, flags: dict[str, Any]) -> Settings:
    """Read the settings; exit with a message for an invalid one, and warn about unknown environment variables."""
    for name in os.environ:
        if name.startswith("XINFLIGHT_") and name not in KNOWN_VARIABLES:
            click.echo(f"{name} is no setting of xinflight and is left alone.", err=True)
    try:
        return Settings.load(flags, file=file)
    except BadSettings as error:
        raise click.ClickException(str(error)) from None


async def examine(settings: Settings) -> int:
    """Print how people log in, where data are, what runs on Xinference, and what to do about what is missing.

    Returns 0 if people can log in, the data folder can be used and there is a model for anything, else 1.
    """
    usable = True
    for describe in (describe_login, describe_data):
        lines, well = await asyncio.to_thread(describe, settings)
        usable = usable and well
        for line in lines:
            click.echo(line)
    clock = SystemClock()
    upstream = Xinference(settings, clock, Supervisor(clock), on_change=lambda: None)
    await upstream.start()
    try:
        state = upstream.state
        click.echo(f"Xinference   {shown_url(settings.xinference_url)}")
        click.echo(f"API key      {'given' if settings.api_key else 'none given'}")
        click.echo(f"State        {state}: {translate(f'upstream.{state}', 'en')}")
        if upstream.cause:
            cause = redact(upstream.cause, secrets_of(settings))
            # It may contain text of any server at that address: no escape sequence of it may reach the terminal.
            click.echo(f"Cause        {''.join(c if c.isprintable() else '?' for c in cause)}")
        models = upstream.infos()
        for line in (line for model in models for line in describe_model(model)):
            click.echo(printable(line))
        if upstream.unsuitable:
            click.echo(f"Not for this server: {printable(', '.join(sorted(upstream.unsuitable)))}")
        for line in describe_missing(models):
            click.echo(line)
        if state is UpstreamState.READY and not any(model.default_for for model in models):
            click.echo(
                f"To do        there is no model {settings.model}: launch it, or choose one above with --model"
            )
            return 1
        if state is not UpstreamState.READY:
            click.echo(f"To do        {translate(f'cure.{state}', 'en')}")
            return 1
        if not usable:
            return 1
        click.echo("All is well.")
        return 0
    finally:
        await upstream.close()
