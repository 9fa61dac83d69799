"""What it costs to bring an image of 4 MB from the upstream to the client, and how long others wait meanwhile."""

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from bench.contenders import ROOT, Contender, Stage, environ, staged
from bench.fake_upstream import LARGE
from bench.load import Page
from bench.options import Options
from bench.processes import answer, cores, cpu_seconds, driven
from bench.stalls import worst

__all__ = ["Delivery", "measure"]

IMAGES, IMAGES_QUICK = 20, 10
WARM_UP = 3
GENERATION = 0.2
"""Seconds, in which the server comes to rest after the image before."""


class _Job(Struct):
    stage: Stage
    images: int


class _Driven(Struct, kw_only=True):
    began: float
    over: float
    whole: float
    fetch: float | None


class Delivery(Struct, kw_only=True):
    """CPU seconds of the server per MB of image, and the most seconds by which its loop was late."""

    whole: float
    """From the request to the client's having the image; storing it included."""
    fetch: float | None
    """The GET of the image right after its result alone; None where it comes within the result."""
    stall: float


def measure(contender: Contender, options: Options) -> Delivery:
    """Measure one contender once: the CPU, and on new processes how late its loop was. Errors as `cost.measure`."""
    images = IMAGES_QUICK if options.quick else IMAGES
    with staged(contender, slots=1, generation=GENERATION, pixels=LARGE) as stage:
        used = _run(stage, images)
    with TemporaryDirectory(prefix="xinflight-bench-") as folder:
        file = Path(folder) / "stalls"
        with staged(contender, slots=1, generation=GENERATION, pixels=LARGE, stalls=file) as stage:
            watched = _run(stage, images)
        stall = worst(file, watched.began, watched.over)
    return Delivery(whole=used.whole, fetch=used.fetch, stall=stall)


def _run(stage: Stage, images: int) -> _Driven:
    return driven("bench.delivery", _Job(stage, images), _Driven, core=cores()[1], environ=environ(ROOT / "tests"))


async def _drive(job: _Job) -> _Driven:
    pid = job.stage.server_pid
    page = Page(job.stage, "large")
    await page.open()
    for _ in range(WARM_UP):
        await page.generate()
    began, used = time.monotonic(), cpu_seconds(pid)
    fetches, megabytes, fetched = [], [], False
    for _ in range(job.images):
        images = await page.start()
        assert images is not None
        before = cpu_seconds(pid)
        image = await page.fetch(images.data[0])
        megabytes.append(len(image) / 1e6)
        fetches.append(cpu_seconds(pid) - before)
        fetched = images.data[0].url is not None
    whole, over = (cpu_seconds(pid) - used) / sum(megabytes), time.monotonic()
    page.close()
    return _Driven(
        began=began,
        over=over,
        whole=whole,
        fetch=statistics.median(fetches) / megabytes[0] if fetched else None,
    )


if __name__ == "__main__":
    answer(_Job, _drive)
