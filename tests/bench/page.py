"""Measure the page in Chromium: loaded over a slow line, scrolled through many images, and with many in flight.

`make bench-page` runs this. Options are environment variables: ROUNDS, IMAGES, SIZE, FLIGHTS. The server runs in this
process; nothing else should use the machine.
"""

import asyncio
import os
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from playwright.async_api import Browser, BrowserContext, async_playwright

from clients import Recorder, WireClient, painter
from page_kit import chromium_path, live
from xinflight.cli.server import serving
from xinflight.demo.http import serve_emulator
from xinflight.settings import Settings

__all__ = ["Frames", "Load", "PageOptions", "measure_loads", "report", "served"]

LATENCY, BYTES_PER_SECOND = 150, 1.6e6 / 8
"""The line: milliseconds until a response begins, and what it carries after that, in all."""
SCROLL = 5.0
"""Seconds for which the images are scrolled, and the frames are counted of a page with much in flight."""
AT_ONCE = 50
"""Generations that are asked for at once while the history is filled."""
WHEN_LIVE = """
  new MutationObserver((_, observer) => {
    if (!document.querySelector("[data-testid=connection][data-state=live]")) return;
    window.liveAt = performance.now();
    observer.disconnect();
  }).observe(document, { subtree: true, childList: true, attributeFilter: ["data-state"] });
"""
FRAMES = """
  ([seconds, step]) => new Promise((resolve) => {
    const begin = performance.now();
    let last = begin, frames = 0, longest = 0;
    requestAnimationFrame(function frame(now) {
      frames += 1;
      longest = Math.max(longest, now - last);
      last = now;
      scrollBy(0, step);
      if (now - begin < seconds * 1000) requestAnimationFrame(frame);
      else resolve({ per_second: (frames * 1000) / (now - begin), longest });
    });
  })
"""


class PageOptions(Struct, frozen=True, kw_only=True):
    """How to measure. A variable of the environment has the option's name in capitals."""

    rounds: int = 5
    """How often the page is loaded by a browser that does not know it, and then again."""
    images: int = 2000
    """Images in the history that is scrolled; none are drawn and scrolled for 0."""
    size: str = "512x512"
    flights: int = 200
    """Images that are in flight at once; 0 leaves that out."""

    @classmethod
    def from_environ(cls) -> "PageOptions":
        """Read the variables that are set; raise msgspec.ValidationError for one that can't be used."""
        given = {name: os.environ[name.upper()] for name in cls.__struct_fields__ if os.environ.get(name.upper())}
        return msgspec.convert(given, cls, strict=False)


class Load(Struct, frozen=True):
    """One visit: seconds until words are seen and until images can be asked for, and what came over the line."""

    words: float
    live: float
    requests: int
    body_kb: float
    """Bodies of what was asked for until `live`, compressed as they came; not what the service worker handed on."""
    later_kb: float
    """The same for what was asked for after that: what the page loads by itself, without what its worker keeps."""
    wire_kb: float
    """Both with the headers of the responses."""


class Frames(Struct, frozen=True):
    """Frames per second, the longest in milliseconds, and the memory of the process that shows the page in MB."""

    per_second: float
    longest: float
    memory: float


@asynccontextmanager
async def served(data_dir: Path, model: Recorder) -> AsyncIterator[str]:
    """Serve the page in front of an emulated model; yield its URL."""
    async with serve_emulator(model) as upstream:
        settings = Settings(
            port=0, xinference_url=upstream, data_dir=str(data_dir), drain=0.0, tasks_per_owner=10_000
        )
        async with serving(settings, demo=False) as (url, _):
            yield url


async def measure_loads(browser: Browser, url: str, rounds: int) -> tuple[list[Load], list[Load]]:
    """Return the first and the second visits of browsers that did not know the page."""
    first: list[Load] = []
    second: list[Load] = []
    for _ in range(rounds):
        context = await browser.new_context(locale="en", viewport={"width": 1280, "height": 800})
        await context.add_init_script(WHEN_LIVE)
        first.append(await _visit(context, url))
        second.append(await _visit(context, url))
        await context.close()
    return first, second


async def _visit(context: BrowserContext, url: str) -> Load:
    page = await context.new_page()
    line = await context.new_cdp_session(page)
    await line.send("Network.enable")
    await line.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY,
            "downloadThroughput": BYTES_PER_SECOND,
            "uploadThroughput": BYTES_PER_SECOND,
        },
    )
    received: list[float] = []
    line.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    await page.goto(url, wait_until="commit")
    await live(page)
    await page.wait_for_load_state("networkidle")
    words, live_at, requests, bodies, later = await page.evaluate("""() => {
      const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      // What came from the cache has a size of its own, but none on the line.
      const loaded = all.filter(({ transferSize }) => transferSize > 0);
      const [paint] = performance.getEntriesByName("first-contentful-paint");
      // A page that is as it was comes without its body; of what the worker has handed on, nothing is known.
      const size = (some) => some.reduce((sum, { transferSize, workerStart, encodedBodySize }) =>
        sum + (transferSize > encodedBodySize && !workerStart ? encodedBodySize : 0), 0);
      const first = loaded.filter(({ startTime }) => startTime <= liveAt);
      const later = loaded.filter(({ startTime }) => startTime > liveAt);
      return [paint.startTime, liveAt, first.length, size(first), size(later)];
    }""")
    # The worker keeps the page for the next visit.
    await page.evaluate("navigator.serviceWorker?.ready.then(() => undefined)")
    await page.close()
    return Load(words / 1000, live_at / 1000, requests, bodies / 1000, later / 1000, sum(received) / 1000)


async def _fill(url: str, images: int, size: str) -> None:
    """Ask for images until there are so many."""
    async with WireClient.connect(url) as client:
        for begin in range(0, images, AT_ONCE):
            ids = [f"image-{number}" for number in range(begin, min(begin + AT_ONCE, images))]
            for task_id in ids:
                await client.ask(
                    action="generate", prompt=f"a boat in the reeds, {task_id}", task_id=task_id, size=size, steps=1
                )
            await client.ends(*ids)
            client.seen.clear()


async def _frames(browser: Browser, url: str, *, step: int) -> Frames:
    """Count the frames of the page while it is scrolled by `step` pixels in each."""
    context = await browser.new_context(locale="en", viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    await page.goto(url)
    await live(page)
    await page.wait_for_load_state("networkidle")
    counted = await page.evaluate(FRAMES, [SCROLL, step])
    memory = await _memory(browser)
    await context.close()
    return Frames(counted["per_second"], counted["longest"], memory)


async def _memory(browser: Browser) -> float:
    """Return the memory of the largest process that shows a page, in MB."""
    session = await browser.new_browser_cdp_session()
    processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
    shows = [int(process["id"]) for process in processes if process["type"] == "renderer"]
    return max(await asyncio.gather(*(asyncio.to_thread(_resident, pid) for pid in shows)))


def _resident(pid: int) -> float:
    """Return the memory of a process in MB, with its part of what it shares."""
    sizes = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(sizes.partition("Pss:")[2].split()[0]) / 1000


def report(first: list[Load], second: list[Load], scrolled: Frames | None, flying: Frames | None) -> str:
    """Return what was measured as Markdown, medians with their ranges, beside what is to be reached."""
    lines = [
        "| visit | words s | live s | requests | bodies KB | after that KB | all with headers KB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, loads in (("first", first), ("second", second)):
        cells = [_median([load.words for load in loads], ".2f"), _median([load.live for load in loads], ".2f")]
        cells += [_median([float(load.requests) for load in loads], ".0f")]
        for sizes in zip(*((load.body_kb, load.later_kb, load.wire_kb) for load in loads), strict=True):
            cells.append(_median(list(sizes), ".1f"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append("To reach: words 0.70 s, at the second visit 0.40 s; under 60 KB compressed.")
    if scrolled is not None:
        lines.append(
            f"Scrolled: {scrolled.per_second:.0f} frames/s, the longest {scrolled.longest:.0f} ms, "
            f"{scrolled.memory:.0f} MB. To reach: 55 frames/s, under 250 MB."
        )
    if flying is not None:
        lines.append(
            f"In flight: {flying.per_second:.0f} frames/s, the longest {flying.longest:.0f} ms. "
            "To reach: 50 ms at most."
        )
    return "\n".join(lines)


def _median(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


async def _main(options: PageOptions) -> None:
    quick = painter(step_seconds=0.0, decode_seconds=0.0, replicas=8)
    slow = painter(step_seconds=0.5, replicas=max(options.flights, 1))
    scrolled = flying = None
    with tempfile.TemporaryDirectory(prefix="bench-page-") as folder:
        async with async_playwright() as playwright:
            args = ["--headless=new", "--no-sandbox", "--disable-quic"]
            browser = await playwright.chromium.launch(executable_path=chromium_path(), args=args)
            async with served(Path(folder) / "loads", Recorder([quick])) as url:
                first, second = await measure_loads(browser, url, options.rounds)
                if options.images:
                    await _fill(url, options.images, options.size)
                    scrolled = await _frames(browser, url, step=40)
            if options.flights:
                async with (
                    served(Path(folder) / "flights", Recorder([slow])) as url,
                    WireClient.connect(url) as client,
                ):
                    for number in range(options.flights):
                        await client.ask(
                            action="generate", prompt=f"a boat, {number}", task_id=f"flight-{number}", steps=100
                        )
                    flying = await _frames(browser, url, step=0)
            await browser.close()
    print(report(first, second, scrolled, flying))


if __name__ == "__main__":
    asyncio.run(_main(PageOptions.from_environ()))
