"""How long a cancel takes from the client to the upstream, while other generations run."""

import asyncio
import statistics
import time

from msgspec import Struct

from bench.contenders import BARE, ROOT, XINFLIGHT, XINFLIGHT_SPEED, Contender, Stage, environ, staged
from bench.load import Page, upstream_log
from bench.options import Options
from bench.processes import answer, cores, driven

__all__ = ["CONTENDERS", "Cancels", "measure"]

CONTENDERS = (BARE, XINFLIGHT, XINFLIGHT_SPEED)
CLIENTS = 50
BETWEEN = 0.025
"""Seconds between two cancels, so that none is measured behind another."""
ENDLESS = 3600.0


class _Job(Struct):
    stage: Stage
    cancels: int


class Cancels(Struct, kw_only=True):
    """From sending `cancel` to the upstream's having the abort, and to the client's having the end, in seconds."""

    count: int
    upstream_p50: float
    upstream_p99: float
    client_p50: float


def measure(contender: Contender, options: Options) -> Cancels:
    """Measure one contender once. Errors as `cost.measure`."""
    with staged(contender, slots=2 * CLIENTS, generation=ENDLESS) as stage:
        job = _Job(stage, 100 if options.quick else 300)
        return driven("bench.cancel", job, Cancels, core=cores()[1], environ=environ(ROOT / "tests"))


async def _drive(job: _Job) -> Cancels:
    pages = [Page(job.stage, str(number)) for number in range(CLIENTS)]
    waiting = []
    for page in pages:
        await page.open()
        waiting.append(page.start())
        await asyncio.sleep(BETWEEN)
    sent: dict[str, float] = {}
    told = []
    for number in range(job.cancels):
        place = number % CLIENTS
        now = time.monotonic()
        sent[pages[place].cancel()] = now
        await waiting[place]
        told.append(time.monotonic() - now)
        waiting[place] = pages[place].start()
        await asyncio.sleep(BETWEEN)
    for page in pages:
        page.close()
    await asyncio.gather(*waiting, return_exceptions=True)
    generations = (await upstream_log(job.stage)).generations
    aborts = [aborted - sent[name] for name in sent if (aborted := generations[name].aborted) is not None]
    if len(aborts) < len(sent):
        raise RuntimeError(f"{len(sent) - len(aborts)} of {len(sent)} cancels did not come to the upstream")
    return Cancels(
        count=len(aborts),
        upstream_p50=statistics.median(aborts),
        upstream_p99=statistics.quantiles(aborts, n=100)[98],
        client_p50=statistics.median(told),
    )


if __name__ == "__main__":
    answer(_Job, _drive)
