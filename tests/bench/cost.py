"""What a generation costs the server, and what people see of it: many clients, each with one under way."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.contenders import (
    BARE,
    EQUAL,
    ROOT,
    SPEED_EQUAL,
    TUTORIAL,
    XINFLIGHT,
    XINFLIGHT_SPEED,
    Contender,
    environ,
    staged,
)
from bench.load import Load, Measured
from bench.options import Options
from bench.processes import cores, driven

__all__ = ["CONTENDERS", "checked_out", "measure"]

CONTENDERS = (BARE, TUTORIAL, EQUAL, SPEED_EQUAL, XINFLIGHT, XINFLIGHT_SPEED)


def measure(contender: Contender, options: Options) -> Measured:
    """Measure one contender once.

    Raises:
        RuntimeError: a server does not start.
        subprocess.CalledProcessError: the load failed.
    """
    with staged(contender, slots=options.clients, generation=options.generation) as stage:
        seconds = options.seconds / 2 if options.quick else options.seconds
        load = Load(stage=stage, clients=[options.clients], seconds=seconds)
        (one,) = driven("bench.load", load, list[Measured], core=cores()[1], environ=environ(ROOT / "tests"))
        return one


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Unpack a commit into a temporary folder, from which it runs with the packages of this environment."""
    with TemporaryDirectory(prefix="xinflight-base-") as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        # Where setup.cfg maps it: otherwise it would be found in this tree's editable installation.
        page = Path(folder) / "server/xinflight/client_static"
        if not page.exists():
            page.symlink_to(Path(folder) / "client_static")
        yield Path(folder)
