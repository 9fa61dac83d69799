"""The command `xinflight backup`: a consistent copy of a data folder, also while a server runs on it."""

import signal
import sys
from pathlib import Path

import click

from xinflight.cli.logs import printable
from xinflight.cli.server import data_folder
from xinflight.cli.tokens import folder_options
from xinflight.clock import SystemClock
from xinflight.settings import BadSettings, Settings
from xinflight.storage import Backup, BackupFailed, BackupReport

__all__ = ["backup"]


@click.command()
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Then delete the oldest backups beyond N.")
@folder_options
def backup(dest: Path, keep: int | None, config_file: str | None, data_dir: str | None) -> None:
    """Back up the data folder to a new folder in DEST, named by the time, and print its path.

    The server may run meanwhile. A backup is a whole data folder: to restore it, copy it to where the server's was.
    Files that the previous backup in DEST has are linked, not copied. Exits with 1 if no backup was made; whatever
    stops it, nothing that looks like a backup is left.
    """
    _clean_up_when_stopped()
    try:
        folder = data_folder(Settings.load({"data_dir": data_dir}, file=config_file), demo=False)
        report = Backup(folder, dest, SystemClock().time(), _Progress()).run(keep)
    except (BadSettings, BackupFailed) as error:
        raise click.ClickException(printable(str(error))) from None
    click.echo(_described(report), err=True)
    click.echo(report.path)


def _clean_up_when_stopped() -> None:
    """Leave nothing behind when a service manager stops this, or the terminal is closed: not so with nohup."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: sys.exit(128 + received))


def _described(report: BackupReport) -> str:
    lines = [f"{report.tasks} generations, {report.files} files; {report.copied_bytes / 1e6:.1f} MB of them are new"]
    if report.deleted:
        lines.append(f"{report.deleted} were deleted on the server meanwhile, and are not in it")
    if report.lacking:
        lines.append(f"{report.lacking} generations lack files on the server itself, and so in the backup")
    return "\n".join(lines)


class _Progress:
    """Show on stderr what is being copied: in place on a terminal, else a line at the end of each stage."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        text = f"{stage} {100 * done // max(total, 1)} %"
        if text == self._shown:
            return
        self._shown = text
        if sys.stderr.isatty():
            click.echo(f"\r\033[K{text}", nl=done == total, err=True)
        elif done == total:
            click.echo(f"{stage} copied", err=True)
