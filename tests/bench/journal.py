"""What it costs to lose nothing, as ratios measured in one run: `make bench-journal`. Nothing is asserted.

Every server under test is a process of its own, `python -m bench.journal serve`. Clients and upstream live here.
"""

import asyncio
import gc
import json
import logging
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from bench.fake_upstream import FakeUpstream
from factories import accept, append, end, lease, make_task, output_event, result
from server_process import launch
from xinflight import Settings, setup
from xinflight import app as app_module
from xinflight.demo.drawing import draw
from xinflight.model import MediaInfo, Output, Task
from xinflight.storage import MemoryBlobs, SqliteStore, Write

JPEG = draw(prompt="a boat", negative_prompt="", width=512, height=512, steps=4, guidance=0.0, seed=1)
GENERATIONS = 1000
GENERATION = 0.25
"""Seconds that one takes upstream."""
AT_ONCE = 40
ROUNDS = 3
RATE = 40.0
CLIENTS = 2000
TASKS, IMAGES = 5000, 4
ROUND_TRIPS = 100


# The server under test


async def serve(kind: str, xinference_url: str, folder: str) -> None:
    """Serve until told to stop; print the port, and for each line that comes in the CPU seconds used so far."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    app = web.Application()
    if kind == "bare":
        app.router.add_get("/ws/generate", _bare)
    else:
        settings = Settings(
            xinference_url=xinference_url,
            data_dir=folder if kind == "stored" else None,
            default_size="64x64",
            tasks_per_owner=10000,
            drain=0.0,
        )
        if kind == "journal":
            # The journal's work alone: what a new file costs is the file system's affair, and differs widely.
            store = SqliteStore(Path(folder), full=False)
            app_module._storage = lambda settings: (store, MemoryBlobs(settings.memory_bytes))
        setup(app, settings)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    print(runner.addresses[0][1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(used.ru_utime + used.ru_stime, flush=True)
    await runner.cleanup()


async def _bare(request: web.Request) -> web.WebSocketResponse:
    """Do nothing but greet: the least that a WebSocket costs."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    await ws.send_json({"type": "welcome"})
    async for _ in ws:
        pass
    return ws


class Child:
    """A server in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}/ws/generate"

    async def cpu(self) -> float:
        """Return the CPU seconds that it has used."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return float(await self._process.stdout.readline())


@asynccontextmanager
async def child(kind: str, xinference_url: str = "", folder: str = "") -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.journal", "serve", kind, xinference_url, folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Child(process, int(await process.stdout.readline()))
    finally:
        process.stdin.close()
        await process.wait()


# CPU, and the time to the ack


async def generate(ws: aiohttp.ClientWebSocketResponse, count: int, at_once: int) -> None:
    """Make so many images, so many at once."""
    started = ended = 0
    while ended < count:
        while started < count and started - ended < at_once:
            started += 1
            await ws.send_json({"action": "generate", "prompt": f"boat {started}"})
        ended += (await ws.receive_json())["type"] == "result"


async def cpu_of(kind: str, xinference_url: str) -> float:
    """Return the CPU seconds of a server per 1,000 generations."""
    with tempfile.TemporaryDirectory() as folder:
        async with child(kind, xinference_url, folder) as server:
            async with aiohttp.ClientSession() as http, http.ws_connect(server.url) as ws:
                await generate(ws, 100, AT_ONCE)
                before = await server.cpu()
                await generate(ws, GENERATIONS, AT_ONCE)
                return (await server.cpu() - before) * 1000 / GENERATIONS


async def ack_times(kind: str, xinference_url: str, seconds: float = 10.0) -> list[float]:
    """Return the milliseconds from `generate` to `ack` at a steady rate."""
    sent: dict[str, float] = {}
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            child(kind, xinference_url, folder) as server,
            aiohttp.ClientSession() as http,
            http.ws_connect(server.url) as ws,
        ):

            async def read() -> None:
                while len(times) < int(seconds * RATE):
                    message = await ws.receive_json()
                    if message["type"] == "ack":
                        times.append(1000 * (time.perf_counter() - sent[message["task_id"]]))

            reading = asyncio.create_task(read(), name="reader")
            started = time.perf_counter()
            for number in range(int(seconds * RATE)):
                await asyncio.sleep(max(started + number / RATE - time.perf_counter(), 0))
                sent[f"t{number}"] = time.perf_counter()
                await ws.send_json({"action": "generate", "prompt": "boat", "task_id": f"t{number}"})
            await reading
    return times


async def bench_generations() -> None:
    async with FakeUpstream(AT_ONCE, GENERATION).serving() as xinference_url:
        used: dict[str, list[float]] = {"memory": [], "journal": [], "stored": []}
        for _ in range(ROUNDS):
            for kind, seconds in used.items():
                seconds.append(await cpu_of(kind, xinference_url))
        memory, journal, stored = (statistics.median(seconds) for seconds in used.values())
        show("CPU s per 1,000 generations, journal", memory, journal, "s", "at most 0.25 s more")
        show("  and images in files", memory, stored, "s", f"a new file here: {file_cost():.3f} s")
        acks = {kind: await ack_times(kind, xinference_url) for kind in ("memory", "stored")}
        for name, place in (("p50", 50), ("p99", 99)):
            memory, stored = (statistics.quantiles(times, n=100)[place - 1] for times in acks.values())
            show(f"generate to ack at {RATE:g}/s, {name}", memory, stored, "ms", "p99 at most 10 ms more")


def file_cost() -> float:
    """Return the CPU seconds that 1,000 new files take on this file system, without any of our code."""
    with tempfile.TemporaryDirectory() as folder:
        before = time.process_time()
        for number in range(1000):
            (Path(folder) / f"{number}").write_bytes(JPEG)
        return time.process_time() - before


# Two thousand that come back


@asynccontextmanager
async def endless() -> AsyncIterator[str]:
    """Serve an upstream whose generations begin and never end, so that it takes no CPU."""

    async def models(request: web.Request) -> web.Response:
        entry = {"id": "painter", "model_engine": "diffusers", "model_ability": ["text2image"], "replica": CLIENTS}
        return web.json_response({"data": [entry]})

    async def openapi(request: web.Request) -> web.Response:
        return web.json_response({"paths": {"/sdapi/v1/interrupt": {}}})

    over = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await over.wait()
        return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_get("/openapi.json", openapi)
    app.router.add_route("*", "/{path:(sdapi|v1/requests).*}", hang)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    over.set()
    await runner.cleanup()


Client = Callable[[aiohttp.ClientWebSocketResponse, int], Awaitable[None]]


async def crowd(url: str, speak: Client) -> float:
    """Return the seconds until all clients have connected and said what they wanted."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        sockets: list[aiohttp.ClientWebSocketResponse] = []

        async def one(number: int) -> None:
            ws = await http.ws_connect(url)
            sockets.append(ws)
            await speak(ws, number)

        started = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(CLIENTS)))
        seconds = time.perf_counter() - started
        for ws in sockets:
            await ws.close()
    return seconds


async def greeted(ws: aiohttp.ClientWebSocketResponse, number: int) -> None:
    assert (await ws.receive_json())["type"] == "welcome"


async def resumed(ws: aiohttp.ClientWebSocketResponse, number: int) -> None:
    epoch = (await ws.receive_json())["epoch"]
    await ws.send_json({"action": "resume", "after": f"{epoch}:0", "tasks": [f"t{number}"]})
    kinds: list[str] = []
    while not kinds or kinds[-1] != "recovered":
        kinds.append((await ws.receive_json())["type"])
    assert kinds == ["accepted", "progress", "recovered"], kinds


async def bench_resume() -> None:
    async with endless() as xinference_url, child("bare") as bare:
        with tempfile.TemporaryDirectory() as folder:
            async with child("stored", xinference_url, folder) as server:
                async with aiohttp.ClientSession() as http, http.ws_connect(server.url) as ws:
                    for number in range(CLIENTS):
                        await ws.send_json({"action": "generate", "prompt": "boat", "task_id": f"t{number}"})
                    acked = 0
                    while acked < CLIENTS:
                        acked += (await ws.receive_json())["type"] == "ack"
                await asyncio.sleep(2.0)
                ours, theirs, greetings = [], [], []
                for _ in range(ROUNDS):
                    theirs.append(await crowd(bare.url, greeted))
                    greetings.append(await crowd(server.url, greeted))
                    ours.append(await crowd(server.url, resumed))
    show(f"{CLIENTS} handshakes, bare and ours", statistics.median(theirs), statistics.median(greetings), "s", "")
    show(f"{CLIENTS} resumed, beside bare", statistics.median(theirs), statistics.median(ours), "s", "at most 2x")


# A long history


def old_task(number: int) -> Task:
    """Return a finished task with its images."""
    task = make_task(f"t{number}", "local", prompt=f"a red boat on a lake, number {number}, oil on canvas")
    task.outputs = [
        Output(
            index=index,
            seed=index,
            output_id=f"{number:05}-{index:015}",
            request_id="r",
            file=MediaInfo(width=512, height=512, bytes=2000, media_type="image/jpeg"),
        )
        for index in range(IMAGES)
    ]
    end(task, at=1010.0 + number)
    return task


async def fill(folder: Path) -> None:
    store = SqliteStore(folder, full=False)
    await store.open()
    await lease(store)
    for first in range(0, TASKS, 100):
        writes: list[Write] = []
        for number in range(first, first + 100):
            task = old_task(number)
            images = [output_event(task, index) for index in range(IMAGES)]
            writes += [accept(task), *(append(task, told) for told in images), append(task, result(task))]
            for output in task.outputs:
                path = folder / "outputs" / output.output_id[:2] / output.output_id
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(JPEG[:2000])
        await store.commit(writes)
    await store.close()


async def start_and_list(folder: Path) -> tuple[float, dict[str, float]]:
    """Return the seconds of a start and the milliseconds of pages of the list."""
    started = time.perf_counter()
    server = await launch(folder, "http://127.0.0.1:9", log_level="error")
    await server.up()
    seconds = time.perf_counter() - started
    pages: dict[str, float] = {}
    queries: dict[str, dict[str, Any]] = {
        "first page of 50": {},
        "last page of 50": {"cursor": "51"},
        "a page of 200": {"limit": 200},
        "unfinished only": {"state": "unfinished"},
    }
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.url}ws/generate") as ws:
        await ws.receive_json()
        for name, query in queries.items():
            times = []
            for _ in range(ROUND_TRIPS):
                before = time.perf_counter()
                await ws.send_str(json.dumps({"action": "list", **query}))
                while (await ws.receive_json())["type"] != "tasks":
                    pass
                times.append(1000 * (time.perf_counter() - before))
            pages[name] = statistics.median(times)
    server.terminate()
    await server.ended()
    return seconds, pages


async def bench_history() -> None:
    with tempfile.TemporaryDirectory() as folder:
        full, empty = Path(folder) / "full", Path(folder) / "empty"
        await fill(full)
        starts: dict[Path, list[float]] = {empty: [], full: []}
        pages: dict[Path, dict[str, float]] = {}
        for _ in range(ROUNDS):
            for where, seconds in starts.items():
                took, pages[where] = await start_and_list(where)
                seconds.append(took)
    print(f"an empty folder beside {TASKS} tasks with {TASKS * IMAGES} images:")
    show(
        "  start of the process", statistics.median(starts[empty]), statistics.median(starts[full]), "s", "under 2 s"
    )
    for name in pages[full]:
        show(f"  list, {name}", pages[empty][name], pages[full][name], "ms", "under 20 ms")


def show(what: str, without: float, with_: float, unit: str, target: str) -> None:
    more = f"{with_ - without:+.3f} {unit}, {with_ / without:.2f}x"
    print(f"{what:40} {without:9.3f} -> {with_:9.3f} {unit:2}  ({more}) {target}", flush=True)


async def main() -> None:
    print(f"{'':40} {'without':>9}    {'with':>9}", flush=True)
    await bench_generations()
    await bench_resume()
    await bench_history()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[2:]) if sys.argv[1:2] == ["serve"] else main())
