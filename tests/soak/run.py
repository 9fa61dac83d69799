"""Run the soak: many people do everything at once for a long time, and the server must be as before afterwards.

`make soak MINUTES=60` runs this. After a warm-up everybody leaves and erases what is theirs: that is the state to
come back to. Then they live for so many minutes, and leave and erase again. Whatever did not come back fails the
soak, and so does whatever was not as promised. Options are environment variables: MINUTES, CLIENTS, WARM_UP
(seconds), OUT (a folder for the samples and the plot), WRITE (1: put table and plot into the documentation, too).
"""

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
import uvloop
from msgspec import Struct

from bench.contenders import ROOT, environ
from bench.pages import DOCS, PAGE, embedded
from bench.processes import Process, cores, running
from soak.checks import LOADED, Check, growth, quiescence
from soak.person import GRACE, Broken, Person
from soak.plot import plot
from soak.samples import Sample, sample

__all__ = ["SoakOptions", "Soaked", "soak"]

EVERY = 5.0
"""Seconds between two samples."""
REST = 120.0
"""Seconds in which a server that nobody uses must be at rest."""
POINTS = 240
"""Samples that the plot of the documentation has."""
HISTORY = 600
"""Ended tasks that the server keeps, so that it deletes the oldest from early on."""

SETTINGS = {
    "XINFLIGHT_AUTH": "anonymous",
    "XINFLIGHT_METRICS": "true",
    "XINFLIGHT_METRICS_NETWORKS": "127.0.0.1/32",
    "XINFLIGHT_DISCONNECT_GRACE": str(GRACE),
    "XINFLIGHT_HISTORY_TASKS": str(HISTORY),
    # Everybody has the same address here.
    "XINFLIGHT_TASKS_PER_ADDRESS": "0",
    "XINFLIGHT_CONNECTIONS_PER_ADDRESS": "0",
    "XINFLIGHT_REQUESTS_PER_MINUTE": "0",
    "XINFLIGHT_REQUESTS_PER_MINUTE_PER_ADDRESS": "0",
    "XINFLIGHT_LOG_LEVEL": "info",
}


class SoakOptions(Struct, frozen=True, kw_only=True):
    """How long, and with how many. A variable of the environment has the option's name in capitals."""

    minutes: float = 60.0
    clients: int = 200
    warm_up: float = 60.0
    out: str = "build/soak"
    write: bool = False

    @classmethod
    def from_environ(cls) -> "SoakOptions":
        """Read the variables that are set; raise msgspec.ValidationError for one that is not a number."""
        given = {name: os.environ[name.upper()] for name in cls.__struct_fields__ if os.environ.get(name.upper())}
        return msgspec.convert(given, cls, strict=False)


class Soaked(Struct, kw_only=True):
    """What came of it."""

    when: str
    minutes: float
    clients: int
    done: dict[str, int]
    """How often people did what."""
    broken: list[str]
    """What was not as promised."""
    checks: list[Check]
    samples: list[Sample]

    @property
    def passed(self) -> bool:
        """Whether everything came back and was as promised."""
        return not self.broken and all(check.passed for check in self.checks)


class _Soak:
    """One server and its people."""

    def __init__(self, options: SoakOptions, server: Process, folder: Path, http: aiohttp.ClientSession) -> None:
        self._options = options
        self._server = server
        self._folder = folder
        self._http = http
        self._began = time.monotonic()
        self._people = [Person(server.url, number) for number in range(options.clients)]
        self.done: Counter[str] = Counter()
        self.broken: list[str] = []
        self.samples: list[Sample] = []

    async def live(self, seconds: float, phase: str) -> None:
        """Let everybody live for a while, then leave and erase what is theirs."""
        for person in self._people:
            await person.open()
        lives = [asyncio.create_task(self._live(person), name="person") for person in self._people]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(min(EVERY, max(until - time.monotonic(), 0.1)))
            one = await self._sample(phase)
            print(
                f"{one.at / 60:6.1f} min {phase}: {one.resident / 1e6:.0f} MB, {one.open_files} files, "
                f"{one.asyncio_tasks} asyncio tasks, {one.unfinished} unfinished, {self.done.total()} done, "
                f"{len(self.broken)} broken",
                file=sys.stderr,
                flush=True,
            )
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        for result in await asyncio.gather(*(person.erase() for person in self._people), return_exceptions=True):
            if isinstance(result, Broken):
                self.broken.append(str(result))
            elif isinstance(result, BaseException):
                raise result

    async def _live(self, person: Person) -> None:
        """Let one live, and begin a new life where something broke."""
        while True:
            try:
                await person.live(lambda doing: self.done.update([doing]))
            except (Broken, OSError, aiohttp.ClientError) as error:
                self.broken.append(f"{type(error).__name__}: {error}")
                print(self.broken[-1][:300], file=sys.stderr, flush=True)
                await person.close()
                await person.open()

    async def rest(self, before: Sample | None) -> Sample:
        """Wait until the server is as it was before, or changes no more; return what it holds then, or after REST."""
        until = time.monotonic() + REST
        last = await self._sample("rest")
        while True:
            await asyncio.sleep(EVERY)
            former, last = last, await self._sample("rest")
            checks = quiescence(before, last) if before else quiescence(former, last) + quiescence(last, former)
            if time.monotonic() > until or all(check.passed for check in checks):
                return last

    async def _sample(self, phase: str) -> Sample:
        one = await sample(self._http, self._server, self._folder, self._began, phase)
        self.samples.append(one)
        return one


async def soak(options: SoakOptions) -> Soaked:
    """Run the soak on new processes.

    Raises:
        RuntimeError: a server does not start.
        aiohttp.ClientError: the server does not answer any more.
    """
    server_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="xinflight-soak-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "soak.upstream"]
        variables = environ(ROOT / "server", ROOT / "tests")
        with running(command, folder / "upstream", core=load_core, environ=variables) as upstream:
            command = [sys.executable, "-c", "from xinflight.cli import main; main()", "serve", "--port", "0"]
            command += ["--data-dir", str(folder / "data"), "--xinference", upstream.url]
            with running(command, folder / "server", core=server_core, environ=variables | SETTINGS) as server:
                async with aiohttp.ClientSession() as http:
                    lived = _Soak(options, server, folder / "data", http)
                    await lived.live(options.warm_up, "warm-up")
                    before = await lived.rest(None)
                    await lived.live(60 * options.minutes, LOADED)
                    after = await lived.rest(before)
        broken = lived.broken + _complaints((folder / "server").read_text("utf-8"))
    return Soaked(
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        minutes=options.minutes,
        clients=options.clients,
        done=dict(lived.done),
        broken=broken,
        checks=[*quiescence(before, after), *growth(lived.samples)],
        samples=lived.samples,
    )


def _complaints(log: str) -> list[str]:
    """Return the lines of the server's log that tell of an error."""
    return [line[:1000] for line in log.splitlines() if '"level":"error"' in line or line.startswith("Traceback")]


def table(soaked: Soaked) -> str:
    """Return what came back and what did not, as Markdown."""
    rows = [["at rest", "before", "after", "at most", ""], ["---"] * 5]
    for check in soaked.checks:
        figures = [f"{figure:,.0f}" for figure in (check.before, check.after, check.most)]
        rows.append([check.name, *figures, "" if check.passed else "**too much**"])
    done = ", ".join(f"{name} {number:,}" for name, number in sorted(soaked.done.items()))
    told = f"{soaked.when} UTC, {soaked.minutes:g} minutes, {soaked.clients} clients: {done}."
    lines = [f"{told} Not as promised: {len(soaked.broken)}.", ""]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def thinned(samples: Sequence[Sample]) -> list[Sample]:
    """Return at most some POINTS of the samples, evenly."""
    return list(samples[:: len(samples) // POINTS + 1])


def main() -> None:
    """Run the soak, write its samples and its plot, print its table; fail if something did not come back."""
    if sys.platform != "linux":
        sys.exit("The soak reads /proc: it needs Linux.")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    options = SoakOptions.from_environ()
    soaked = uvloop.run(soak(options))
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.json").write_bytes(msgspec.json.encode(soaked) + b"\n")
    (out / "soak.svg").write_text(plot(soaked.samples), "utf-8")
    if options.write:
        PAGE.write_text(embedded(PAGE.read_text("utf-8"), "soak", table(soaked)), "utf-8")
        (DOCS / "soak.svg").write_text(plot(thinned(soaked.samples)), "utf-8")
    print(table(soaked), flush=True)
    for text in soaked.broken[:20]:
        print(f"broken: {text}", file=sys.stderr)
    if not soaked.passed:
        sys.exit(f"The soak failed; {len(soaked.broken)} things were not as promised.")


if __name__ == "__main__":
    main()
